"""The history of an experiment that a user reads."""

from collections.abc import Iterator, Sequence
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from store import runs
from store.history import Note, record
from store.statements import fresh
from store.status import FINAL
from store.tables import Event, Run


def add(
    session: Session,
    *,
    experiment_id: UUID,
    kind: str,
    reason: str | None = None,
    run_id: UUID | None = None,
    job_id: UUID | None = None,
) -> None:
    """Write an event that changes no status: of a run, a job, or (without both) the experiment."""
    record(session, experiment_id, [Note(kind, reason, job_id, run_id)])


def of_experiment(session: Session, experiment_id: UUID, *, after_seq: int = 0, limit: int = 1000) -> list[Event]:
    """Return up to `limit` events in the order they happened, those after this sequence number (0: all there are).

    Events of one sequence number happened at once and come together, so the limit may be exceeded by them.
    """
    query = select(Event).where(Event.experiment_id == experiment_id, Event.seq > after_seq)
    found = fresh(session, query.order_by(Event.seq, Event.number).limit(limit + 1))
    if len(found) <= limit:
        return found
    whole = [event for event in found if event.seq < found[-1].seq]
    return whole or fresh(session, query.where(Event.seq == found[0].seq).order_by(Event.number))


def of_run(session: Session, run_id: UUID) -> list[Event]:
    """Return what happened to the run, in order: its own events, and those of its jobs that tell of it too.

    The latter are those with `runs`, from when the job was the run's up to the run's end. Raises NotFound.
    """
    run = runs.get(session, run_id)
    of_its_own = select(Event.job_id).where(Event.experiment_id == run.experiment_id, Event.run_id == run_id)
    its_jobs = (Event.job_id == run.job_id) | Event.job_id.in_(of_its_own)
    moved_with_its_job = its_jobs & Event.run_id.is_(None) & Event.runs.is_not(None)
    query = select(Event).where(Event.experiment_id == run.experiment_id, (Event.run_id == run_id) | moved_with_its_job)
    return list(_of_the_run(run, fresh(session, query.order_by(Event.seq, Event.number))))


def _of_the_run(run: Run, happened: Sequence[Event]) -> Iterator[Event]:
    """Leave out what its jobs did while the run was not theirs: before it was retried, or after it had ended."""
    job_id = next((event.job_id for event in happened if event.run_id is not None and event.job_id), run.job_id)
    has_ended = False
    for event in happened:
        if event.run_id is not None:
            job_id = event.job_id or job_id
            has_ended = has_ended if event.status is None else event.status in FINAL
            yield event
        elif event.job_id == job_id and not has_ended:
            yield event


def counts(session: Session, experiment_id: UUID) -> dict[str, int]:
    """Return how many events of each kind the experiment has."""
    query = select(Event.kind, func.count()).where(Event.experiment_id == experiment_id).group_by(Event.kind)
    return dict(session.execute(query).all())
