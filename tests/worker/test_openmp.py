"""A training's threads are bound to cores of their own."""

import os
import subprocess
import sys

import pytest

from worker.openmp import environment, usable_cores

CORES_OF_THREADS = """
import os
import torch

torch.set_num_threads({threads})
torch.ones(1 << 20).exp_().sum()
threads = [int(thread) for thread in os.listdir("/proc/self/task")]
print(sorted(core for core in map(os.sched_getaffinity, threads) if len(core) == 1))
"""


def test_one_thread_may_wander() -> None:
    assert environment([3]) == {}
    assert environment([]) == {}


@pytest.mark.skipif(len(usable_cores()) < 2, reason="needs two cores")
def test_each_thread_has_its_core() -> None:
    cores = usable_cores()[:2]
    script = CORES_OF_THREADS.format(threads=len(cores))
    bound = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, **environment(cores)},
        capture_output=True,
        check=True,
        text=True,
    )
    assert all(f"{{{core}}}" in bound.stdout for core in cores)
