"""What must hold of an experiment after any fault, read from the database itself."""

from collections.abc import Sequence
from itertools import pairwise
from uuid import UUID

from store import curves, events, experiments, jobs, runs
from store.engine import Database, make_engine
from store.history import CRASHED
from store.status import FINAL, Status
from store.tables import Event
from tests.end_to_end.service import Service

AFTER = {  # what may follow a status
    Status.QUEUED: {Status.RUNNING, Status.CANCELLED},
    Status.RUNNING: {Status.QUEUED, *FINAL},
}


def assert_told_once(service: Service, experiment_id: str) -> list[Event]:
    """Assert that every run ended once, after allowed steps and with a whole curve; returns the experiment's events."""
    database = Database(make_engine(service.stack.settings(service.data).url))
    try:
        with database.read() as session:
            experiment = experiments.get(session, UUID(experiment_id))
            happened = events.of_experiment(session, experiment.id)
            members = runs.of_experiment(session, experiment.id, limit=100).items
            assert experiment.total_runs == len(members)
            for run in members:
                steps = [event.status for event in events.of_run(session, run.id) if event.status is not None]
                assert_allowed(steps)
                assert steps[-1] == run.status
                assert steps.count(Status.RUNNING) == jobs.get(session, run.job_id).claims
                assert curves.read(session, run.id).epochs.tolist() == list(range(1, run.epochs_done + 1))
                assert run.status != Status.SUCCEEDED or run.epochs_done == run.epochs
            return happened
    finally:
        database.dispose()


def crashes(happened: Sequence[Event]) -> list[str]:
    """Why each crash was counted."""
    return [event.reason or "" for event in happened if event.kind == CRASHED]


def assert_allowed(steps: Sequence[Status]) -> None:
    """Assert that a run went from status to status as runs may, and ended once."""
    assert all(after in AFTER[before] for before, after in pairwise(steps)), steps
    assert sum(step in FINAL for step in steps) == 1
