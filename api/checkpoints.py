"""Finding a run's weights by the names clients know: last, best, or an epoch."""

import re
from typing import Literal, cast

from sqlalchemy.orm import Session

from api import problem_kinds as kinds
from api.problems import Problem
from api.schemas.results import CHECKPOINT_PATTERN
from store import checkpoints
from store.errors import NotFound
from store.status import FINAL
from store.tables import Checkpoint, Run

MEDIA_TYPE = "application/octet-stream"
Which = Literal["last", "best"] | int


def which(name: str) -> Which:
    """What a name in a path or a query means; raises Problem 404 when it can mean nothing."""
    if not re.fullmatch(CHECKPOINT_PATTERN, name):
        raise Problem(kinds.no_checkpoint, "A checkpoint is called last, best, or by its epoch, such as 100.")
    return int(name) if name.isdecimal() else cast("Literal['last', 'best']", name)


def name(row: Checkpoint) -> str:
    """The shortest name of a kept checkpoint."""
    return row.kind if row.kind in ("last", "best") else str(row.epoch)


def find(session: Session, run: Run, wanted: Which) -> Checkpoint:
    """The row of a checkpoint, without its bytes; raises Problem 404 naming those there are."""
    rows = checkpoints.of_run(session, run.id)
    for row in reversed(rows):  # of several of one epoch the newest, as the store reads them
        if wanted in (row.kind, row.epoch):
            return row
    raise _none_such(run, rows)


def load(session: Session, run: Run, wanted: Which) -> checkpoints.StoredCheckpoint:
    """A checkpoint with its bytes; raises Problem 404 naming those there are, CheckpointDamaged."""
    try:
        return checkpoints.get(session, run.id, wanted)
    except NotFound as error:
        raise _none_such(run, checkpoints.of_run(session, run.id)) from error


def _none_such(run: Run, rows: list[Checkpoint]) -> Problem:
    return Problem(kinds.no_checkpoint, _there_is(rows) if rows else _nothing_kept(run))


def _there_is(rows: list[Checkpoint]) -> str:
    there = ", ".join(f"{name(row)} (epoch {row.epoch})" if not name(row).isdecimal() else name(row) for row in rows)
    return f"This run keeps no weights under this name; it keeps {there}."


def _nothing_kept(run: Run) -> str:
    if run.spec["keep_checkpoints"] == "none":
        return "This run keeps no weights: its keep_checkpoints is none."
    return "This run has ended and kept no weights." if run.status in FINAL else "This run keeps no weights yet."
