"""How much one owner may have waiting, so that nobody fills the queue of everybody."""

from typing import Final

from sqlalchemy import bindparam, func, select
from sqlalchemy.orm import Session

from store.errors import QueueFull
from store.statements import rows
from store.status import Status
from store.tables import Experiment

_LOCK: Final = 0x65706F63  # nothing else in the database locks by two numbers of which this is the first

# Built once: that takes as long as executing it.
_WAITING: Final = select(func.coalesce(func.sum(Experiment.queued), 0)).where(
    Experiment.owner == bindparam("owner"), Experiment.status.in_([Status.QUEUED, Status.RUNNING])
)


def require_room(session: Session, owner: str, runs: int, most: int) -> None:
    """Raise QueueFull when so many more runs would be more than `most` of the owner's that wait.

    Exact: on PostgreSQL the owner's other submissions wait until this transaction ends, on SQLite all writers do.
    """
    if session.get_bind().dialect.name == "postgresql":
        session.execute(select(func.pg_advisory_xact_lock(_LOCK, func.hashtext(owner))))
    waiting = rows(session, _WAITING, {"owner": owner}).scalar_one()
    if waiting + runs > most:
        raise QueueFull(f"{waiting} runs of yours are waiting, of {most} at most; these would be {runs} more.")
