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
from mlcore.stack import data_of, shape_of

MOST_BYTES = 512 * 2**20
MOST_SECONDS = 10.0

SPREAD_SECONDS = 2.0  # trainings that take longer are cut into a stack for each worker there is

WIDE = 64
COPIES_OF_WEIGHTS = 4  # live, best, before the epoch, and on their way to storage
COPIES_OF_ACTIVATIONS = 6
CARD_SHARE = 0.5  # of a card for what `bytes_of` counts; temporary tensors, workspaces and images have the rest
SMALLEST_CARD = 8 * 2**30  # what is counted on while no worker has told of its card


@dataclass(frozen=True)
class Capacity:
    """What a stack finds where it trains: room in bytes, and how fast it goes.

    Rates are multiplications and additions a second: wide products run near a device's peak, the small ones of
    regressions are bound by memory and by the number of calls.
    """

    memory: int
    wide_rate: float
    narrow_rate: float
    step_seconds: float
    keeps_outputs: bool = False  # those of all steps of an epoch, until its end


CPU = Capacity(MOST_BYTES, wide_rate=200e9, narrow_rate=30e9, step_seconds=20e-6)  # as measured on a core


def card(memory: int | None) -> Capacity:
    """Return what a card with so many bytes has; the rates are those an H200 should reach, not yet measured."""
    room = int(CARD_SHARE * (memory or SMALLEST_CARD))
    return Capacity(room, wide_rate=20e12, narrow_rate=1e12, step_seconds=50e-6, keeps_outputs=True)


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
    ordered = table[np.lexsort(table.T[::-1]), 3].tolist()
    ends = np.bincount(table[:, 0]).cumsum().tolist()
    members = (ordered[start:stop] for start, stop in pairwise([0, *ends]))
    share = ceil(workers / max(len(heaviest), 1))  # several shapes are several stacks anyway
    pairs = zip(members, heaviest, strict=True)
    return [stack for runs, spec in pairs for stack in _split(runs, spec, share, capacity)] + alone


def _digest(key: Hashable) -> bytes:
    """Return what takes the place of a key that a sweep can have very many of, in a fifth of the memory."""
    return blake2b(repr(key).encode(), digest_size=16).digest()


def _width(spec: RunSpec) -> int:
    """Return the inputs of a run, in which alone runs of one shape can differ in weight."""
    return spec.degree if isinstance(spec, PolynomialSpec) else 0


def _split(members: list[int], heaviest: RunSpec, least: int, capacity: Capacity) -> list[list[int]]:
    weight = max(bytes_of(heaviest, capacity) / capacity.memory, run_seconds(heaviest, capacity) / MOST_SECONDS)
    parts = ceil(weight * len(members))
    if stack_seconds(heaviest, len(members), capacity) > SPREAD_SECONDS:
        parts = max(parts, least)
    parts = min(parts, len(members))
    bounds = [round(part * len(members) / parts) for part in range(parts + 1)]
    return [members[start:stop] for start, stop in pairwise(bounds)]


def threads(specs: Sequence[RunSpec], available: int) -> int:
    """Return how many threads pay for a stack: small products take longer with two than with one."""
    return available if max(layer_sizes(specs[0])[1:]) >= WIDE else 1


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
    rate = capacity.wide_rate if max(sizes[1:]) >= WIDE else capacity.narrow_rate
    return operations / rate


def stack_seconds(spec: RunSpec, runs: int, capacity: Capacity = CPU) -> float:
    """Estimate the whole training of a stack of so many runs like this one."""
    steps = ceil(spec.n_train / spec.batch_size)
    return spec.epochs * (steps * capacity.step_seconds + runs * run_seconds(spec, capacity))
