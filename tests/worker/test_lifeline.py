"""Processes that end with others."""

import os
import subprocess
import sys

from worker.lifeline import ORPHANED

PROGRAM = """
import sys, time
from worker.lifeline import end_with
end_with(int(sys.argv[1]))
print("ready", flush=True)
time.sleep(60)
"""


def test_a_process_ends_when_its_lifeline_does() -> None:
    read_end, write_end = os.pipe()
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(read_end)], pass_fds=(read_end,), stdout=subprocess.PIPE, text=True
    ) as process:
        os.close(read_end)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        assert process.poll() is None
        os.close(write_end)
        assert process.wait(5) == ORPHANED
