"""Deleting experiments: from one moment on nobody finds it, and then its rows go bit by bit.

All of a sweep at once would keep every other writer waiting for seconds. What is half gone is seen by nobody, and
whoever purges next goes on with it.
"""

from collections.abc import Iterator
from uuid import UUID

from sqlalchemy import ColumnElement, Delete, delete, select, tuple_, update
from sqlalchemy.orm import Session

from store import experiments
from store.clock import database_now
from store.errors import StillRunning
from store.statements import change
from store.status import FINAL, Status
from store.tables import Checkpoint, Event, Experiment, Flush, IdempotencyKey, Job, Run

# So many rows go at once: with what depends on them some tens of megabytes at most, usually far less.
CHECKPOINTS_AT_ONCE = 50
RUNS_AT_ONCE = 200
ROWS_AT_ONCE = 2000


def delete_experiment(session: Session, experiment_id: UUID, owner: str | None = None) -> None:
    """Cancel what waits of the experiment and let nobody find it any more; `purge` frees its space.

    Its idempotency key is free again at once. Raises NotFound, and StillRunning while a run of it trains.
    """
    experiment, _ = experiments.lock(session, experiment_id, owner)
    if experiment.status is Status.RUNNING:
        raise StillRunning(f"Experiment {experiment_id} is running: cancel it first, or wait until it has ended.")
    if experiment.status not in FINAL:
        experiments.cancel(session, experiment_id)
    _let_go(session, Experiment.id == experiment_id)


def delete_ephemeral(session: Session, after_seconds: float) -> None:
    """Delete the ephemeral experiments that ended so many seconds ago."""
    is_due = Experiment.finished_at < database_now() - after_seconds
    _let_go(session, Experiment.ephemeral & is_due & Experiment.deleted_at.is_(None))


def _let_go(session: Session, chosen: ColumnElement[bool]) -> None:
    """Let nobody find these experiments any more, and free their idempotency keys."""
    theirs = IdempotencyKey.experiment_id.in_(select(Experiment.id).where(chosen))
    change(session, delete(IdempotencyKey).where(theirs))
    change(session, update(Experiment).where(chosen).values(deleted_at=database_now()))


def purge(session: Session) -> bool:
    """Remove some rows of an experiment that was deleted; return whether there was one."""
    query = select(Experiment.id).where(Experiment.deleted_at.is_not(None)).order_by(Experiment.deleted_at).limit(1)
    experiment_id = session.scalars(query.with_for_update(skip_locked=True)).one_or_none()
    if experiment_id is None:
        return False
    for statement in _in_order(experiment_id):
        if change(session, statement).rowcount:
            break
    return True


def _in_order(experiment_id: UUID) -> Iterator[Delete]:
    """Yield what removes the experiment when each is executed until it finds nothing; the rest cascades."""
    of_jobs = select(Checkpoint.id).join(Job, Job.id == Checkpoint.job_id).where(Job.experiment_id == experiment_id)
    yield delete(Checkpoint).where(Checkpoint.id.in_(of_jobs.limit(CHECKPOINTS_AT_ONCE)))
    some_runs = select(Run.id).where(Run.experiment_id == experiment_id).limit(RUNS_AT_ONCE)
    yield delete(Run).where(Run.id.in_(some_runs))
    some_jobs = select(Job.id).where(Job.experiment_id == experiment_id).limit(ROWS_AT_ONCE)
    yield delete(Job).where(Job.id.in_(some_jobs))
    events = select(Event.seq, Event.number).where(Event.experiment_id == experiment_id).limit(ROWS_AT_ONCE)
    yield delete(Event).where(Event.experiment_id == experiment_id, tuple_(Event.seq, Event.number).in_(events))
    flushes = select(Flush.seq).where(Flush.experiment_id == experiment_id).limit(ROWS_AT_ONCE)
    yield delete(Flush).where(Flush.experiment_id == experiment_id, Flush.seq.in_(flushes))
    yield delete(Experiment).where(Experiment.id == experiment_id)
