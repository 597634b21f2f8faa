"""Learning curves of many runs as a few: their mean, spread and range, epoch by epoch. Torch-free.

Runs are added one at a time and only sums are kept, so an experiment of any size can be aggregated.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from mlcore.analysis.replicates import data_seed

Epochs = npt.NDArray[np.int64]
Values = npt.NDArray[np.float64]
Series = Mapping[str, Values]

STATISTICS: Final = ("mean", "std", "min", "max")


@dataclass
class Moments:
    """What is known of each metric at each epoch: how many values, their mean, squared deviations, and range.

    All arrays are [metrics, epochs]. Updated by Welford's method (1962), which needs no second look at the values.
    """

    count: Values
    mean: Values
    deviations: Values
    lowest: Values
    highest: Values

    @classmethod
    def nothing(cls, metrics: int, epochs: int) -> "Moments":
        """Return what is known before the first value."""
        count, mean, deviations = np.zeros((3, metrics, epochs))
        return cls(count, mean, deviations, np.full((metrics, epochs), np.inf), np.full((metrics, epochs), -np.inf))

    def add(self, values: Values) -> None:
        """Add one value per metric and epoch, [metrics, epochs]; those that are not finite are left out."""
        known = np.isfinite(values)
        with np.errstate(all="ignore"):  # of values near 1e308 the squares are infinite, which is as near as it gets
            self.count += known
            off = np.where(known, values - self.mean, 0.0)
            self.mean += off / np.maximum(self.count, 1)
            self.deviations += off * np.where(known, values - self.mean, 0.0)
        np.minimum(self.lowest, values, out=self.lowest, where=known)
        np.maximum(self.highest, values, out=self.highest, where=known)

    def widened(self, metrics: int, epochs: int, columns: Epochs) -> "Moments":
        """Return the same with room for more metrics, and more epochs, among which the present ones are `columns`."""
        wider = Moments.nothing(metrics, epochs)
        for one in fields(self):
            getattr(wider, one.name)[: len(self.mean), columns] = getattr(self, one.name)
        return wider

    def statistic(self, name: str) -> Values:
        """Return a statistic by its name in STATISTICS, [metrics, epochs], NaN where there are too few values for it.

        `std` is that of a sample (divided by n - 1), as everywhere in epochd.
        """
        with np.errstate(all="ignore"):
            match name:
                case "mean":
                    return np.where(self.count > 0, self.mean, np.nan)
                case "std":
                    return np.where(self.count > 1, np.sqrt(self.deviations / (self.count - 1)), np.nan)
                case "min":
                    return np.where(self.count > 0, self.lowest, np.nan)
                case "max":
                    return np.where(self.count > 0, self.highest, np.nan)
        raise ValueError(f"there is no statistic {name}; there are {', '.join(STATISTICS)}")


@dataclass
class Group:
    """The curves of runs that agree in some fields, aggregated over their replicates.

    A statistic is over the replicates that have a value at the epoch: some may be behind or have diverged.
    """

    values: dict[str, Any]
    """The fields in which they agree."""
    runs: int = 0
    replicates: int = 0
    epochs: Epochs = field(default_factory=lambda: np.empty(0, np.int64))
    """Every epoch that at least one of them has."""
    metrics: list[str] = field(default_factory=list)
    _moments: Moments = field(default_factory=lambda: Moments.nothing(0, 0))

    def add(self, epochs: Epochs, series: Series, *, runs: int = 1) -> None:
        """Add the curve of a replicate, which stands for this many runs."""
        self.runs += runs
        self.replicates += 1
        if not (list(series) == self.metrics and np.array_equal(epochs, self.epochs)):
            self._make_room(epochs, series)
            series = _placed(series, self.metrics, epochs, self.epochs)
        if series:
            self._moments.add(np.stack(list(series.values())))

    def _make_room(self, epochs: Epochs, series: Series) -> None:
        """See to it that all these epochs and metrics are there."""
        union = np.union1d(self.epochs, epochs)
        metrics = [*self.metrics, *(name for name in series if name not in self.metrics)]
        if len(union) > len(self.epochs) or len(metrics) > len(self.metrics):
            self._moments = self._moments.widened(len(metrics), len(union), np.searchsorted(union, self.epochs))
            self.epochs, self.metrics = union, metrics

    def statistic(self, name: str) -> dict[str, Values]:
        """Return a statistic by its name in STATISTICS: by metric an array as long as the epochs, NaN where unknown."""
        return dict(zip(self.metrics, self._moments.statistic(name), strict=True))

    @property
    def size(self) -> int:
        """How many numbers a statistic of all metrics has."""
        return len(self.epochs) * len(self.metrics)


def _placed(series: Series, metrics: Sequence[str], epochs: Epochs, among: Epochs) -> dict[str, Values]:
    """Return the series of all these metrics at all epochs in `among`, NaN where there is no value."""
    placed = np.full((len(metrics), len(among)), np.nan)
    columns = np.searchsorted(among, epochs)
    for row, name in enumerate(metrics):
        if name in series:
            placed[row, columns] = series[name]
    return dict(zip(metrics, placed, strict=True))


def mean_over_folds(folds: Sequence[tuple[Epochs, Series]]) -> tuple[Epochs, Series]:
    """Return a replicate's curve: the mean of its folds at each epoch, NaN where not all of them have a value."""
    if len(folds) == 1:
        return folds[0]
    epochs = np.unique(np.concatenate([of_fold for of_fold, _ in folds]))
    names = list(dict.fromkeys(name for _, series in folds for name in series))
    placed = [_placed(series, names, of_fold, epochs) for of_fold, series in folds]
    with np.errstate(invalid="ignore"):  # one fold infinite, another minus infinite
        # Divided first: the sum of large values may not fit.
        return epochs, {name: np.sum([one[name] / len(folds) for one in placed], axis=0) for name in names}


class Aggregation:
    """Groups of runs by the values of some fields, in the order in which these first appear.

    Runs are added in the order of their numbers, in which the folds of a replicate follow each other; they are averaged
    before anything else, unless `fold` is itself among the fields.
    """

    def __init__(self, fields: Sequence[str]) -> None:
        self.size = 0
        """How many numbers one statistic of all groups has."""
        self.first: Mapping[str, Any] | None = None
        """The spec of the first run."""
        self._fields = fields
        self._groups: dict[str, Group] = {}
        self._replicate: Mapping[str, Any] = {}
        self._repeatable: set[str] = set()
        self._folds: list[tuple[Epochs, Series]] = []

    def add(self, spec: Mapping[str, Any], epochs: Epochs, series: Series) -> None:
        """Add a run by its resolved spec: its epochs (n,) and n values of each metric."""
        self.first = spec if self.first is None else self.first
        if not self._goes_on(spec):
            self._close()
        self._replicate = spec
        self._folds.append((epochs, series))

    def _goes_on(self, spec: Mapping[str, Any]) -> bool:
        """Whether the run is another fold of the replicate at hand."""
        if spec.get("fold") is None or "fold" in self._fields:
            return False
        return {**spec, "fold": None} == {**self._replicate, "fold": None}

    def _close(self) -> None:
        if self._folds:
            values = {name: self._replicate.get(name) for name in self._fields}
            group = self._groups.get(repr(values)) or self._groups.setdefault(repr(values), Group(values))
            before = group.size
            if self._is_repeated():
                group.runs += len(self._folds)
            else:
                group.add(*mean_over_folds(self._folds), runs=len(self._folds))
            self.size += group.size - before
            self._folds = []

    def _is_repeated(self) -> bool:
        """Whether the replicate at hand is an earlier training again, under a data seed that changes nothing."""
        if "data_seed" in self._fields or data_seed(self._replicate) is not None:
            return False
        training = repr({**self._replicate, "data_seed": None, "fold": None})
        is_repeated = training in self._repeatable
        self._repeatable.add(training)
        return is_repeated

    def groups(self) -> list[Group]:
        """Return the groups of all runs so far."""
        self._close()
        return list(self._groups.values())
