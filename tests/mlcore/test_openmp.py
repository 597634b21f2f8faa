"""A training's threads are bound to cores of their own."""

import os
import subprocess
import sys

import pytest

from mlcore.openmp import environment, usable_cores

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


THREADS_THAT_BIND = """
import os
import torch
from concurrent.futures import ThreadPoolExecutor
from mlcore import openmp

torch.ones(1 << 20).exp_().sum()
pools = [ThreadPoolExecutor(1, initializer=openmp.bind, initargs=(number,)) for number in range(3)]
print([sorted(pool.submit(os.sched_getaffinity, 0).result()) for pool in pools])
"""


@pytest.mark.skipif(len(usable_cores()) < 2, reason="needs two cores")
@pytest.mark.parametrize("is_bound", [True, False])
def test_a_thread_that_is_not_openmps_can_have_a_core_too(*, is_bound: bool) -> None:
    cores = usable_cores()[:2]
    bound = subprocess.run(
        [sys.executable, "-c", THREADS_THAT_BIND],
        env={**os.environ, **(environment(cores) if is_bound else {})},
        capture_output=True,
        check=True,
        text=True,
    )
    expected = [[cores[0]], [cores[1]], [cores[0]]] if is_bound else [usable_cores()] * 3
    assert bound.stdout.strip() == str(expected)
