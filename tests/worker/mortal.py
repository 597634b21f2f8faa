"""Training that dies in the middle of an epoch, in a process of its own."""

import os
import signal
from collections.abc import Generator
from threading import Event
from typing import TypeVar

from mlcore.training import Tick, Training
from store.engine import Database, make_engine
from worker import execution
from worker.settings import WorkerSettings

T = TypeVar("T")


def train(settings: WorkerSettings, worker: str, dies_in: int | None) -> None:
    """Train what is queued; SIGKILL ends this process after the first steps of the epoch `dies_in`."""

    class Mortal(Training):
        def _ticking(self, work: Generator[None, None, T]) -> Generator[Tick, None, T]:
            if self.epoch + 1 == dies_in and not self._between_epochs:
                next(work, None)  # an epoch can be over at once
                os.kill(os.getpid(), signal.SIGKILL)
            return super()._ticking(work)

    vars(execution)["Training"] = Mortal
    database = Database(make_engine(settings.url))
    execution.Trainer(database, settings, worker, 1, Event()).work()
    database.dispose()
