"""Learning curves for clients: summed up, thinned out, and written as JSON.

Series are float64 arrays as long as the epochs; NaN = not measured.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic_core import to_json as to_json_bytes

from store.curves import Curve

Values = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]
SELECTED_BY = ("valid_loss", "test_loss")
"""What `best` is the lowest of; the second where there is no validation part."""


def metrics(curve: Curve) -> dict[str, Any]:
    """Each metric that was measured: its last, lowest and highest value, and the first epoch of the lowest."""
    found = {}
    for name, values in curve.series.items():
        rows = np.flatnonzero(~np.isnan(values))
        if rows.size:
            lowest = rows[values[rows].argmin()]
            last, highest = float(values[rows[-1]]), float(values[rows].max())
            epoch = int(curve.epochs[lowest])
            found[name] = {"last": last, "min": float(values[lowest]), "min_epoch": epoch, "max": highest}
    return found


def pick(curve: Curve, names: Sequence[str]) -> Curve:
    """Only these metrics, in this order; all of them when none is named."""
    return Curve(curve.epochs, {name: curve.series[name] for name in names if name in curve.series}) if names else curve


def thin(curve: Curve, most: int, best: int | None = None) -> Curve:
    """At most `most` epochs of the curve, so chosen that its drawing looks the same."""
    return curve if len(curve.epochs) <= most else at(curve, telling_rows(curve, most, best))


def at(curve: Curve, rows: Rows | slice) -> Curve:
    """Only these rows of the curve."""
    return Curve(curve.epochs[rows], {name: values[rows] for name, values in curve.series.items()})


def telling_rows(curve: Curve, most: int, best: int | None = None) -> Rows:
    """At most `most` rows, in order, that tell the shape of the curve.

    The epochs are cut into equal buckets; of each bucket and metric the lowest and the highest value stay, and beside
    them the first, the last and the `best` row. The same curve gives the same rows. Where `most` has no room for
    the extremes of the whole curve, these are what is returned.
    """
    count = len(curve.epochs)
    if count <= most:
        return np.arange(count)
    always = [0, count - 1] + ([best] if best is not None else [])
    buckets = most
    while len(rows := np.union1d(always, _extremes(curve, buckets))) > most and buckets > 1:
        buckets = max(1, min(buckets * most // len(rows), buckets * 9 // 10))  # by a tenth at least, to come to an end
    return rows


def _extremes(curve: Curve, buckets: int) -> Rows:
    """The rows of the lowest and the highest finite value of each bucket and metric; of equal ones the first."""
    if not curve.series:
        return np.empty(0, np.int64)
    count = len(curve.epochs)
    starts = count * np.arange(buckets) // buckets
    bucket_of = np.searchsorted(starts, np.arange(count), "right") - 1
    values = np.stack(list(curve.series.values()))
    both = np.where(np.isfinite(values), [values, -values], np.inf)
    lowest = np.minimum.reduceat(both, starts, axis=-1)
    there = np.isfinite(both) & (both == lowest[..., bucket_of])
    rows: Rows = np.minimum.reduceat(np.where(there, np.arange(count), count), starts, axis=-1)
    return rows[rows < count]


def best_row(curve: Curve) -> int | None:
    """The first row with the lowest validation loss, without a validation part the lowest test loss."""
    for name in SELECTED_BY:
        values = curve.series.get(name)
        if values is not None and np.isfinite(values).any():
            return int(np.argmin(np.where(np.isfinite(values), values, np.inf)))
    return None


def to_json(head: dict[str, Any], curve: Curve) -> dict[str, Any]:
    """The curve as `encode` takes it."""
    return {**head, "epochs": curve.epochs.tolist(), "series": listed(curve.series)}


def listed(series: Mapping[str, Values]) -> dict[str, list[float]]:
    """The series as `encode` takes them."""
    return {name: values.tolist() for name, values in series.items()}


def numbers(values: Iterable[float]) -> list[float | None]:
    """Floats as JSON takes them: null for NaN and infinity."""
    return [float(value) if math.isfinite(value) else None for value in values]


def encode(document: object) -> bytes:
    """Compact JSON, null for NaN and infinity; several times as fast as the standard library's for many floats."""
    return to_json_bytes(document, inf_nan_mode="null")
