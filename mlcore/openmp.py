"""How the threads of one training share its cores; OpenMP reads it from the environment when torch is imported.

Measured on two cores, an MLP's step of twenty parallel operations, milliseconds, on idle cores and beside another
training: threads that sleep while they wait (OMP_WAIT_POLICY=PASSIVE) 2.5 and 2.8, since both end up on one core;
OpenMP's own way, long spinning, 1.3 and up to 110; bound to a core each and spinning briefly 1.25 and 2.6.
"""

import os
import re
from collections.abc import Sequence

SPINS = 10_000  # some 30 µs


def usable_cores() -> list[int]:
    """Return the numbers of the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def environment(cores: Sequence[int]) -> dict[str, str]:
    """Return the variables for a training with a thread on each of these cores; one thread may wander."""
    if len(cores) < 2:
        return {}
    places = ",".join(f"{{{core}}}" for core in cores)
    return {"OMP_PROC_BIND": "close", "OMP_PLACES": places, "GOMP_SPINCOUNT": str(SPINS)}


def bind(number: int) -> None:
    """Bind the calling thread to the core of OpenMP's thread of this number, where `environment` has named cores.

    A thread inherits the core of the one that starts it, and OpenMP binds only threads of its own.
    """
    cores = [int(core) for core in re.findall(r"{(\d+)}", os.environ.get("OMP_PLACES", ""))]
    if cores:
        os.sched_setaffinity(0, {cores[number % len(cores)]})
