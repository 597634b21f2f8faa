"""Running again what failed or was cancelled: the one way out of those states."""

from collections.abc import Sequence
from itertools import groupby
from uuid import UUID

from sqlalchemy import Integer, Uuid, delete, func, select, update
from sqlalchemy.orm import Session

from store import experiments
from store.bulk import given, given_table, insert_columns
from store.clock import read_clock
from store.errors import NothingToRetry
from store.history import STATUS_CHANGED, Note, record
from store.identifiers import new_id
from store.jobs import CPU
from store.paging import AnyRow
from store.statements import change
from store.status import FINAL, Status
from store.tables import Checkpoint, CurveSegment, Experiment, Job, Run
from store.transitions import SKIPPED

RETRIED = "its retry was asked for"
DIVERGED = "diverged"
"""The kind of error of a run whose loss became infinite: trained again it would diverge to the same bits."""


def retry(session: Session, experiment_id: UUID, owner: str | None = None) -> tuple[Experiment, int]:
    """Queue the experiment's runs that failed or were cancelled again; return it as it is then, and how many jobs wait.

    They start anew: what they had stored goes. Those that shared a job share a new one, without the runs that have
    succeeded, diverged or are not final yet. An experiment that had ended starts anew too: its pace is measured from
    then on. Raises NotFound, and NothingToRetry.
    """
    had_ended = experiments.lock(session, experiment_id, owner)[0].status in FINAL
    runs = _retriable(session, experiment_id)
    if not runs:
        raise NothingToRetry(
            f"Nothing of experiment {experiment_id} can be retried: no run of it has failed, other than by diverging, "
            "or been cancelled."
        )
    new_jobs = _insert_jobs(session, experiment_id, runs)
    _queue(session, runs, new_jobs)
    change(session, update(Experiment).where(Experiment.id == experiment_id).values(cancel_requested=False))
    notes = [
        Note(STATUS_CHANGED, RETRIED, new_jobs[run.job_id], run.id, Status.QUEUED, run.status, skipped=-run.skipped)
        for run in runs
    ]
    record(session, experiment_id, notes, epochs=-sum(run.epochs_done for run in runs))
    if had_ended:
        anew = {"started_at": None, "epochs_reused": Experiment.epochs_done}
        change(session, update(Experiment).where(Experiment.id == experiment_id).values(**anew))
    return experiments.get(session, experiment_id), len(new_jobs)


def _retriable(session: Session, experiment_id: UUID) -> Sequence[AnyRow]:
    kind = func.coalesce(Run.error["kind"].as_string(), "")
    query = (
        select(Run.id, Run.job_id, Run.status, Run.epochs_done, SKIPPED, Job.queue, Job.priority, Job.owner, Job.device)
        .join(Job, Job.id == Run.job_id)
        .where(Run.experiment_id == experiment_id, Run.status.in_([Status.FAILED, Status.CANCELLED]), kind != DIVERGED)
        .order_by(Run.job_id, Run.stack_index)
    )
    return session.execute(query).all()


def _insert_jobs(session: Session, experiment_id: UUID, runs: Sequence[AnyRow]) -> dict[UUID, UUID]:
    """Make a job for each one that the runs shared; return their ids by the ids of those."""
    first = {run.job_id: run for run in runs}
    new_jobs = {job_id: new_id() for job_id in first}
    shared = {
        "experiment_id": experiment_id,
        "owner": runs[0].owner,
        "priority": runs[0].priority,
        "status": Status.QUEUED,
        "created_at": read_clock(session),
    }
    columns = {
        "id": list(new_jobs.values()),
        "queue": [run.queue for run in first.values()],
        "device": [CPU if run.device == CPU else None for run in first.values()],  # what was bound to it stays so
    }
    insert_columns(session, Job, {**shared, "fence": 0, "claims": 0, "crashes": 0}, columns)
    return new_jobs


def _queue(session: Session, runs: Sequence[AnyRow], new_jobs: dict[UUID, UUID]) -> None:
    """Move the runs to their new jobs, as if they had never been trained."""
    moves = given(
        (run.id, new_jobs[job_id], column)
        for job_id, members in groupby(runs, lambda run: run.job_id)
        for column, run in enumerate(members)
    )
    move = given_table({"run": Uuid(), "job": Uuid(), "column": Integer()})
    change(session, delete(CurveSegment).where(CurveSegment.run_id.in_(select(move.c.run))), moves)
    change(session, delete(Checkpoint).where(Checkpoint.run_id.in_(select(move.c.run))), moves)
    emptied = dict.fromkeys(("summary", "error", "started_at", "finished_at"))
    statement = (
        update(Run)
        .where(Run.id == move.c.run, Run.status.in_([Status.FAILED, Status.CANCELLED]))
        .values(
            status=Status.QUEUED,
            job_id=move.c.job,
            stack_index=move.c.column,
            cancel_requested=False,
            epochs_done=0,
            **emptied,
        )
    )
    change(session, statement, moves)
