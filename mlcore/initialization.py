"""How the weights of a run start: drawn on the CPU in float64, at the run's own size, whatever trains it."""

from collections.abc import Hashable, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mlcore.randomness import stream
from mlcore.spec import LinearSpec, MlpSpec, NormalInit, PolynomialSpec, RunSpec

CLASSES = 10
PIXELS = 28 * 28


class InitialLayer(NamedTuple):
    """One layer as it starts: weight [fan_in, fan_out] and bias [fan_out], or no bias."""

    weight: NDArray[np.float64]
    bias: NDArray[np.float64] | None


def layer_sizes(spec: MlpSpec | PolynomialSpec | LinearSpec) -> list[int]:
    """Return the widths from inputs to outputs, len = number of layers + 1."""
    if isinstance(spec, MlpSpec):
        return [PIXELS, *spec.hidden, CLASSES]
    return [spec.n_features, 1]


def has_bias(spec: MlpSpec | PolynomialSpec | LinearSpec) -> bool:
    """Return whether the layers of a run have biases: a polynomial's constant is one of its features."""
    return not isinstance(spec, PolynomialSpec)


def initial_layers(spec: MlpSpec | PolynomialSpec | LinearSpec) -> list[InitialLayer]:
    """Draw a run's layers from (seed, "init", layer) by its `init` scheme."""
    return [_drawn(spec, layer, *sizes) for layer, sizes in enumerate(pairwise(layer_sizes(spec)))]


def initial_layers_of(specs: Sequence[RunSpec]) -> list[list[InitialLayer]]:
    """Draw the layers of each run; runs that start alike share their draws, which nobody may write to."""
    drawn: dict[Hashable, list[InitialLayer]] = {}
    layers = []
    for spec in specs:
        start = (spec.seed, spec.init, *layer_sizes(spec))
        if start not in drawn:
            drawn[start] = initial_layers(spec)
        layers.append(drawn[start])
    return layers


def _drawn(spec: MlpSpec | PolynomialSpec | LinearSpec, layer: int, fan_in: int, fan_out: int) -> InitialLayer:
    draws = stream(spec.seed, "init", layer)
    if isinstance(spec.init, NormalInit):
        weight = draws.standard_normal((fan_in, fan_out)) * spec.init.std
        return InitialLayer(weight, np.zeros(fan_out) if has_bias(spec) else None)
    bound = fan_in**-0.5
    weight = draws.uniform(-bound, bound, (fan_in, fan_out))
    return InitialLayer(weight, draws.uniform(-bound, bound, fan_out) if has_bias(spec) else None)
