"""A database as the migrations make it, on each stack, and experiments in it."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from mlcore.spec import parse_run_spec
from store import experiments, jobs, runs
from store.engine import Database, make_engine
from store.experiments import NewJob
from store.jobs import Claim
from store.tables import Run
from tests.stacks import STACKS, Stack, stack_of
from worker.settings import WorkerSettings

Json = dict[str, Any]
Submit = Callable[..., list[UUID]]


@pytest.fixture(params=STACKS)
def stack(request: pytest.FixtureRequest) -> Iterator[Stack]:
    with stack_of(request, request.param) as stack:
        yield stack


@pytest.fixture
def settings(tmp_path: Path, stack: Stack) -> WorkerSettings:
    return stack.settings(tmp_path)


@pytest.fixture
def database(settings: WorkerSettings, sqlite_template: Path) -> Iterator[Database]:
    if settings.database_url is None:
        shutil.copy(sqlite_template, settings.data / "epochd.db")
    database = Database(make_engine(settings.url))
    yield database
    database.dispose()


@pytest.fixture
def submit(database: Database) -> Submit:
    """Store an experiment of one job; its runs train as one stack. Returns their ids."""

    def submit(*specs: Json, queue: str = "cpu") -> list[UUID]:
        resolved = [resolve(spec) for spec in specs]
        with database.write() as session:
            experiment = experiments.create(
                session, request={}, owner="", jobs=[NewJob(queue, resolved)], code_version="test"
            )
            members = runs.of_experiment(session, experiment.id, limit=100)
            return [run.id for run in members.items]

    return submit


def resolve(spec: Json) -> Json:
    return parse_run_spec(spec).model_dump(mode="json")


def claim(database: Database, *, worker: str = "slot", lease_seconds: float = 10.0) -> Claim:
    with database.write() as session:
        claimed = jobs.claim(
            session, worker=worker, queues=["cpu"], lease_seconds=lease_seconds, device="cpu", threads=1
        )
    assert claimed is not None
    return claimed


def run_of(database: Database, run_id: UUID) -> Run:
    with database.read() as session:
        return runs.get(session, run_id)


def statuses(database: Database, ids: Sequence[UUID]) -> list[str]:
    return [str(run_of(database, run_id).status) for run_id in ids]
