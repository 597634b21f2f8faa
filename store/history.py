"""What happened to an experiment, kept on its row and in its events: counters, status and sequence number.

`record` is the last step of every transaction that changes something: it locks the experiment's row, which jobs of the
same experiment share, and the row's lock is what makes the order of the sequence the order of the commits.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Row, func, update
from sqlalchemy.orm import Session

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
    row = _advance(session, experiment_id, {**_moves(notes), **epochs_by_kind})
    counts = {status: getattr(row, status) for status in Status}
    status = combined(counts, cancel_asked=row.cancel_requested)
    if status != row.status:
        _set_status(session, experiment_id, status)
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


def _advance(session: Session, experiment_id: UUID, changes: Mapping[str, int]) -> Row[Any]:
    counters = {str(name): getattr(Experiment, name) + change for name, change in changes.items() if change}
    columns = [getattr(Experiment, status) for status in Status]
    statement = (
        update(Experiment)
        .where(Experiment.id == experiment_id)
        .values(seq=Experiment.seq + 1, **counters)
        .returning(Experiment.seq, Experiment.status, Experiment.cancel_requested, *columns)
    )
    return change(session, statement).one()


def _set_status(session: Session, experiment_id: UUID, status: Status) -> None:
    values: dict[str, Any] = {"status": status, "finished_at": database_now() if status in FINAL else None}
    if status is Status.RUNNING:
        values["started_at"] = func.coalesce(Experiment.started_at, database_now())
    change(session, update(Experiment).where(Experiment.id == experiment_id).values(**values))


def _why(status: Status, notes: Sequence[Note]) -> str | None:
    if status in FINAL:
        return "its last run ended"
    return next((note.reason for note in notes if note.moved and note.status is status), None)
