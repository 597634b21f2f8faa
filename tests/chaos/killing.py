"""Killing one process of a service, and finding out whether that cut a training short."""

import contextlib
import signal
import time
from collections import Counter
from collections.abc import Callable
from typing import Final

import psutil

from store import jobs
from store.engine import Database
from tests.chaos.schedule import Kill
from tests.end_to_end.service import Service
from tests.servers import Server

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
        """Kill the target; one that trains counts as a hit. What is not there within 20 s is passed over."""
        if kill.target == "redis":
            self._kill_redis()
        elif victims := self._victims(kill):
            self._freeze(victims)  # so that it is still true when they die
            is_training = kill.target in ("slot", "child") and self._trains(kill.slot)
            for victim in victims:
                with contextlib.suppress(psutil.NoSuchProcess):
                    victim.kill()
            psutil.wait_procs(victims, timeout=PATIENCE_SECONDS)
            self.hits += is_training
            self.kills[kill.target] += 1

    def _victims(self, kill: Kill) -> list[psutil.Process]:
        find: dict[str, Callable[[], list[psutil.Process]]] = {
            "slot": lambda: self._slot(kill, with_parent=True),
            "child": lambda: self._slot(kill, with_parent=False),
            "api": lambda: self._running("epochd.serve"),
            "janitor": lambda: self._running("worker.janitor"),
        }
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not (found := find[kill.target]()) and time.monotonic() < deadline:
            time.sleep(LOOK_SECONDS)
        return found

    def _slot(self, kill: Kill, *, with_parent: bool) -> list[psutil.Process]:
        """The processes of a slot, once it has a child, and trains if asked for; the parent first, which watches it."""
        for parent in self._service.supervisor.children():
            with contextlib.suppress(psutil.NoSuchProcess):
                if parent.environ().get("EPOCHD_SLOT") == f"slot-{kill.slot}" and (children := parent.children()):
                    is_due = not kill.at_work or self._trains(kill.slot)
                    return ([parent, *children] if with_parent else children) if is_due else []
        return []

    def _running(self, module: str) -> list[psutil.Process]:
        found = []
        for process in self._service.supervisor.children():
            with contextlib.suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
                if module in process.cmdline():
                    found.append(process)
        return found

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
