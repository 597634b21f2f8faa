"""Ways for one process to notice that another has gone, however it went: the end of a pipe cannot be missed."""

import os
import select
import socket
import threading
from collections.abc import Callable

ORPHANED = 75  # exit status of a process whose starter is gone


def end_with(lifeline: int | None) -> None:
    """End this process at once when the write end of a pipe closes, which only its starter holds.

    Nothing has to be put in order: whatever is half done is rescued by those that come later.
    """
    if lifeline is not None:
        threading.Thread(target=_wait_for_the_end, args=(lifeline,), name="lifeline", daemon=True).start()


def _wait_for_the_end(lifeline: int) -> None:
    while os.read(lifeline, 1):
        pass
    os._exit(ORPHANED)


GONE = b""


class Tether:
    """A pair of sockets across a fork: each side sees the other go and can say a word to it."""

    def __init__(self) -> None:
        self._parent_end, self._child_end = socket.socketpair()

    @property
    def is_taken(self) -> bool:
        """Whether the parent has let go of the child's end: a child forked only now is a second one."""
        return self._child_end.fileno() == -1

    def enter_parent(self) -> None:
        """To be called in the parent after the fork."""
        self._child_end.close()

    def enter_child(self, on_leave: Callable[[], None]) -> None:
        """To be called in the child: ends it with its parent, and calls `on_leave` when the parent asks it to leave."""
        self._parent_end.close()
        threading.Thread(target=self._listen, args=(on_leave,), name="tether", daemon=True).start()

    def ask_to_leave(self) -> None:
        """Ask the child to leave; safe in a signal handler."""
        try:
            self._parent_end.send(b"leave", socket.MSG_DONTWAIT)
        except OSError:
            return  # it has left, or has been asked a thousand times

    def tell_parent(self, word: bytes) -> None:
        """Say something to the parent."""
        self._child_end.send(word)

    def hear_child(self, timeout: float) -> bytes | None:
        """Wait for a word of the child, at most `timeout` seconds: None when there was none, GONE when it is gone."""
        readable, _, _ = select.select([self._parent_end], [], [], timeout)
        return _heard(self._parent_end) if readable else None

    def _listen(self, on_leave: Callable[[], None]) -> None:
        while _heard(self._child_end) != GONE:
            on_leave()
        os._exit(ORPHANED)


def _heard(end: socket.socket) -> bytes:
    try:
        return end.recv(64)
    except OSError:  # the connection was reset: the other side died with a word unread
        return GONE
