"""Learned weights as numbers, beside the true ones; read without torch."""

from typing import Any

import numpy as np
import numpy.typing as npt

from api import problem_kinds as kinds
from api.curves import numbers
from api.problems import Problem
from mlcore.spec import LinearSpec, MlpSpec, PolynomialSpec

NEAR_ZERO = 1e-3


def regression(spec: MlpSpec | PolynomialSpec | LinearSpec) -> PolynomialSpec | LinearSpec:
    """The spec, if its weights can be listed; raises Problem 409 for `mlp`, whose weights have no truth beside them."""
    if isinstance(spec, MlpSpec):
        raise Problem(kinds.not_for_variant, "An mlp has too many weights to list; /checkpoints/last holds them all.")
    return spec


def describe(spec: PolynomialSpec | LinearSpec, data: bytes) -> dict[str, Any]:
    """The fields of `schemas.results.LearnedWeights` that follow from a checkpoint's bytes (safetensors)."""
    from safetensors.numpy import load

    tensors = load(data)
    weights = tensors["layers.0.weight"].astype("float64").ravel()
    bias = tensors.get("layers.0.bias")
    return {
        "weights": numbers(weights),
        "true_weights": _true_weights(spec, len(weights)),
        "bias": None if bias is None else float(bias.ravel()[0]),
        "true_bias": spec.true_bias if isinstance(spec, LinearSpec) else None,
        **_norms(weights),
        "largest_absolute_weight": float(np.abs(weights).max()),
        "near_zero": _near_zero(spec, weights),
    }


def _true_weights(spec: PolynomialSpec | LinearSpec, count: int) -> list[float]:
    if isinstance(spec, LinearSpec):
        return [spec.true_weight] * count
    return spec.coefficients + [0.0] * (count - len(spec.coefficients))


def _norms(weights: npt.NDArray[np.float64]) -> dict[str, float]:
    return {"weight_l2_norm": float(np.linalg.norm(weights)), "weight_l1_norm": float(np.abs(weights).sum())}


def _near_zero(spec: PolynomialSpec | LinearSpec, weights: npt.NDArray[np.float64]) -> dict[str, Any]:
    threshold = max(NEAR_ZERO, 2 * spec.learning_rate * spec.weight_decay)
    return {"count": int((abs(weights) < threshold).sum()), "threshold": threshold}
