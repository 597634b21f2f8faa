"""Killing one process of a service, and finding out whether that cut a training short."""

import contextlib
import signal
import time
from collections import Counter
from collections.abc import Callable
from typing import Final, TypeVar

import psutil

from store import jobs
from store.engine import Database
from tests.chaos.schedule import Kill
from tests.end_to_end.service import Service
from tests.servers import Server

T = TypeVar("T")

PATIENCE_SECONDS: Final = 20.0  # a slot that was killed early several times is started again after ten
LOOK_SECONDS: Final = 0.05


class Killer:
    """Kills what a schedule says, as soon as it is there, and counts."""

    def __init__(self, service: Service, database: Database, redis: Server | None) -> None:
        self._service = service
        self._database = database
        self._redis = redis
        self.kills: Counter[str] = Counter()
        self.hits = 0

    def kill(self, kill: Kill) -> None:
        """Wait as the schedule says and kill the target, if it is there; a slot that trains counts as a hit."""
        if kill.at_work and kill.target in ("slot", "child"):
            self._wait_for(lambda: self._trains(kill.slot))
        time.sleep(kill.wait)
        if kill.target == "redis":
            self._kill_redis()
        elif victims := self._wait_for(lambda: self._victims(kill)):
            self._freeze(victims)  # so that it is still true when they die
            is_training = kill.target in ("slot", "child") and self._trains(kill.slot)
            for victim in victims:
                with contextlib.suppress(psutil.NoSuchProcess):
                    victim.kill()
            psutil.wait_procs(victims, timeout=PATIENCE_SECONDS)
            self.hits += is_training
            self.kills[kill.target] += 1

    @staticmethod
    def _wait_for(condition: Callable[[], T]) -> T:
        """Wait until the condition holds, for at most 20 s; return what it gave at last."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not (value := condition()) and time.monotonic() < deadline:
            time.sleep(LOOK_SECONDS)
        return value

    def _victims(self, kill: Kill) -> list[psutil.Process]:
        match kill.target:
            case "slot":
                return self._service.slot_processes(kill.slot)
            case "child":
                return self._service.slot_processes(kill.slot)[1:]
            case "api":
                return self._service.running("epochd.serve")
            case _:
                return self._service.running("worker.janitor")

    def _trains(self, slot: int) -> bool:
        with self._database.read() as session:
            return any(name.startswith(f"slot-{slot}@") for name in jobs.holders(session))

    def _kill_redis(self) -> None:
        if self._redis is not None:
            self._redis.kill()
            self._redis.start()
            self.kills["redis"] += 1

    @staticmethod
    def _freeze(victims: list[psutil.Process]) -> None:
        for victim in victims:
            with contextlib.suppress(psutil.NoSuchProcess):
                victim.send_signal(signal.SIGSTOP)
