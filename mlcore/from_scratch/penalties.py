"""Norms of weights, the penalties' measure: d2l 4.5. Biases are not counted."""

from torch import Tensor


def l1_norm(weight: Tensor) -> Tensor:
    """‖w‖₁ of each run: [runs…, I, O] → [runs…]."""
    return weight.abs().sum((-2, -1))


def squared_l2_norm(weight: Tensor) -> Tensor:
    """‖w‖² of each run: [runs…, I, O] → [runs…]."""
    return weight.square().sum((-2, -1))
