"""Short ways to submit, claim and store, each in a transaction of its own, and a look whether everything adds up."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import numpy as np
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from store import events, experiments, flushes, jobs, runs
from store.clock import read_clock
from store.curves import Segment
from store.engine import Database
from store.experiments import NewJob
from store.jobs import Claim
from store.retrying import DIVERGED, RETRIED
from store.status import FINAL, Status, combined
from store.tables import Checkpoint, Event, Experiment, Job, Run
from tests.store.strategies import History
from tests.waiting import wait_until

SPEC: dict[str, Any] = {"variant": "polynomial", "epochs": 10, "seed": 0, "data_seed": 0}


def submit(database: Database, *stacks: int, queue: str = "cpu", **more: Any) -> Experiment:
    """Submit an experiment with a job for each stack, of so many runs; by default one job of one run."""
    new = [NewJob(queue, [SPEC] * runs) for runs in stacks or (1,)]
    details: dict[str, Any] = {"request": {"spec": dict(SPEC)}, "owner": "ann", "code_version": "1"} | more
    with database.write() as session:
        return experiments.create(session, jobs=new, **details)


def try_claim(database: Database, worker: str = "slot-1", lease_seconds: float = 60, **more: Any) -> Claim | None:
    """Claim a job; a negative lease has run out already."""
    details: dict[str, Any] = {"queues": ["cpu"], "device": "cpu", "threads": 1} | more
    with database.write() as session:
        return jobs.claim(session, worker=worker, lease_seconds=lease_seconds, **details)


def claim(database: Database, worker: str = "slot-1", lease_seconds: float = 60, **more: Any) -> Claim:
    claimed = try_claim(database, worker, lease_seconds, **more)
    assert claimed is not None
    return claimed


def segment(run_id: UUID, first: int, last: int) -> Segment:
    epochs = np.arange(first, last + 1)
    return Segment(run_id, epochs, {"train_loss": 1.0 / epochs, "test_loss": 2.0 / epochs})


def wait_for_the_next_millisecond(database: Database) -> None:
    """Until the database's clock tells apart what was before and what comes: SQLite's counts milliseconds."""
    before = _clock(database)
    wait_until(lambda: _clock(database) > before, pause=0.001)


def _clock(database: Database) -> float:
    with database.read() as session:
        return read_clock(session)


def store_epochs(database: Database, held: Claim, first: int, last: int, lease_seconds: float = 60) -> set[UUID]:
    """Store these epochs of every run of the claim; returns the runs to cancel."""
    with database.write() as session:
        segments = [segment(run.run_id, first, last) for run in held.runs]
        return flushes.write(session, held, segments, lease_seconds)


def store_history(database: Database, held: Claim, run_id: UUID, history: History) -> None:
    """Store a run's history as the segments that it is cut into."""
    epochs, series, cuts = history
    for part in np.split(np.arange(epochs.size), cuts):
        with database.write() as session:
            piece = Segment(run_id, epochs[part], {name: values[part] for name, values in series.items()})
            flushes.write(session, held, [piece], 60)


def finish(
    database: Database,
    held: Claim,
    run_id: UUID,
    status: Status = Status.SUCCEEDED,
    result_key: str | None = None,
    kind: str = DIVERGED,
) -> bool:
    error = {"kind": kind, "detail": "the loss became infinite"} if status is Status.FAILED else None
    with database.write() as session:
        return runs.finish(session, held, run_id, status, {}, error, result_key)


def finish_all(
    database: Database, held: Claim, status: Status = Status.SUCCEEDED, result_key: str | None = None
) -> None:
    for run in held.runs:
        finish(database, held, run.run_id, status, result_key)


def experiment(database: Database, experiment_id: UUID) -> Experiment:
    with database.read() as session:
        return experiments.get(session, experiment_id)


def job(database: Database, job_id: UUID) -> Job:
    with database.read() as session:
        return jobs.get(session, job_id)


def run(database: Database, run_id: UUID) -> Run:
    with database.read() as session:
        return runs.get(session, run_id)


def statuses(database: Database, job_id: UUID) -> list[Status]:
    with database.read() as session:
        return [run.status for run in runs.of_job(session, job_id)]


def kinds(database: Database, experiment_id: UUID) -> Mapping[str, int]:
    with database.read() as session:
        return events.counts(session, experiment_id)


def check_all_adds_up(database: Database) -> None:
    """What holds of every experiment, job and run at any moment."""
    with database.read() as session:
        all_runs = list(session.scalars(select(Run)))
        for job in session.scalars(select(Job)):
            _check_job(job, [run for run in all_runs if run.job_id == job.id])
        _check_states(session)
        for experiment in session.scalars(select(Experiment)):
            members = [run for run in all_runs if run.experiment_id == experiment.id]
            _check_experiment(experiment, members)
            _check_told(events.of_experiment(session, experiment.id, limit=10**6), members)


def _check_states(session: Session) -> None:
    """What a job resumes from goes with its end, and never leads the curves of those that go on."""
    query = select(Checkpoint.epoch, Job, func.max(Run.epochs_done)).join(Job, Job.id == Checkpoint.job_id)
    states = query.join(Run, Run.job_id == Job.id).where(Checkpoint.run_id.is_(None)).group_by(Checkpoint.id, Job.id)
    for epoch, job, epochs_done in session.execute(states):
        assert job.status not in FINAL
        assert epoch <= epochs_done


def _check_job(job: Job, members: Sequence[Run]) -> None:
    if job.status not in FINAL:  # the runs of one that has ended may have been retried in another
        assert job.status == combined(Counter(run.status for run in members))
    assert all(run.status in FINAL for run in members) == (job.status in FINAL)
    assert (job.finished_at is not None) == (job.status in FINAL)
    assert (job.lease_until is not None) == (job.status is Status.RUNNING)
    assert job.fence == job.claims


def _check_experiment(experiment: Experiment, members: Sequence[Run]) -> None:
    counts = Counter(run.status for run in members)
    assert {status: getattr(experiment, status) for status in Status} == {status: counts[status] for status in Status}
    assert experiment.status == combined(counts, cancel_asked=experiment.cancel_requested)
    assert (experiment.finished_at is not None) == (experiment.status in FINAL)
    assert experiment.epochs_done == sum(run.epochs_done for run in members)
    copied = sum(run.epochs_done for run in members if run.reused_from is not None)
    assert experiment.epochs_reused >= copied  # and what was there before a retry
    assert experiment.epochs_left == sum(run.epochs - run.epochs_done for run in members if run.status not in FINAL)
    assert all((run.finished_at is not None) == (run.status in FINAL) for run in members)
    assert all(run.status is Status.SUCCEEDED for run in members if run.result_key is not None)
    assert all(run.result_key is not None for run in members if run.reused_from is not None)


def _check_told(told: Sequence[Event], members: Sequence[Run]) -> None:
    """Who reads the events from the first on knows how every run stands."""
    known = {run.id: Status.QUEUED for run in members}
    job_of = {run.id: run.job_id for run in members}
    job_of |= {event.run_id: event.job_id for event in reversed(told) if event.run_id and event.job_id}  # the first one
    for event in told:
        if event.runs is not None and event.status is not None:
            moved = [
                run_id for run_id, job_id in job_of.items() if job_id == event.job_id and known[run_id] not in FINAL
            ]
            assert len(moved) == event.runs
            known |= dict.fromkeys(moved, event.status)
        elif event.run_id is not None and event.status is not None and event.job_id is not None:
            assert (known[event.run_id] in FINAL) == (event.reason == RETRIED)
            known[event.run_id], job_of[event.run_id] = event.status, event.job_id
    assert known == {run.id: run.status for run in members}
    assert job_of == {run.id: run.job_id for run in members}
