"""Who is there to work: each slot says so now and then."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import bindparam, case, delete, func, insert, select, update
from sqlalchemy.orm import Session

from store.clock import database_now, read_clock
from store.statements import change, fresh, rows
from store.tables import Worker

# Built once: that takes as long as executing it.
_IS_LIVE = Worker.heartbeat_at >= database_now() - bindparam("within_seconds")
_LIVE = select(Worker).where(_IS_LIVE).order_by(Worker.name)
_LIVE_QUEUES = select(Worker.name, Worker.queues).where(_IS_LIVE)
_SMALLEST_CARD = select(func.min(Worker.card_memory)).where(_IS_LIVE)


def heartbeat(
    session: Session,
    *,
    name: str,
    pid: int,
    hostname: str,
    queues: Sequence[str],
    device: str,
    threads: int,
    card_memory: int | None = None,
) -> None:
    """Say that this worker lives; a new process under the name starts anew. `card_memory` is what it has of a card."""
    values: dict[str, Any] = {
        "pid": pid,
        "hostname": hostname,
        "queues": list(queues),
        "device": device,
        "threads": threads,
        "card_memory": card_memory,
        "heartbeat_at": database_now(),
    }
    same_process = (Worker.pid == pid) & (Worker.hostname == hostname)
    started_at = case((same_process, Worker.started_at), else_=database_now())
    known = update(Worker).where(Worker.name == name).values(started_at=started_at, **values).returning(Worker.name)
    if change(session, known).one_or_none() is None:
        now = read_clock(session)
        session.execute(insert(Worker).values(name=name, **{**values, "heartbeat_at": now, "started_at": now}))


def live(session: Session, within_seconds: float) -> list[Worker]:
    """Return the workers heard of in the last so many seconds, by name."""
    return fresh(session, _LIVE, {"within_seconds": within_seconds})


def live_names(session: Session, queue: str, within_seconds: float) -> set[str]:
    """Return the names of the workers, heard of in the last so many seconds, that take jobs from the queue."""
    found = rows(session, _LIVE_QUEUES, {"within_seconds": within_seconds})
    return {name for name, queues in found if queue in queues}


def count_live(session: Session, queue: str, within_seconds: float) -> int:
    """Return how many workers, heard of in the last so many seconds, take jobs from the queue."""
    return len(live_names(session, queue, within_seconds))


def smallest_card(session: Session, within_seconds: float) -> int | None:
    """Return the bytes of the smallest card that a live worker trains on; None where none has a card."""
    return rows(session, _SMALLEST_CARD, {"within_seconds": within_seconds}).scalar()


def forget(session: Session, name: str) -> None:
    """Delete what is known of the worker, as when it left of its own will."""
    change(session, delete(Worker).where(Worker.name == name))


def forget_silent(session: Session, for_seconds: float) -> None:
    """Delete what is known of the workers that have not been heard of for so many seconds."""
    change(session, delete(Worker).where(Worker.heartbeat_at < database_now() - for_seconds))
