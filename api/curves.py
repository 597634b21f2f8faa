"""Learning curves for clients: summed up, thinned out, and written as JSON or CSV.

Series are float64 arrays as long as the epochs; NaN = not measured.
"""

import csv
import io
import json
import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from store.curves import Curve

Values = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]
SELECTED_BY = ("valid_loss", "test_loss")
"""What `best` is the lowest of; the second where there is no validation part."""


def metrics(curve: Curve) -> dict[str, Any]:
    """Each metric that was measured: its last, lowest and highest value, and the first epoch of the lowest."""
    found = {}
    for name, values in curve.series.items():
        pairs = zip(values.tolist(), curve.epochs.tolist(), strict=True)
        measured = [(value, epoch) for value, epoch in pairs if not math.isnan(value)]
        if measured:
            lowest, at = min(measured)
            found[name] = {"last": measured[-1][0], "min": lowest, "min_epoch": at, "max": max(measured)[0]}
    return found


def pick(curve: Curve, names: Sequence[str]) -> Curve:
    """Only these metrics, in this order; all of them when none is named."""
    return Curve(curve.epochs, {name: curve.series[name] for name in names if name in curve.series}) if names else curve


def thin(curve: Curve, most: int, best: int | None = None) -> Curve:
    """At most `most` epochs of the curve, so chosen that its drawing looks the same.

    The epochs are cut into equal buckets; of each bucket and metric the lowest and the highest value stay, and beside
    them the first, the last and the `best` row. The same curve gives the same points. Where `most` has no room for
    the extremes of the whole curve, these are what is returned.
    """
    count = len(curve.epochs)
    if count <= most:
        return curve
    always = [0, count - 1] + ([best] if best is not None else [])
    buckets = most
    while len(rows := np.union1d(always, _extremes(curve, buckets))) > most and buckets > 1:
        buckets = max(1, min(buckets * most // len(rows), buckets * 9 // 10))  # by a tenth at least, to come to an end
    return Curve(curve.epochs[rows], {name: values[rows] for name, values in curve.series.items()})


def _extremes(curve: Curve, buckets: int) -> Rows:
    """The rows of the lowest and the highest value of each bucket and metric."""
    count = len(curve.epochs)
    starts = count * np.arange(buckets) // buckets
    bucket_of = np.searchsorted(starts, np.arange(count), "right") - 1
    signed = [sign * values for values in curve.series.values() for sign in (1, -1)]
    return np.concatenate([np.empty(0, np.int64), *(_lowest(values, starts, bucket_of) for values in signed)])


def _lowest(values: Values, starts: Rows, bucket_of: Rows) -> Rows:
    """The row of the lowest finite value of each bucket that has one; of equal ones the first."""
    finite = np.isfinite(values)
    bounded = np.where(finite, values, np.inf)
    rows = np.flatnonzero(finite & (bounded == np.minimum.reduceat(bounded, starts)[bucket_of]))
    _, firsts = np.unique(bucket_of[rows], return_index=True)
    return rows[firsts]


def best_row(curve: Curve) -> int | None:
    """The first row with the lowest validation loss, without a validation part the lowest test loss."""
    for name in SELECTED_BY:
        values = curve.series.get(name)
        if values is not None and np.isfinite(values).any():
            return int(np.argmin(np.where(np.isfinite(values), values, np.inf)))
    return None


def to_json(head: dict[str, Any], curve: Curve) -> dict[str, Any]:
    """The curve as JSON takes it: null for NaN and infinity."""
    series = {name: numbers(values) for name, values in curve.series.items()}
    return {**head, "epochs": curve.epochs.tolist(), "series": series}


def numbers(values: Iterable[float]) -> list[float | None]:
    """Floats as JSON takes them: null for NaN and infinity."""
    return [float(value) if math.isfinite(value) else None for value in values]


def encode(document: dict[str, Any]) -> bytes:
    """Compact JSON."""
    return json.dumps(document, allow_nan=False, separators=(",", ":")).encode()


def to_csv(parts: Iterable[tuple[dict[str, str], Curve]]) -> bytes:
    """One line per part and epoch, the part's own columns first; an empty cell where there is no finite number."""
    listed = list(parts)
    own = list(dict.fromkeys(name for head, _ in listed for name in head))
    names = list(dict.fromkeys(name for _, curve in listed for name in curve.series))
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow([*own, "epoch", *names])
    for head, curve in listed:
        nothing = [None] * len(curve.epochs)
        columns = [numbers(curve.series[name]) if name in curve.series else nothing for name in names]
        for epoch, *values in zip(curve.epochs.tolist(), *columns, strict=True):
            writer.writerow([*head.values(), epoch, *values])
    return text.getvalue().encode()
