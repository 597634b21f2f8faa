"""Which runs of an experiment train together: stacks of one shape, small enough to spread over workers. Torch-free.

A stack is one job: it occupies one worker, holds its tensors at once, and is what a crash sets back. So it is kept to
what its device has room for and about MOST_SECONDS an epoch.
"""

from array import array
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import pairwise
from math import ceil

import numpy as np

from mlcore.initialization import CLASSES, layer_sizes
from mlcore.spec import MlpSpec, PolynomialSpec, RunSpec
from mlcore.stack import MOST_MAPPED, data_of, shape_of

MOST_BYTES = 512 * 2**20
MOST_SECONDS = 10.0

SPREAD_SECONDS = 2.0  # trainings that take longer are cut into a stack for each worker there is

WIDE = 64
NARROW_THREADS = 2  # for networks of narrow layers; whether more pay has not been measured
COPIES_OF_WEIGHTS = 4  # live, best, before the epoch, and on their way to storage
COPIES_OF_ACTIVATIONS = 6
CARD_SHARE = 0.5  # of a card for what `bytes_of` counts; temporary tensors, workspaces and images have the rest
SMALLEST_CARD = 8 * 2**30  # what is counted on while no worker has told of its card


@dataclass(frozen=True)
class Capacity:
    """What a stack finds where it trains: room in bytes, and how fast it goes.

    Rates are multiplications and additions a second: wide products run near a device's peak, those of narrow networks
    and of regressions are bound by memory and by the number of calls. Where regressions have batches of their own,
    copying their examples' numbers together, so many a second, takes longer than the products.
    """

    memory: int
    wide_rate: float
    narrow_rate: float
    regression_rate: float
    copying_rate: float
    step_seconds: float
    keeps_outputs: bool = False  # those of all steps of an epoch, until its end


# As measured on a core.
CPU = Capacity(
    MOST_BYTES, wide_rate=200e9, narrow_rate=90e9, regression_rate=30e9, copying_rate=250e6, step_seconds=20e-6
)
CONCISE_STEP_SECONDS = 250e-6
MAPPED_STEP_SECONDS = 0.5e-6  # of a regression whose epochs are composed maps (mlcore.from_scratch.affine_regression)
JOB_SECONDS = 0.02  # to claim, begin and end one


def card(memory: int | None) -> Capacity:
    """Return what a card with so many bytes has; the rates are those an H200 should reach, not yet measured."""
    room = int(CARD_SHARE * (memory or SMALLEST_CARD))
    return Capacity(
        room,
        wide_rate=20e12,
        narrow_rate=1e12,
        regression_rate=1e12,
        copying_rate=50e9,
        step_seconds=50e-6,
        keeps_outputs=True,
    )


def stacks(specs: Iterable[RunSpec], workers: int = 1, capacity: Capacity = CPU) -> list[list[int]]:
    """Group runs into stacks, each a list of positions in `specs`; runs that share data and seed stay neighbours.

    What takes long is cut into one for each of so many workers at least. The specs are looked at once; few are held.
    """
    alone: list[list[int]] = []
    shapes: dict[Hashable, int] = {}
    datasets: dict[bytes, int] = {}
    heaviest: list[RunSpec] = []
    rows = array("q")
    for number, spec in enumerate(specs):
        if spec.implementation == "concise":  # torch.nn trains one run at a time
            alone.append([number])
            continue
        shape = shapes.setdefault(shape_of(spec), len(shapes))
        data = datasets.setdefault(_digest((shape, data_of(spec))), len(datasets))
        rows.extend((shape, data, spec.seed, number))
        if shape == len(heaviest):
            heaviest.append(spec)
        elif _width(spec) > _width(heaviest[shape]):
            heaviest[shape] = spec
    table = np.frombuffer(rows, np.int64).reshape(-1, 4)
    table = table[np.lexsort(table.T[::-1])]
    is_first = np.any(np.diff(table[:, :3], axis=0, prepend=-1), axis=1)  # of its group
    ends = np.bincount(table[:, 0]).cumsum().tolist()
    parts = [slice(start, stop) for start, stop in pairwise([0, *ends])]
    share = ceil(workers / max(len(heaviest), 1))  # several shapes are several stacks anyway
    split = (
        _split(table[part, 3].tolist(), spec, int(np.count_nonzero(is_first[part])), share, capacity)
        for part, spec in zip(parts, heaviest, strict=True)
    )
    return [stack for of_shape in split for stack in of_shape] + alone


def _digest(key: Hashable) -> bytes:
    """Return what takes the place of a key that a sweep can have very many of, in a fifth of the memory."""
    return blake2b(repr(key).encode(), digest_size=16).digest()


def _width(spec: RunSpec) -> int:
    """Return the inputs of a run, in which alone runs of one shape can differ in weight."""
    return spec.degree if isinstance(spec, PolynomialSpec) else 0


def _split(members: list[int], heaviest: RunSpec, groups: int, least: int, capacity: Capacity) -> list[list[int]]:
    weight = max(bytes_of(heaviest, capacity) / capacity.memory, run_seconds(heaviest, capacity) / MOST_SECONDS)
    parts = ceil(weight * len(members))
    if stack_seconds(heaviest, len(members), groups, capacity) > SPREAD_SECONDS:
        parts = max(parts, least)
    parts = min(parts, len(members))
    bounds = [round(part * len(members) / parts) for part in range(parts + 1)]
    return [members[start:stop] for start, stop in pairwise(bounds)]


def threads(specs: Sequence[RunSpec], available: int) -> int:
    """Return how many threads pay for a stack: many for wide layers, up to 1.8 times as fast with two for narrow ones.

    Regressions gain at most a seventh from a second thread, and small ones lose as much.
    """
    if not isinstance(specs[0], MlpSpec):
        return 1
    return available if max(layer_sizes(specs[0])[1:]) >= WIDE else min(available, NARROW_THREADS)


def bytes_of(spec: RunSpec, capacity: Capacity = CPU) -> int:
    """Estimate the tensors that a run adds to a stack."""
    sizes = layer_sizes(spec)
    weights = sum((fan_in + 1) * fan_out for fan_in, fan_out in pairwise(sizes))
    activations = min(spec.batch_size, spec.n_train) * sum(sizes[1:])
    numbers = COPIES_OF_WEIGHTS * weights + COPIES_OF_ACTIVATIONS * activations
    if isinstance(spec, MlpSpec):
        numbers += CLASSES * spec.n_train * capacity.keeps_outputs
    else:  # data sets of its own, at worst
        numbers += sum(spec.sizes) * spec.n_features
    return numbers * (8 if spec.precision == "float64" else 4)


def run_seconds(spec: RunSpec, capacity: Capacity = CPU) -> float:
    """Estimate what an epoch of one more run in a stack takes: 6 operations a weight and example, 2 to evaluate."""
    sizes = layer_sizes(spec)
    weights = sum(fan_in * fan_out for fan_in, fan_out in pairwise(sizes))
    evaluated = spec.n_valid + spec.n_test + (0 if isinstance(spec, MlpSpec) else spec.n_train)
    operations = weights * (6 * spec.n_train + 2 * evaluated / spec.evaluate_every)
    if not isinstance(spec, MlpSpec):
        return operations / capacity.regression_rate
    return operations / (capacity.wide_rate if max(sizes[1:]) >= WIDE else capacity.narrow_rate)


def stack_seconds(spec: RunSpec, runs: int, groups: int, capacity: Capacity = CPU) -> float:
    """Estimate the whole training of a stack of so many runs like this one, in groups that share their batches."""
    steps = ceil(spec.sizes.train / spec.batch_size)
    epoch = steps * _step_seconds(spec, runs, groups, capacity) + runs * run_seconds(spec, capacity)
    if not isinstance(spec, MlpSpec) and groups > 1:
        epoch += groups * spec.sizes.train * spec.n_features / capacity.copying_rate
    return JOB_SECONDS + spec.epochs * epoch


def _step_seconds(spec: RunSpec, runs: int, groups: int, capacity: Capacity) -> float:
    """Estimate what a step takes however little there is to compute."""
    if spec.implementation == "concise":
        return CONCISE_STEP_SECONDS
    is_mapped = not isinstance(spec, MlpSpec) and groups == runs and runs * spec.n_features**2 <= MOST_MAPPED
    return MAPPED_STEP_SECONDS if is_mapped and capacity is CPU else capacity.step_seconds


def count_groups(neighbours: Sequence[RunSpec], runs: int) -> int:
    """Estimate how many groups so many runs of a stack have at most, from some that follow each other in it."""
    distinct = len({(data_of(spec), spec.seed) for spec in neighbours})
    return ceil(runs * distinct / len(neighbours))
