"""A process of the tests: reads lines of [task, database URL, arguments …], does each and prints its result as JSON."""

import json
import sys
from collections.abc import Callable
from random import Random
from typing import Any
from uuid import UUID

from sqlalchemy import update
from sqlalchemy.orm import Session

from store import experiments, jobs, runs, schema
from store.engine import Database, make_engine
from store.errors import AlreadyFinal, LeaseLost, NothingToRetry
from store.jobs import Claim
from store.retrying import retry
from store.reuse import reuse_earlier
from store.status import FINAL
from store.tables import Experiment
from tests.store.samples import finish, store_epochs, try_claim


def claim_until_empty(database: Database, worker: str) -> list[str]:
    claimed = []
    while (held := try_claim(database, worker)) is not None:
        claimed.append(str(held.job_id))
    return claimed


def train_until_empty(database: Database, worker: str) -> int:
    """Claim, store epochs one by one, finish."""
    jobs_done = 0
    while (held := try_claim(database, worker)) is not None:
        for epoch in range(1, 4):
            store_epochs(database, held, epoch, epoch)
        for run in held.runs:
            finish(database, held, run.run_id)
        jobs_done += 1
    return jobs_done


def expire(database: Database) -> list[str]:
    with database.write() as session:
        return [str(job_id) for job_id in jobs.expire(session)]


def raise_priority(database: Database, experiment_id: str, times: str) -> None:
    """Read, then write what was read plus one."""
    for _ in range(int(times)):
        with database.write() as session:
            priority = experiments.get(session, UUID(experiment_id)).priority
            raised = update(Experiment).where(Experiment.id == UUID(experiment_id)).values(priority=priority + 1)
            session.execute(raised)


def stir(database: Database, seed: str, steps: str) -> int:
    """Do whatever workers, janitors and users may do, in a random order; returns how often somebody came too late."""
    chance, held, too_late = Random(int(seed)), list[Claim](), 0  # noqa: S311  no secret
    for _ in range(int(steps)):
        try:
            held += _do_something(database, chance, chance.choice(held) if held else None)
        except (LeaseLost, AlreadyFinal, NothingToRetry):
            too_late += 1
    return too_late


def _do_something(database: Database, chance: Random, held: Claim | None) -> list[Claim]:
    worker, what = f"slot-{chance.randrange(4)}", chance.randrange(10)
    if what <= 1 or held is None:
        claimed = try_claim(database, worker, lease_seconds=chance.choice([-1, 60]))
        return [] if claimed is None else [claimed]
    if what == 2:
        first = chance.randrange(1, 10)
        store_epochs(database, held, first, first + 2, lease_seconds=chance.choice([-1, 60]))
    elif what == 3:
        finish(database, held, chance.choice(held.runs).run_id, chance.choice(sorted(FINAL)), chance.choice("kl"))
    else:
        with database.write() as session:
            _change_somehow(session, chance, held, worker, what)
    return []


def _change_somehow(session: Session, chance: Random, held: Claim, worker: str, what: int) -> None:
    if what == 4:
        jobs.expire(session)
    elif what == 5:
        jobs.release_worker(session, worker, "killed by SIGKILL")
    elif what == 6:
        jobs.give_back(session, held, "shut down")
    elif what == 7:
        reuse_earlier(session, held, {run.run_id: chance.choice("kl") for run in held.runs})
    elif what == 8:
        retry(session, held.experiment_id)
    elif chance.random() < 0.2:
        experiments.cancel(session, held.experiment_id)
    else:
        runs.cancel(session, chance.choice(held.runs).run_id)


def retry_experiment(database: Database, experiment_id: str) -> int:
    """Return how many jobs that made."""
    try:
        with database.write() as session:
            return retry(session, UUID(experiment_id))[1]
    except NothingToRetry:
        return 0


def upgrade(database: Database) -> None:
    schema.upgrade(database.engine)


TASKS: dict[str, Callable[..., Any]] = {
    task.__name__: task
    for task in (claim_until_empty, train_until_empty, expire, raise_priority, stir, retry_experiment, upgrade)
}


def main() -> None:
    for line in sys.stdin:
        task, url, *arguments = json.loads(line)
        database = Database(make_engine(url))
        print(json.dumps(TASKS[task](database, *arguments)), flush=True)
        database.dispose()


if __name__ == "__main__":
    main()
