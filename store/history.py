"""What happened to an experiment, kept on its row and in its events: counters, status and sequence number.

`record` is the last step of every transaction that changes something: it locks the experiment's row, which jobs of the
same experiment share, and the row's lock is what makes the order of the sequence the order of the commits.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import Integer, Update, bindparam, func, update
from sqlalchemy.orm import Session
from sqlalchemy.sql.dml import ReturningUpdate

from store.bulk import insert_columns
from store.clock import database_now, read_clock
from store.statements import change
from store.status import FINAL, Status, combined
from store.tables import Event, Experiment

STATUS_CHANGED = "status"
CANCEL_REQUESTED = "cancel_requested"
CRASHED = "crashed"
RESUMED_ELSEWHERE = "resumed_elsewhere"
CHECKPOINT_DAMAGED = "checkpoint_damaged"
SPLIT = "split"


@dataclass(frozen=True)
class Note:
    """One thing that happened: to a run (run_id), a job (only job_id) or the experiment (neither).

    A change of status has the kind "status". One that moves runs names the status they had before: a run's, or that of
    a job with which `runs` of its runs moved, all at once and for the same reason, so that no note of each is needed.
    A run's end says how many of its epochs it `skipped`.
    """

    kind: str
    reason: str | None = None
    job_id: UUID | None = None
    run_id: UUID | None = None
    status: Status | None = None
    before: Status | None = None
    runs: int | None = None
    skipped: int = 0

    @property
    def moved(self) -> int:
        """How many runs went from `before` to `status`."""
        if self.before is None:
            return 0
        return 1 if self.runs is None else self.runs


_EXPERIMENT = Experiment.id == bindparam("experiment")
_TOLD = ("job_id", "run_id", "runs", "kind", "status", "reason")  # what an event takes from its note


def record(
    session: Session, experiment_id: UUID, notes: Sequence[Note], *, epochs: int = 0, reused: bool = False
) -> int:
    """Write the notes as events and carry them into the experiment's counters and status; add `epochs` to those done.

    `reused` says that these were not trained but copied. Returns the experiment's new sequence number, which the events
    carry too.
    """
    epochs_by_kind = {
        "epochs_done": epochs,
        "epochs_reused": epochs if reused else 0,
        "epochs_skipped": sum(note.skipped for note in notes),
    }
    changes = {str(name): by for name, by in {**_moves(notes), **epochs_by_kind}.items() if by}
    added = {f"by_{name}": by for name, by in changes.items()}
    row = change(session, _advancing(frozenset(changes)), {"experiment": experiment_id, **added}).one()
    counts = {status: getattr(row, status) for status in Status}
    status = combined(counts, cancel_asked=row.cancel_requested)
    if status != row.status:
        change(session, _setting(status), {"experiment": experiment_id})
        notes = [*notes, Note(STATUS_CHANGED, _why(status, notes), status=status)]
    write_events(session, experiment_id, row.seq, notes)
    return int(row.seq)


def write_events(session: Session, experiment_id: UUID, seq: int, notes: Sequence[Note]) -> None:
    """Write the notes as events under this sequence number, in their order."""
    if not notes:
        return
    shared = {"experiment_id": experiment_id, "seq": seq, "created_at": read_clock(session)}
    told = {name: [getattr(note, name) for note in notes] for name in _TOLD}
    insert_columns(session, Event, shared, {"number": range(len(notes)), **told})


def _moves(notes: Iterable[Note]) -> Counter[str]:
    moves: Counter[str] = Counter()
    for note in notes:
        if note.status is not None and note.before is not None:
            moves[note.before] -= note.moved
            moves[note.status] += note.moved
    return moves


@cache
def _advancing(counters: frozenset[str]) -> ReturningUpdate[*tuple[Any, ...]]:
    """Return the statement that adds `by_…` to each of these counters, and what the experiment is then."""
    columns = [getattr(Experiment, status) for status in Status]
    added = {name: getattr(Experiment, name) + bindparam(f"by_{name}", type_=Integer()) for name in counters}
    statement = update(Experiment).where(_EXPERIMENT).values(seq=Experiment.seq + 1, **added)
    return statement.returning(Experiment.seq, Experiment.status, Experiment.cancel_requested, *columns)


@cache
def _setting(status: Status) -> Update:
    """Return the statement that sets an experiment's status."""
    values: dict[str, Any] = {"status": status, "finished_at": database_now() if status in FINAL else None}
    if status is Status.RUNNING:
        values["started_at"] = func.coalesce(Experiment.started_at, database_now())
    return update(Experiment).where(_EXPERIMENT).values(**values)


def _why(status: Status, notes: Sequence[Note]) -> str | None:
    if status in FINAL:
        return "its last run ended"
    return next((note.reason for note in notes if note.moved and note.status is status), None)
