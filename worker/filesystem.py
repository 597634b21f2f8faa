"""Celery's filesystem transport, made fit for many processes that may die at any instruction.

Kombu's own creates a message before it writes it, moves messages through the temporary folder of the machine, keeps
routing tables in files that can be torn, and asks for more work while the only training process is busy.
"""

import json
import logging
import time
import uuid
from pathlib import Path
from queue import Empty
from typing import Any

from celery.worker import state
from kombu.connection import Connection
from kombu.transport import filesystem, virtual

from worker.bell import Bell, ring

logger = logging.getLogger(__name__)

BUSY_SECONDS = 0.02  # how soon a hint is taken that came while the worker was busy, or where nobody can be woken
DRAIN_SECONDS = 0.2  # how late a worker notices that it was told to stop, or a hint that nobody rang the bell for


class QoS(virtual.QoS):
    """Takes a message only when nothing is being worked on, so that an idle slot gets it instead."""

    def can_consume(self) -> bool:
        """Tell whether the worker may be given another message."""
        return not state.reserved_requests and bool(super().can_consume())  # type: ignore[no-untyped-call]


class Channel(filesystem.Channel):
    """One file per message; a file that has its name is complete."""

    QoS = QoS
    supports_fanout = False  # each process knows the queues it publishes to: no routing table has to be kept on disk

    def get_table(self, exchange: str) -> list[Any]:
        """Return the queues that this process has bound to an exchange."""
        table: list[Any] = virtual.Channel.get_table(self, exchange)  # type: ignore[no-untyped-call]
        return table

    def _put(self, queue: str, payload: dict[str, Any], **_: object) -> None:  # type: ignore[override]
        folder = Path(self.data_folder_out)
        name = f"{time.time_ns():020d}_{uuid.uuid4().hex}.{queue}.msg"
        unfinished = folder / f".{name}"
        unfinished.write_text(json.dumps(payload), encoding="utf-8")
        unfinished.rename(folder / name)
        ring(folder)

    def _get(self, queue: str, timeout: float | None = None) -> dict[str, Any]:  # noqa: ARG002 - never waits
        for path in self._waiting(queue):
            payload = self._take(path)
            if payload is not None:
                return payload
        raise Empty

    def _waiting(self, queue: str) -> list[Path]:
        """Return the messages of a queue, oldest first."""
        ending = f"{queue}.msg"
        return sorted(path for path in Path(self.data_folder_in).iterdir() if path.name.partition(".")[2] == ending)

    def _take(self, path: Path) -> dict[str, Any] | None:
        """Return the message of a file if it is whole and this consumer was the one to remove it."""
        try:
            content = path.read_bytes()
            path.unlink()
        except FileNotFoundError:
            return None
        try:
            payload: dict[str, Any] = json.loads(content)
            self.Message(payload, channel=self)  # type: ignore[no-untyped-call]
        except (ValueError, KeyError, TypeError, AttributeError) as problem:
            logger.warning("dropped a damaged message of %d bytes (%r)", len(content), problem)
            return None
        return payload


class Transport(filesystem.Transport):
    """The transport to name in `broker_transport`."""

    Channel = Channel
    _bell: Bell | None = None
    _has_rung = False  # while the worker was busy, so that a hint may lie there when it has become free

    def drain_events(self, connection: Connection, timeout: float | None = None, **_: object) -> None:
        """Deliver one message or raise TimeoutError, soon: a worker looks in between whether it was told to stop."""
        seconds = DRAIN_SECONDS if timeout is None else min(timeout, DRAIN_SECONDS)
        deadline = time.monotonic() + seconds
        while not self._delivers_one(connection):
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            if not state.reserved_requests:
                self._has_rung = False
            self._has_rung |= self._wait(min(left, BUSY_SECONDS) if self._has_rung else left)
        self._has_rung = False

    def _delivers_one(self, connection: Connection) -> bool:
        try:
            super().drain_events(connection, timeout=0)  # type: ignore[no-untyped-call]
        except TimeoutError:
            return False
        return True

    def _wait(self, seconds: float) -> bool:
        """Wait until somebody rings, and return whether; shortly where the file system has no named pipes."""
        try:
            if self._bell is None:
                client: Any = self.client
                self._bell = Bell(Path(client.transport_options["data_folder_in"]))
        except OSError:
            time.sleep(min(seconds, BUSY_SECONDS))
            return False
        return self._bell.wait(seconds)

    def close_connection(self, connection: Connection) -> None:
        """Close the channels, and remove the bell."""
        super().close_connection(connection)  # type: ignore[no-untyped-call]
        if self._bell is not None:
            self._bell.close()
            self._bell = None
