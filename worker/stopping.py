"""Being told to stop by a signal."""

import os
import select
import signal
from contextlib import suppress

ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stop:
    """Whether the process was told to end; made and asked by its main thread.

    It is a pipe and not an Event, whose lock a handler would wait for, for ever, that comes while `wait` has it.
    """

    def __init__(self) -> None:
        self._told, self._tell = os.pipe()
        os.set_blocking(self._tell, False)  # told again and again, a full pipe must not hold the handler up
        for number in ENDS:
            if (
                number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN
            ):  # what nohup has arranged stays so
                signal.signal(number, self._handle)

    def wait(self, seconds: float) -> bool:
        """Wait until told to stop, at most so long; return whether that was so, now or before."""
        readable, _, _ = select.select([self._told], [], [], seconds)
        return bool(readable)

    def _handle(self, *_: object) -> None:
        with suppress(BlockingIOError):
            os.write(self._tell, b"\0")
