"""Being told to stop by a signal."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from worker.stopping import end_signals, how_it_ended

WAITS = """
from worker.stopping import Stop
stop = Stop()
print("ready", flush=True)
print("told", stop.wait(60), stop.wait(0), flush=True)
"""


@contextmanager
def waiting(*command: str) -> Iterator["subprocess.Popen[str]"]:
    with subprocess.Popen([*command, sys.executable, "-c", WAITS], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process
        process.kill()


@pytest.mark.parametrize("number", end_signals())  # without SIGHUP where nohup runs the tests
def test_a_signal_ends_the_wait_and_is_remembered(number: signal.Signals) -> None:
    with waiting() as process:
        for _ in range(3):
            process.send_signal(number)
        assert process.communicate(timeout=30)[0] == "told True True\n"


def test_what_nohup_protects_outlives_its_terminal() -> None:
    with waiting("nohup") as process:
        os.kill(process.pid, signal.SIGHUP)
        process.send_signal(signal.SIGTERM)
        assert process.communicate(timeout=30)[0] == "told True True\n"


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (0, "ended with status 0"),
        (70, "ended with status 70"),
        (-signal.SIGKILL, "was killed by SIGKILL"),
        (-(signal.SIGRTMIN + 3), f"was killed by signal {signal.SIGRTMIN + 3}"),
    ],
)
def test_an_end_is_told_whatever_the_signal(status: int, said: str) -> None:
    assert how_it_ended(status) == said
