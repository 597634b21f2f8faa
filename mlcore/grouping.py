"""Which runs of an experiment train together: stacks of one shape, small enough to spread over workers. Torch-free.

A stack is one job: it occupies one worker, holds its tensors at once, and is what a crash sets back. So it is kept to
MOST_BYTES of tensors and about MOST_SECONDS an epoch.
"""

from collections.abc import Hashable, Sequence
from itertools import pairwise
from math import ceil

from mlcore.initialization import layer_sizes
from mlcore.spec import MlpSpec, RunSpec
from mlcore.stack import data_of, shape_of

MOST_BYTES = 512 * 2**20
MOST_SECONDS = 10.0

# Multiplications and additions a second on two CPU cores, as measured: wide products run near the cores' peak, the
# small ones of regressions are bound by memory and by the number of calls.
WIDE_RATE = 200e9
NARROW_RATE = 5e9
WIDE = 64
STEP_SECONDS = 60e-6
COPIES_OF_WEIGHTS = 4  # live, best, before the epoch, and on their way to storage
COPIES_OF_ACTIVATIONS = 6


def stacks(specs: Sequence[RunSpec]) -> list[list[int]]:
    """Group runs into stacks, each a list of positions in `specs`; runs that share data and seed stay neighbours."""
    by_shape: dict[Hashable, list[int]] = {}
    for number, spec in enumerate(specs):
        by_shape.setdefault(shape_of(spec), []).append(number)
    return [stack for members in by_shape.values() for stack in _split(specs, members)]


def _split(specs: Sequence[RunSpec], members: list[int]) -> list[list[int]]:
    data = {key: number for number, key in enumerate(dict.fromkeys(data_of(specs[member]) for member in members))}
    ordered = sorted(members, key=lambda member: (data[data_of(specs[member])], specs[member].seed, member))
    heaviest = max(members, key=lambda member: bytes_of(specs[member]))
    weight = max(bytes_of(specs[heaviest]) / MOST_BYTES, run_seconds(specs[heaviest]) / MOST_SECONDS)
    parts = min(len(ordered), ceil(weight * len(ordered)))
    bounds = [round(part * len(ordered) / parts) for part in range(parts + 1)]
    return [ordered[start:stop] for start, stop in pairwise(bounds)]


def threads(specs: Sequence[RunSpec], available: int) -> int:
    """Return how many threads pay for a stack: small products take longer with two than with one."""
    return available if max(layer_sizes(specs[0])[1:]) >= WIDE else 1


def bytes_of(spec: RunSpec) -> int:
    """Estimate the tensors that a run adds to a stack."""
    sizes = layer_sizes(spec)
    weights = sum((fan_in + 1) * fan_out for fan_in, fan_out in pairwise(sizes))
    activations = min(spec.batch_size, spec.n_train) * sum(sizes[1:])
    numbers = COPIES_OF_WEIGHTS * weights + COPIES_OF_ACTIVATIONS * activations
    if not isinstance(spec, MlpSpec):  # data sets of its own, at worst
        numbers += sum(spec.sizes) * spec.n_features
    return numbers * (8 if spec.precision == "float64" else 4)


def run_seconds(spec: RunSpec) -> float:
    """Estimate what an epoch of one more run in a stack takes: 6 operations a weight and example, 2 to evaluate."""
    sizes = layer_sizes(spec)
    weights = sum(fan_in * fan_out for fan_in, fan_out in pairwise(sizes))
    evaluated = spec.n_valid + spec.n_test + (0 if isinstance(spec, MlpSpec) else spec.n_train)
    operations = weights * (6 * spec.n_train + 2 * evaluated / spec.evaluate_every)
    rate = WIDE_RATE if max(sizes[1:]) >= WIDE else NARROW_RATE
    return operations / rate


def stack_seconds(specs: Sequence[RunSpec]) -> float:
    """Estimate the whole training of a stack."""
    spec = specs[0]
    steps = ceil(spec.n_train / spec.batch_size)
    return spec.epochs * (steps * STEP_SECONDS + len(specs) * run_seconds(spec))
