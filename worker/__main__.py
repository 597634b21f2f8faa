"""`python -m worker` is one slot; it is told what to do through EPOCHD_* variables."""

import logging
import os
import sys
import threading
import time
import warnings
from typing import Any

from celery import Celery, concurrency, signals

from mlcore.openmp import environment, usable_cores
from store.errors import StoreError
from store.startup import require_database
from worker import cards, stopping, tasks
from worker.broker import make_app
from worker.lifeline import end_with
from worker.logs import configure_logging
from worker.settings import WorkerSettings
from worker.slot import Slot

logger = logging.getLogger(__name__)

EXIT_STATUS_SECONDS = 1.0  # how long to wait to learn what a child died of
SIGN_OFF_SECONDS = 2.0
NO_CARD = 78  # exit status of a worker that is configured for what is not here


def main() -> int:
    """Run one slot, with the settings of the environment, until it is told to stop or loses its child."""
    settings = WorkerSettings()
    configure_logging(settings.slot or "worker")
    warnings.filterwarnings("ignore", "You're running the worker with superuser")  # usual in containers
    end_with(settings.lifeline)
    try:
        require_database(settings)
        settings = equipped(settings)
    except (StoreError, cards.NoCard) as problem:
        logger.error("%s", problem)
        return NO_CARD if isinstance(problem, cards.NoCard) else 1
    if settings.threads_or_cores == len(usable_cores()):  # else whoever started it says which cores are its own
        os.environ.update(environment(usable_cores()))
    return run(settings)


def equipped(settings: WorkerSettings) -> WorkerSettings:
    """Return the settings with the card to train on, which is looked for if none is named; raises NoCard."""
    if settings.device != "cpu" and settings.card is not None:
        return settings
    found = cards.for_device(settings.device)
    return settings.model_copy(update={"card": found[0] if found else None})


def run(settings: WorkerSettings) -> int:
    """Run one slot; returns an exit status."""
    app = make_app(settings)
    slot = Slot(settings, app)
    slot.release_predecessor()
    tasks.register(app, slot.work)
    watching = _connect(slot)
    worker = _celery_worker(app, slot.name, settings.queues)
    worker.start()
    for thread in watching:
        thread.join(SIGN_OFF_SECONDS)
    return worker.exitcode or 0


def _connect(slot: Slot) -> list[threading.Thread]:
    """Tell the slot what happens to its Celery worker; returns where the thread that watches the child will be."""
    watching: list[threading.Thread] = []

    def watch(sender: Any, **_: object) -> None:  # noqa: ANN401 - Celery has no types
        slot.enter_parent()
        child = sender.pool._pool._pool[0]  # there is no other way to it
        thread = threading.Thread(target=slot.watch, args=(lambda: how_it_ended(child),), name="watch", daemon=True)
        watching.append(thread)
        thread.start()

    signals.setup_logging.connect(lambda **_: None, weak=False)  # it is set up already
    signals.worker_process_init.connect(lambda **_: slot.enter_child(), weak=False)
    signals.worker_ready.connect(watch, weak=False)
    signals.worker_shutting_down.connect(lambda **_: slot.leave(), weak=False)
    return watching


def how_it_ended(child: Any) -> str:  # noqa: ANN401 - billiard has no types
    """Say what a child process that is gone died of."""
    deadline = time.monotonic() + EXIT_STATUS_SECONDS
    while child.exitcode is None and time.monotonic() < deadline:
        time.sleep(0.01)
    return "went away" if child.exitcode is None else stopping.how_it_ended(child.exitcode)


def _celery_worker(app: Celery, name: str, queues: tuple[str, ...]) -> Any:  # noqa: ANN401
    return app.Worker(
        hostname=name,
        pool_cls=concurrency.get_implementation("prefork"),
        queues=",".join(queues),
        without_gossip=True,  # workers do not talk to each other: the database knows
        without_mingle=True,
        without_heartbeat=True,
        loglevel=logging.WARNING,
        quiet=True,
    )


if __name__ == "__main__":
    sys.exit(main())
