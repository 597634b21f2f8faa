"""Generated regression data: polynomial points (d2l 4.4) and a linear function of many inputs (d2l 4.5).

Training, validation and test examples are drawn apart, each a function of (data_seed, part) alone.
"""

import math
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from mlcore.data.dataset import Dataset, Part
from mlcore.randomness import stream
from mlcore.spec import LinearSpec, PolynomialSpec, SyntheticSpec

Floats = NDArray[np.float64]
PARTS = ("train", "valid", "test")


def polynomial_features(x: Floats, degree: int) -> Floats:
    """Return 1, x, x²/2!, …, xᵈ/d! for each x: [n] → [n, degree + 1]; 1/i! keeps large powers from large values."""
    powers = np.arange(degree + 1)
    return x[:, None] ** powers / np.array([math.factorial(power) for power in powers], dtype=np.float64)


def polynomial(spec: PolynomialSpec, degree: int) -> Dataset:
    """Draw y = Σ wᵢ xⁱ/i! + ε with x ~ N(0, 1), ε ~ N(0, noise_std²), and features [n, degree + 1]."""

    def draw(inputs: np.random.Generator, n: int) -> tuple[Floats, Floats]:
        x = inputs.standard_normal(n)
        y = polynomial_features(x, len(spec.coefficients) - 1) @ np.array(spec.coefficients)
        return polynomial_features(x, degree), y

    return _dataset(spec, spec.noise_std, draw)


def linear(spec: LinearSpec) -> Dataset:
    """Draw y = Σ true_weight·xᵢ + true_bias + ε with x ~ N(0, 1), ε ~ N(0, noise_std²), and features [n, n_inputs]."""

    def draw(inputs: np.random.Generator, n: int) -> tuple[Floats, Floats]:
        X = inputs.standard_normal((n, spec.n_inputs))
        return X, X.sum(1) * spec.true_weight + spec.true_bias

    return _dataset(spec, spec.noise_std, draw)


def _dataset(
    spec: SyntheticSpec, noise_std: float, draw: Callable[[np.random.Generator, int], tuple[Floats, Floats]]
) -> Dataset:
    dtype = getattr(torch, spec.precision)
    sizes = {"train": spec.n_train, "valid": spec.n_valid, "test": spec.n_test}

    def part(name: str) -> Part | None:
        n, number = sizes[name], PARTS.index(name)
        if not n:
            return None
        X, y = draw(stream(spec.data_seed, "inputs", number), n)
        y = y + stream(spec.data_seed, "noise", number).normal(0, noise_std, n)
        return Part(torch.from_numpy(X).to(dtype), torch.from_numpy(y).to(dtype), torch.arange(n)[None])

    return Dataset(**{name: part(name) for name in PARTS})  # type: ignore[arg-type]  # only valid may be None
