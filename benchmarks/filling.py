"""Fills a database with finished experiments through the store, as workers leave them behind."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final
from uuid import UUID

import numpy as np
from sqlalchemy import text
from sqlalchemy.orm import Session

from mlcore.spec import parse_run_spec
from store import experiments, flushes, jobs, runs, schema
from store.curves import Segment
from store.engine import Database, make_engine
from store.jobs import Claim
from store.status import Status
from store.transitions import Outcome

OWNER: Final = "local"
METRICS: Final = ("train_loss", "test_loss", "weight_l2_norm", "weight_l1_norm")
EXPERIMENTS_A_TRANSACTION: Final = 20
LEASE_SECONDS: Final = 600


def fill(database: Database, *, experiments_wanted: int, runs_each: int, epochs: int) -> list[UUID]:
    """Store so many finished experiments; return the id of one run of each."""
    values = np.random.default_rng(0).random((len(METRICS), epochs))
    series = dict(zip(METRICS, values, strict=True))
    some: list[UUID] = []
    while len(some) < experiments_wanted:
        at_once = min(EXPERIMENTS_A_TRANSACTION, experiments_wanted - len(some))
        with database.write() as session:
            some += [_experiment(session, runs_each, epochs, series) for _ in range(at_once)]
    return some


def _experiment(session: Session, runs_each: int, epochs: int, series: dict[str, Any]) -> UUID:
    spec = {"variant": "polynomial", "epochs": epochs}
    specs = [parse_run_spec({**spec, "seed": seed}).model_dump(mode="json") for seed in range(runs_each)]
    request = {"spec": spec, "seeds": runs_each}
    new = [experiments.NewJob("cpu", specs)]
    experiments.create(session, request=request, owner=OWNER, jobs=new, code_version="0")
    claim = _claim(session)
    counted = np.arange(1, epochs + 1)
    flushes.write(session, claim, [Segment(run.run_id, counted, series) for run in claim.runs], LEASE_SECONDS)
    summary = {name: {"last": 0.1, "min": 0.1, "min_epoch": epochs, "max": 0.9} for name in METRICS}
    runs.finish_all(session, claim, [Outcome(run.run_id, Status.SUCCEEDED, summary) for run in claim.runs])
    return claim.runs[len(claim.runs) // 2].run_id


def _claim(session: Session) -> Claim:
    claim = jobs.claim(
        session, worker="benchmark", queues=["cpu"], lease_seconds=LEASE_SECONDS, device="cpu", threads=1
    )
    assert claim is not None
    return claim


@contextmanager
def database_at(url: str) -> Iterator[Database]:
    """Open a database and bring it to the current schema."""
    database = Database(make_engine(url))
    schema.upgrade(database.engine)
    try:
        yield database
    finally:
        database.dispose()


def settle(database: Database) -> None:
    """Have PostgreSQL do at once what it would do by itself after so many rows: vacuum, and count what there is."""
    if database.engine.dialect.name == "postgresql":
        with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("VACUUM ANALYZE"))
