"""Training that dies in the middle of an epoch, in a process of its own."""

import os
import signal
from collections.abc import Iterator
from threading import Event, Timer

from mlcore.training import EpochReport, Tick, Training
from store.engine import Database, make_engine
from worker import execution
from worker.settings import WorkerSettings


def train(settings: WorkerSettings, worker: str, dies_in: int | None, after_seconds: float) -> None:
    """Train what is queued; SIGKILL ends this process so long after the epoch has begun."""

    class Mortal(Training):
        def __iter__(self) -> Iterator[EpochReport | Tick]:
            self._meet_fate()
            for report in super().__iter__():
                yield report
                self._meet_fate()

        def _meet_fate(self) -> None:
            if dies_in is not None and self.epoch == dies_in - 1:
                Timer(after_seconds, os.kill, (os.getpid(), signal.SIGKILL)).start()

    vars(execution)["Training"] = Mortal
    database = Database(make_engine(settings.url))
    execution.Trainer(database, settings, worker, 1, Event()).work()
    database.dispose()
