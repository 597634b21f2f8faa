"""Summary metrics of the runs of a stack, kept up to date epoch by epoch for all of them at once."""

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

    def add(self, epoch: int, values: Values) -> None:
        """Take in the values of an epoch, [R]; NaN is none."""
        measured = ~np.isnan(values)
        lower = measured & ~(values >= self.low)
        self.last[measured] = values[measured]
        self.low[lower] = values[lower]
        self.low_epoch[lower] = epoch
        np.fmax(self.high, values, out=self.high)


class Summaries:
    """The summary of every run: {metric: {last, min, min_epoch, max}} over the epochs at which it was measured."""

    def __init__(self, runs: int) -> None:
        self._runs = runs
        self._metrics: dict[str, Metric] = {}

    def add(self, epoch: int, metrics: dict[str, Values]) -> None:
        """Take in an evaluated epoch; each metric has a value per run, NaN where there is none."""
        for name, values in metrics.items():
            self._metric(name).add(epoch, values)

    def add_stored(self, run: int, curve: Curve) -> None:
        """Take in what an earlier claim stored of a run."""
        for name, values in curve.series.items():
            metric, measured = self._metric(name), ~np.isnan(values)
            if measured.any():
                epochs, values = curve.epochs[measured], values[measured]
                lowest = int(values.argmin())
                metric.last[run], metric.high[run] = values[-1], values.max()
                metric.low[run], metric.low_epoch[run] = values[lowest], epochs[lowest]

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
        return self._metrics.setdefault(name, Metric.unmeasured(self._runs))
