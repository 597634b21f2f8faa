"""The janitor: a small process that puts right what others left behind. Any number of them may run, at any time.

`python -m worker.janitor`
"""

import logging
import sys
import time
from collections import Counter
from collections.abc import Callable

from sqlalchemy.exc import SQLAlchemyError

from store import deleting, jobs, workers
from store.engine import Database, make_engine
from store.errors import StoreError
from store.startup import require_database
from worker.broker import Publisher, make_app
from worker.lifeline import end_with
from worker.logs import configure_logging
from worker.pulse import beat
from worker.settings import WorkerSettings
from worker.stopping import Stop

logger = logging.getLogger(__name__)

LIVE_HEARTBEATS = 5  # a slot that missed so many heartbeats is taken for gone
FORGOTTEN_HEARTBEATS = 60  # and after so many it is not remembered any more
PURGE_SECONDS = 0.5  # of each round, at most: others want to write too, and leases to be looked after


def run_once(database: Database, publish: Callable[[str], None], settings: WorkerSettings) -> None:
    """Rescue jobs whose lease ran out, forget dead slots, publish hints for jobs that an idle slot could take.

    Delete ephemeral experiments whose time has come, and free the space of what was deleted, as far as time allows.
    """
    with database.write() as session:
        expired = jobs.expire(session, max_crashes=settings.max_crashes)
        workers.forget_silent(session, for_seconds=FORGOTTEN_HEARTBEATS * settings.heartbeat_seconds)
        deleting.delete_ephemeral(session, settings.ephemeral_seconds)
    for job in expired:
        logger.warning("the lease of job %s ran out", job)
    for queue, count in hints_needed(database, settings).items():
        for _ in range(count):
            publish(queue)
    purge(database)


def purge(database: Database, seconds: float = PURGE_SECONDS) -> None:
    """Free the space of deleted experiments, a little at a time, for at most so long."""
    deadline, is_left = time.monotonic() + seconds, True
    while is_left and time.monotonic() < deadline:
        with database.write() as session:
            is_left = deleting.purge(session)


def hints_needed(database: Database, settings: WorkerSettings) -> Counter[str]:
    """Count, by queue, the queued jobs for which there may be no hint: no more of them than idle slots."""
    with database.read() as session:
        queued = jobs.queued(session)
        if not queued:
            return Counter()
        live = workers.live(session, within_seconds=LIVE_HEARTBEATS * settings.heartbeat_seconds)
        busy = jobs.holders(session)
    idle = Counter(queue for worker in live if worker.name not in busy for queue in worker.queues)
    return Counter({queue: min(count, idle[queue]) for queue, count in queued.items()})


def run(settings: WorkerSettings, stop: Stop) -> None:
    """Look every `janitor_seconds` until told to stop; a database or broker that is away is waited for."""
    database = Database(make_engine(settings.url))
    publisher = Publisher(make_app(settings))
    try:
        is_told = False
        while not is_told:
            try:
                run_once(database, publisher.publish, settings)
                beat(settings.pulse)
            except SQLAlchemyError as problem:
                logger.warning("the database did not answer: %s", problem)
            is_told = stop.wait(settings.janitor_seconds)
    finally:
        publisher.close()
        database.dispose()


def main() -> int:
    """Run the janitor with the settings of the environment until SIGTERM or SIGINT."""
    settings = WorkerSettings()
    configure_logging("janitor")
    end_with(settings.lifeline)
    try:
        require_database(settings)
    except StoreError as problem:
        logger.error("%s", problem)
        return 1
    run(settings, Stop())
    return 0


if __name__ == "__main__":
    sys.exit(main())
