"""Which runs may train together as one stack, and where each of them lies in its tensors. Torch-free.

Runs with the same data and the same seed see the same batches: they form a *group* and lie side by side as its
*columns*, so that one product with the batch serves them all.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mlcore.spec import FASHION_MNIST_TEST, FASHION_MNIST_TRAIN, LinearSpec, MlpSpec, PolynomialSpec, RunSpec

MOST_MAPPED = 2**10  # numbers in a regression's maps of a step, above which making them takes longer than products
MOST_PADDING = 1.5  # columns there are for each column used, above which a group of its own for each run is cheaper


def shape_of(spec: RunSpec) -> Hashable:
    """Return what must be equal for runs to train as one stack; λ, rates, dropout, seeds and init differ freely."""
    schedule = (spec.epochs, spec.batch_size, spec.evaluate_every)
    kind: tuple[Hashable, ...] = (spec.variant, spec.implementation, spec.precision, spec.loss)
    if spec.implementation == "concise":
        return spec.model_dump_json()  # torch.nn trains one run at a time
    match spec:
        case MlpSpec():
            return (*kind, *schedule, *spec.sizes, tuple(spec.hidden), spec.activation)
        case PolynomialSpec():
            return (*kind, *schedule, *spec.sizes)
        case LinearSpec():
            return (*kind, *schedule, *spec.sizes, spec.n_inputs)


def data_of(spec: RunSpec) -> Hashable:
    """Return what decides a run's examples: runs of one shape that agree in it share their data set."""
    return (source_of(spec), spec.fold, spec.folds and spec.data_seed)


def source_of(spec: RunSpec) -> Hashable:
    """Return what decides a run's examples before a fold is held out."""
    match spec:
        case MlpSpec():
            return None if is_whole(spec.n_train, spec.n_test) else spec.data_seed
        case PolynomialSpec():
            return (spec.data_seed, tuple(spec.coefficients), spec.noise_std)
        case LinearSpec():
            return (spec.data_seed, spec.true_weight, spec.true_bias, spec.noise_std)


def is_whole(n_train: int, n_test: int) -> bool:
    """Return whether so many images are all of Fashion-MNIST, of which none is left to choose."""
    return (n_train, n_test) == (FASHION_MNIST_TRAIN, FASHION_MNIST_TEST)


@dataclass(frozen=True)
class Layout:
    """Where the runs of a stack lie: run i is column `column[i]` of group `group[i]`.

    `dataset[g]` and `seed[g]` are the group's; groups are sorted by data set. There are groups × columns places, of
    which some may be padding, in no run's use.
    """

    columns: int
    group: NDArray[np.int64]
    column: NDArray[np.int64]
    dataset: NDArray[np.int64]
    seed: list[int]

    @property
    def groups(self) -> int:
        """How many groups there are."""
        return len(self.seed)

    @cached_property
    def places(self) -> NDArray[np.int64]:
        """Each run's place among groups × columns."""
        return self.group * self.columns + self.column

    @property
    def parts(self) -> int:
        """Into how many parts that have nothing to do with one another it can be cut: groups, or columns of the one."""
        return self.groups if self.groups > 1 else self.columns

    def shared_out(self, among: int) -> "list[tuple[slice, NDArray[np.int64], Layout]]":
        """Cut it into at most so many shares: each with its parts, the runs that lie in them, and their own layout."""
        count = min(among, self.parts)
        bounds = [number * self.parts // count for number in range(count + 1)]
        return [(slice(*parts), *self._share(*parts)) for parts in pairwise(bounds)]

    def _share(self, start: int, stop: int) -> "tuple[NDArray[np.int64], Layout]":
        part = self.group if self.groups > 1 else self.column
        runs = np.flatnonzero((part >= start) & (part < stop))
        group, column = self.group[runs], self.column[runs]
        if self.groups == 1:
            return runs, Layout(stop - start, group, column - start, self.dataset, self.seed)
        return runs, Layout(self.columns, group - start, column, self.dataset[start:stop], self.seed[start:stop])

    def spread(self, values: ArrayLike) -> NDArray[np.float64]:
        """Lay one value per run out as [groups, columns], 0 where no run is."""
        spread = np.zeros(self.groups * self.columns)
        spread[self.places] = values
        return spread.reshape(self.groups, self.columns)

    def gather(self, values: ArrayLike) -> NDArray[np.float64]:
        """Bring one value per place, [groups, columns] or [1, groups·columns], into the order of the runs."""
        return np.asarray(values, np.float64).reshape(-1)[self.places]


def layout_of(specs: Sequence[RunSpec]) -> Layout:
    """Lay runs of one shape out as a stack."""
    datasets = {data: number for number, data in enumerate(dict.fromkeys(data_of(spec) for spec in specs))}
    keys = [(datasets[data_of(spec)], spec.seed) for spec in specs]
    members: dict[tuple[int, int], list[int]] = {key: [] for key in sorted(set(keys))}
    for run, key in enumerate(keys):
        members[key].append(run)
    columns = max(len(runs) for runs in members.values())
    if columns * len(members) > MOST_PADDING * len(specs):
        return _one_group_per_run(keys)
    group, column = np.empty(len(specs), np.int64), np.empty(len(specs), np.int64)
    for number, runs in enumerate(members.values()):
        group[runs], column[runs] = number, np.arange(len(runs))
    return Layout(columns, group, column, np.array([dataset for dataset, _ in members]), [seed for _, seed in members])


def _one_group_per_run(keys: list[tuple[int, int]]) -> Layout:
    order = sorted(range(len(keys)), key=lambda run: keys[run])
    group = np.empty(len(keys), np.int64)
    group[order] = np.arange(len(keys))
    return Layout(
        1,
        group,
        np.zeros(len(keys), np.int64),
        np.array([keys[run][0] for run in order]),
        [keys[run][1] for run in order],
    )


def datasets_of(specs: Sequence[RunSpec]) -> list[RunSpec]:
    """Return one run of each data set, in the order of `Layout.dataset`."""
    first: dict[Hashable, RunSpec] = {}
    for spec in specs:
        first.setdefault(data_of(spec), spec)
    return list(first.values())
