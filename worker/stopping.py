"""Being told to stop by a signal."""

import os
import select
import signal
from contextlib import suppress


def end_signals() -> list[signal.Signals]:
    """Return the signals that end a program: not SIGHUP where that is ignored, as nohup arranges it."""
    ignores_hangup = signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    return [signal.SIGINT, signal.SIGTERM, *([] if ignores_hangup else [signal.SIGHUP])]


class Stop:
    """Whether the process was told to end; made and asked by its main thread.

    It is a pipe and not an Event, whose lock a handler would wait for, for ever, that comes while `wait` has it.
    """

    def __init__(self) -> None:
        self._told, self._tell = os.pipe()
        os.set_blocking(self._tell, False)  # told again and again, a full pipe must not hold the handler up
        for number in end_signals():
            signal.signal(number, self._handle)

    def wait(self, seconds: float) -> bool:
        """Wait until told to stop, at most so long; return whether that was so, now or before."""
        readable, _, _ = select.select([self._told], [], [], seconds)
        return bool(readable)

    def _handle(self, *_: object) -> None:
        with suppress(BlockingIOError):
            os.write(self._tell, b"\0")


def how_it_ended(status: int) -> str:
    """Say what a process ended of: its exit status, or minus the number of the signal that killed it."""
    if status >= 0:
        return f"ended with status {status}"
    known = {one.value: one.name for one in signal.Signals}  # of those for real time only the first and the last
    return f"was killed by {known.get(-status, f'signal {-status}')}"
