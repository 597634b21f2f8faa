"""A fitted polynomial over its data: the learned function, the true one and the points, d2l 4.4."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mlcore.data import loading
from mlcore.data.synthetic import polynomial_features
from mlcore.spec import PolynomialSpec

Floats = NDArray[np.float64]
MOST_POINTS: Final = 1000
RESOLUTION: Final = 401


@dataclass(frozen=True)
class Points:
    """Examples: their inputs [n] and noisy labels [n]."""

    x: Floats
    y: Floats


@dataclass(frozen=True)
class Fit:
    """Two functions at inputs x [RESOLUTION] that span the points, and the first MOST_POINTS points of each part."""

    x: Floats
    learned: Floats
    true: Floats
    points: Mapping[str, Points]


def fit(spec: PolynomialSpec, weights: Floats) -> Fit:
    """Evaluate the polynomial with these weights [degree + 1] of 1, x, x²/2!, … where its data lie."""
    points = _points(spec)
    inputs = np.concatenate([part.x for part in points.values()])
    x = np.linspace(inputs.min(), inputs.max(), RESOLUTION)
    true = np.array(spec.coefficients)
    return Fit(x, _values(x, weights), _values(x, true), points)


def with_x(spec: PolynomialSpec) -> PolynomialSpec:
    """The spec, of degree 1 at least: x is its second feature. The examples do not depend on the degree."""
    return spec.model_copy(update={"degree": max(spec.degree, 1)})


def _values(x: Floats, weights: Floats) -> Floats:
    values: Floats = polynomial_features(x, len(weights) - 1) @ weights
    return values


def _points(spec: PolynomialSpec) -> dict[str, Points]:
    parts = loading.load([with_x(spec)], Path()).parts()
    found = {}
    for name, part in parts.items():
        features, labels = part.examples(part.rows[0, :MOST_POINTS])
        found[name] = Points(features[:, 1].numpy().astype(np.float64), labels.numpy().astype(np.float64))
    return found
