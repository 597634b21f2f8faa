"""Waking the processes that wait for something as soon as it has come.

Each has a named pipe in a folder, and whoever has what they wait for writes a byte to all of them. A byte that is lost
costs no more than the time to the next look.
"""

import errno
import os
import select
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Final

ENDING: Final = ".bell"
MOST_RINGS: Final = 4096  # read at once


class Bell:
    """One process's pipe; to be closed when nobody waits for it any more. Raises OSError where there can be none."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / f"{os.getpid()}-{uuid.uuid4().hex}{ENDING}"
        unfinished = self._path.with_suffix(".unfinished")  # a pipe with the ending but without a reader is removed
        try:
            os.mkfifo(unfinished, 0o600)
            # Open for writing too: a pipe without a writer would be readable for ever, with nothing in it.
            self._descriptor = os.open(unfinished, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            unfinished.unlink(missing_ok=True)
            raise
        unfinished.rename(self._path)
        self._poll = select.poll()
        self._poll.register(self._descriptor, select.POLLIN)

    def fileno(self) -> int:
        """Return what can be read from once it was rung."""
        return self._descriptor

    def wait(self, seconds: float) -> bool:
        """Wait until it is rung, or was since the last time, at most so long; return whether it was."""
        if not self._poll.poll(1000 * seconds):
            return False
        os.read(self._descriptor, MOST_RINGS)
        return True

    def close(self) -> None:
        """Remove the pipe."""
        self._path.unlink(missing_ok=True)
        os.close(self._descriptor)


def ring(folder: Path) -> None:
    """Wake all who wait at this folder; pipes of processes that have gone are removed."""
    for path in folder.glob(f"*{ENDING}"):
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
        except OSError as problem:
            if problem.errno == errno.ENXIO:  # nobody has it open
                path.unlink(missing_ok=True)
            continue
        with suppress(OSError):  # full, so that whoever reads it wakes anyway; or its reader has just gone
            os.write(descriptor, b"\0")
        os.close(descriptor)
