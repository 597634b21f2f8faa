"""Mini-batch SGD with weight decay for every run of a stack at once: d2l 3.2 and 4.5.

The step is w ← (1 − ηλ)·w − η·gradient for the L2 penalty and w ← w − ηλ·sign(w) − η·gradient for L1. Gradients come
multiplied by −η from the output on, so that a product and a sum take the step.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from mlcore.from_scratch.products import AddProduct, add_product_


class Decay(NamedTuple):
    """How the penalty moves each run's weights in a step, shaped to broadcast over them.

    `factor` is 1 − ηλ for L2 (a float where all runs agree: the step applies it for nothing), `l1_step` is ηλ for L1,
    None where no run has it.
    """

    factor: Tensor | float
    l1_step: Tensor | None

    @classmethod
    def of(cls, step: Tensor, is_l1: Tensor, *, share: bool = True) -> "Decay":
        """Make it from ηλ and the kind of penalty of each run; without `share`, a factor for all can only be 1.

        A card rounds a product once more when it does not scale at the same time, and a run that stops turns the
        factor of all into one of each: the others are to keep their bits.
        """
        factor = torch.where(is_l1, 1.0, 1.0 - step)
        l1_step = torch.where(is_l1, step, 0.0)
        of_all = shared(factor)
        if not share and of_all is not factor and of_all != 1:
            of_all = factor
        return cls(of_all, l1_step if bool(l1_step.any()) else None)


def shared(values: Tensor) -> Tensor | float:
    """Return the one value that all have, if there is one."""
    first = values.flatten()[0]
    return first.item() if bool((values == first).all()) else values


def sgd_(weight: Tensor, a: Tensor, b: Tensor, decay: Decay, add_product: AddProduct = add_product_) -> None:
    """Take a step in place, of which ab is −η times the gradient of the loss: weight [S, M, N], ab [S, M, N]."""
    shrink = None if decay.l1_step is None else weight.sign().mul_(decay.l1_step)
    add_product(weight, decay.factor, a, b)
    if shrink is not None:
        weight.sub_(shrink)
