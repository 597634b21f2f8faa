"""Learning curves in columns: each segment holds some epochs of a run as packed little-endian arrays.

`packed_epochs` is int32, `packed_values` float64: all epochs of the first metric, then of the second, in the order of
`metrics`. Bytes go in and come out unchanged, so NaN (not measured) and infinities survive.
"""

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from itertools import groupby
from operator import attrgetter
from typing import Any
from uuid import UUID

import numpy as np
import numpy.typing as npt
from sqlalchemy import Integer, Text, Uuid, bindparam, cast, select
from sqlalchemy.orm import Session

from store.bulk import given, given_table, insert_columns
from store.paging import AnyRow, by_number
from store.statements import rows
from store.status import Status
from store.tables import CurveSegment, Run

Epochs = npt.NDArray[np.int64]
Values = npt.NDArray[np.float64]

CURVES_AT_ONCE = 500
LARGEST_EPOCH = 2**31 - 2

_run_id = attrgetter("run_id")
_EPOCH, _VALUE = np.dtype("<i4"), np.dtype("<f8")


@dataclass(frozen=True)
class Segment:
    """Evaluated epochs of one run: `epochs` (n,), counted from 1 and increasing, and n values of each metric.

    Raises ValueError when the shapes disagree or the epochs are out of order.
    """

    run_id: UUID
    epochs: Epochs
    metrics: Mapping[str, Values]

    def __post_init__(self) -> None:
        if self.epochs.ndim != 1 or any(values.shape != self.epochs.shape for values in self.metrics.values()):
            raise ValueError("a segment needs one value of each metric per epoch")
        if self.epochs.size and (self.epochs[0] < 1 or (self.epochs[1:] <= self.epochs[:-1]).any()):
            raise ValueError("the epochs of a segment count from 1 and increase")

    @property
    def first_epoch(self) -> int:
        """The first epoch; there is at least one."""
        return int(self.epochs[0])

    @property
    def last_epoch(self) -> int:
        """The last epoch; there is at least one."""
        return int(self.epochs[-1])

    def after(self, epoch: int) -> "Segment":
        """Return the part of the segment after this epoch."""
        if not self.epochs.size or self.first_epoch > epoch:
            return self
        keep = self.epochs > epoch
        return Segment(self.run_id, self.epochs[keep], {name: values[keep] for name, values in self.metrics.items()})


def insert_segments(session: Session, segments: Sequence[Segment]) -> None:
    """Store the segments, each of at least one epoch that is not stored yet."""
    by_names: dict[tuple[str, ...], list[Segment]] = {}  # the segments of a stack have the same
    for segment in segments:
        by_names.setdefault(tuple(segment.metrics), []).append(segment)
    for names, alike in by_names.items():
        insert_columns(session, CurveSegment, {"metrics": list(names)}, _columns(alike))


def _columns(segments: Sequence[Segment]) -> dict[str, list[Any]]:
    return {
        "run_id": [segment.run_id for segment in segments],
        "first_epoch": [segment.first_epoch for segment in segments],
        "last_epoch": [segment.last_epoch for segment in segments],
        "packed_epochs": [segment.epochs.astype(_EPOCH).tobytes() for segment in segments],
        "packed_values": [_packed(segment.metrics.values()) for segment in segments],
    }


def _packed(series: Iterable[Values]) -> bytes:
    return b"".join([values.astype(_VALUE, copy=False).tobytes() for values in series])


@dataclass(frozen=True)
class Curve:
    """A run's evaluated epochs (n,) and the series of each metric (n,); NaN where an epoch did not measure it."""

    epochs: Epochs
    series: dict[str, Values]

    @classmethod
    def empty(cls, metrics: Iterable[str] = ()) -> "Curve":
        """Return the curve of a run that has stored nothing, with no value of these metrics."""
        return cls(np.empty(0, np.int64), {name: np.empty(0) for name in metrics})


@dataclass(frozen=True, slots=True)
class CurveRun:
    """What tells an experiment's curves apart: columns of Run."""

    id: UUID
    number: int
    seed: int | None
    data_seed: int | None
    fold: int | None
    spec: dict[str, Any]


_STORED = select(
    CurveSegment.run_id,
    cast(CurveSegment.metrics, Text()).label("names"),
    CurveSegment.packed_epochs,
    CurveSegment.packed_values,
)

_SPANS = given_table({"run": Uuid(), "first": Integer(), "last": Integer()})
_OVERLAPS = (CurveSegment.last_epoch >= _SPANS.c.first) & (CurveSegment.first_epoch <= _SPANS.c.last)
_PARTS = _STORED.join(_SPANS, (_SPANS.c.run == CurveSegment.run_id) & _OVERLAPS).order_by(
    CurveSegment.run_id, CurveSegment.first_epoch
)
_OF_RUN = _STORED.where(
    CurveSegment.run_id == bindparam("of_run"), CurveSegment.last_epoch > bindparam("after_epoch")
).order_by(CurveSegment.first_epoch)


def read(session: Session, run_id: UUID, after_epoch: int = 0) -> Curve:
    """Return the run's curve after this epoch, however many segments it lies in; empty when nothing is stored yet."""
    curve = _unpack(rows(session, _OF_RUN, {"of_run": run_id, "after_epoch": after_epoch}).all())
    return between(curve, after_epoch + 1, LARGEST_EPOCH)


def tails(session: Session, after: Mapping[UUID, int]) -> dict[UUID, Curve]:
    """Return the ends of many runs' curves: of each the epochs after its own; runs without such epochs are left out."""
    return parts(session, {run_id: (epoch + 1, LARGEST_EPOCH) for run_id, epoch in after.items()})


def parts(session: Session, spans: Mapping[UUID, tuple[int, int]]) -> dict[UUID, Curve]:
    """Return of many runs' curves the epochs from one to another, both included; runs without any are left out.

    Segments that end before or begin after are not read.
    """
    if not spans:
        return {}
    found = rows(session, _PARTS, given((run_id, *span) for run_id, span in spans.items()))
    curves = {run_id: between(_unpack(list(parts)), *spans[run_id]) for run_id, parts in groupby(found, _run_id)}
    return {run_id: curve for run_id, curve in curves.items() if curve.epochs.size}


def between(curve: Curve, first: int, last: int) -> Curve:
    """Return the part of the curve from one epoch to another, both included."""
    start, stop = np.searchsorted(curve.epochs, [first, last + 1])
    if stop - start == curve.epochs.size:
        return curve
    return Curve(curve.epochs[start:stop], {name: values[start:stop] for name, values in curve.series.items()})


def of_experiment(
    session: Session,
    experiment_id: UUID,
    *,
    statuses: Collection[Status] | None = None,
    run_ids: Collection[UUID] | None = None,
) -> Iterator[tuple[CurveRun, Curve]]:
    """Yield the experiment's runs with their curves in order of number, holding 500 at a time.

    Only those of these statuses, and of these ids, where given. A run that stored nothing yet has an empty curve. The
    session has to stay open until the last.
    """
    columns: list[Any] = [getattr(Run, field.name) for field in fields(CurveRun)]
    query = select(*columns).where(Run.experiment_id == experiment_id)
    if statuses is not None:
        query = query.where(Run.status.in_(statuses))
    if run_ids is not None:
        chosen = select(given_table({"run": Uuid()}).c.run)
        query = query.where(Run.id.in_(chosen)).params(given([run_id] for run_id in run_ids))
    for batch in by_number(session, query, CURVES_AT_ONCE):
        segments = _segments(session, [run.id for run in batch])
        yield from ((CurveRun(*run), _unpack(segments[run.id])) for run in batch)


def _segments(session: Session, run_ids: Sequence[UUID]) -> Mapping[UUID, Sequence[AnyRow]]:
    by_run: defaultdict[UUID, list[AnyRow]] = defaultdict(list)
    query = _STORED.where(CurveSegment.run_id.in_(run_ids))
    for row in session.execute(query.order_by(CurveSegment.run_id, CurveSegment.first_epoch)):
        by_run[row.run_id].append(row)
    return by_run


def _unpack(segments: Sequence[AnyRow]) -> Curve:
    """Return the curve in these rows of `_STORED`, which are in order; NaN where a segment lacks a metric."""
    epochs = np.frombuffer(b"".join([row.packed_epochs for row in segments]), _EPOCH).astype(np.int64)
    names = dict.fromkeys(name for row in segments for name in _names(row.names))  # in order of first appearance
    places = {name: place for place, name in enumerate(names)}
    whole = np.full((len(names), epochs.size), np.nan)
    end = 0
    for row in segments:
        own, start = _names(row.names), end
        end += len(row.packed_epochs) // _EPOCH.itemsize
        values = np.frombuffer(row.packed_values, _VALUE).reshape(len(own), end - start)
        whole[[places[name] for name in own], start:end] = values
    return Curve(epochs, {name: whole[place] for name, place in places.items()})


@lru_cache
def _names(text: str) -> tuple[str, ...]:
    return tuple(json.loads(text))  # a service stores few different lists of metrics, in very many segments
