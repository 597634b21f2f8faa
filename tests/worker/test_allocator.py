"""Memory between steps and between jobs, in a process of its own as a slot's child is one."""

import platform
import subprocess
import sys

import pytest

MANY_PAGES = 10_000
STEPS = """
import resource
import sys

import numpy as np

from worker import allocator

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1])

if sys.argv[1] == "keep":
    allocator.keep_freed()
for step in range(60):
    if step == 10:
        before = faults()
    pieces = [np.ones(1_000_000) for _ in range(8)]
    del pieces
held = resident()
allocator.give_back()
print(faults() - before, held - resident())
"""


def steps(how: str) -> tuple[int, int]:
    """The page faults of fifty steps with 64 MB each, and the pages that are handed back afterwards."""
    done = subprocess.run([sys.executable, "-c", STEPS, how], capture_output=True, text=True, check=True)
    faults, given_back = map(int, done.stdout.split())
    return faults, given_back


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="about glibc's malloc")
def test_what_a_step_frees_is_there_for_the_next_and_is_handed_back_in_the_end() -> None:
    faults, given_back = steps("keep")
    assert faults < MANY_PAGES
    assert given_back > MANY_PAGES
    assert steps("leave")[0] > 10 * MANY_PAGES, "glibc does so by itself by now: allocator.py can go"
