"""The history of an experiment that a user reads."""

from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from store.history import Note, record
from store.statements import fresh
from store.tables import Event


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


def counts(session: Session, experiment_id: UUID) -> dict[str, int]:
    """Return how many events of each kind the experiment has."""
    query = select(Event.kind, func.count()).where(Event.experiment_id == experiment_id).group_by(Event.kind)
    return dict(session.execute(query).all())
