"""Learning curves in columns: each segment holds some epochs of a run as packed little-endian arrays.

`packed_epochs` is int32, `packed_values` float64: all epochs of the first metric, then of the second, in the order of
`metrics`. Bytes go in and come out unchanged, so NaN (not measured) and infinities survive.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import numpy as np
import numpy.typing as npt
from sqlalchemy import select
from sqlalchemy.orm import Session

from store.tables import CurveSegment

Epochs = npt.NDArray[np.int64]
Values = npt.NDArray[np.float64]


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
        if self.epochs.size and (self.epochs[0] < 1 or (np.diff(self.epochs) < 1).any()):
            raise ValueError("the epochs of a segment count from 1 and increase")

    def after(self, epoch: int) -> "Segment":
        """Return the part of the segment after this epoch."""
        keep = self.epochs > epoch
        return Segment(self.run_id, self.epochs[keep], {name: values[keep] for name, values in self.metrics.items()})

    def packed(self) -> dict[str, Any]:
        """Return the segment as a row of CurveSegment; it has at least one epoch."""
        return {
            "run_id": self.run_id,
            "first_epoch": int(self.epochs[0]),
            "last_epoch": int(self.epochs[-1]),
            "metrics": list(self.metrics),
            "packed_epochs": self.epochs.astype("<i4").tobytes(),
            "packed_values": b"".join(values.astype("<f8").tobytes() for values in self.metrics.values()),
        }


@dataclass(frozen=True)
class Curve:
    """A run's evaluated epochs (n,) and the series of each metric (n,); NaN where an epoch did not measure it."""

    epochs: Epochs
    series: dict[str, Values]


def read(session: Session, run_id: UUID, after_epoch: int = 0) -> Curve:
    """Return the run's curve after this epoch, however many segments it lies in; empty when nothing is stored yet."""
    query = (
        select(CurveSegment.metrics, CurveSegment.packed_epochs, CurveSegment.packed_values)
        .where(CurveSegment.run_id == run_id, CurveSegment.last_epoch > after_epoch)
        .order_by(CurveSegment.first_epoch)
    )
    segments = [_unpack(run_id, *row).after(after_epoch) for row in session.execute(query)]
    names = dict.fromkeys(name for segment in segments for name in segment.metrics)  # in order of first appearance
    epochs = _joined([segment.epochs for segment in segments], np.int64)
    return Curve(
        epochs, {name: _joined([_series(segment, name) for segment in segments], np.float64) for name in names}
    )


def _unpack(run_id: UUID, names: Sequence[str], packed_epochs: bytes, packed_values: bytes) -> Segment:
    epochs = np.frombuffer(packed_epochs, "<i4").astype(np.int64)
    values = np.frombuffer(packed_values, "<f8").astype(np.float64).reshape(len(names), epochs.size)
    return Segment(run_id, epochs, dict(zip(names, values, strict=True)))


def _series(segment: Segment, name: str) -> Values:
    values = segment.metrics.get(name)
    return np.full(segment.epochs.size, np.nan) if values is None else values


def _joined(parts: Sequence[npt.NDArray[Any]], dtype: type[np.generic]) -> npt.NDArray[Any]:
    return np.concatenate([np.empty(0, dtype), *parts])
