"""The chapter's concepts in numbers: an activation function with its derivative, and what dropout does to a tensor."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mlcore.from_scratch.dropout import DropoutLayer
from mlcore.spec import MlpSpec
from mlcore.stack import layout_of

ACTIVATIONS = {"relu": torch.relu, "sigmoid": torch.sigmoid, "tanh": torch.tanh}
"""Those of d2l 4.1."""


class Activated(NamedTuple):
    """An activation's value and its derivative at each x, all (n,)."""

    y: NDArray[np.float64]
    dy_dx: NDArray[np.float64]


class Dropped(NamedTuple):
    """A tensor, the factors that dropout multiplies it with, and the product, all [rows, cols]."""

    x: Tensor
    mask: Tensor
    output: Tensor


def activate(name: str, x: Sequence[float]) -> Activated:
    """Apply one of ACTIVATIONS, and differentiate it by autograd: d2l 4.1. The derivative of relu at 0 is 0."""
    leaf = torch.tensor(x, dtype=torch.float64, requires_grad=True)
    y = ACTIVATIONS[name](leaf)
    (dy_dx,) = torch.autograd.grad(y.sum(), leaf)
    return Activated(y.detach().numpy(), dy_dx.numpy())


def drop_out(rows: int, cols: int, p: float, seed: int) -> Dropped:
    """Drop out of 0, 1, 2, … as a tensor [rows, cols] with probability p: d2l 4.6.

    The mask is the one that a run with this seed draws for the first step of its first hidden layer, if that has `cols`
    units and the batch `rows` examples.
    """
    x = torch.arange(rows * cols, dtype=torch.float64).reshape(rows, cols)
    layer = DropoutLayer(layout_of([MlpSpec(seed=seed)]), np.array([[p]]), epoch=1, layer=0)
    mask = layer.next_mask(x.T[None, None])[0, 0].T
    return Dropped(x, mask, x * mask)
