"""Summary metrics of the runs of a stack, kept up to date for all of them at once."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from store.curves import Curve

Values = NDArray[np.float64]


@dataclass
class Metric:
    """One metric of R runs, each array [R]: NaN, and epoch 0, where it has not been measured yet."""

    last: Values
    low: Values
    low_epoch: NDArray[np.int64]
    high: Values

    @classmethod
    def unmeasured(cls, runs: int) -> "Metric":
        """Return a metric that was not measured yet."""
        return cls(np.full(runs, np.nan), np.full(runs, np.nan), np.zeros(runs, np.int64), np.full(runs, np.nan))

    def add(self, runs: NDArray[np.int64], epochs: NDArray[np.int64], values: Values) -> None:
        """Take in the values of later epochs [E] of these runs [r], or of the same again: [r, E], NaN where none is."""
        measured = ~np.isnan(values)
        if not measured.any():
            return
        if measured.all():  # as nearly always
            rows, last, lowest = runs, np.full(len(runs), -1), values.argmin(1)
        else:
            some = np.flatnonzero(measured.any(1))
            rows, values, measured = runs[some], values[some], measured[some]
            last = len(epochs) - 1 - measured[:, ::-1].argmax(1)
            lowest = np.where(measured, values, np.inf).argmin(1)
            # Where all are infinite, the first may be one that was not measured.
            lowest = np.where(np.take_along_axis(measured, lowest[:, None], 1)[:, 0], lowest, measured.argmax(1))
        every = np.arange(len(rows))
        low = values[every, lowest]
        lower = ~(low >= self.low[rows])
        self.last[rows] = values[every, last]
        self.low[rows[lower]], self.low_epoch[rows[lower]] = low[lower], epochs[lowest[lower]]
        self.high[rows] = np.fmax(self.high[rows], np.fmax.reduce(values, axis=1))


class Summaries:
    """The summary of every run: {metric: {last, min, min_epoch, max}} over the epochs at which it was measured."""

    def __init__(self, runs: int) -> None:
        self._runs = runs
        self._metrics: dict[str, Metric] = {}

    def add(self, epochs: NDArray[np.int64], metrics: Mapping[str, Values]) -> None:
        """Take in evaluated epochs [E], later ones or the same again; a metric is [R, E], NaN where it has no value."""
        for name, values in metrics.items():
            self._metric(name).add(np.arange(self._runs), epochs, values)

    def add_stored(self, run: int, curve: Curve) -> None:
        """Take in what an earlier claim stored of a run."""
        for name, values in curve.series.items():
            self._metric(name).add(np.array([run]), curve.epochs, values[None])

    def of(self, run: int) -> dict[str, Any]:
        """Return a run's summary; metrics that it never measured are left out."""
        return {
            name: {
                "last": float(metric.last[run]),
                "min": float(metric.low[run]),
                "min_epoch": int(metric.low_epoch[run]),
                "max": float(metric.high[run]),
            }
            for name, metric in self._metrics.items()
            if metric.low_epoch[run]
        }

    def _metric(self, name: str) -> Metric:
        if name not in self._metrics:
            self._metrics[name] = Metric.unmeasured(self._runs)
        return self._metrics[name]
