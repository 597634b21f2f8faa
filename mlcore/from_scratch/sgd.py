"""Mini-batch SGD with weight decay for every run of a stack at once: d2l 3.2 and 4.5.

The step is w ← (1 − ηλ)·w − η·gradient for the L2 penalty and w ← w − ηλ·sign(w) − η·gradient for L1. Gradients come
multiplied by −η from the output on, so that one fused product takes the step.
"""

from typing import NamedTuple

import torch
from torch import Tensor


class Decay(NamedTuple):
    """How the penalty moves each run's weights in a step, shaped to broadcast over them.

    `factor` is 1 − ηλ for L2 (a float where all runs agree: the fused product applies it for nothing), `l1_step` is
    ηλ for L1, None where no run has it.
    """

    factor: Tensor | float
    l1_step: Tensor | None

    @classmethod
    def of(cls, step: Tensor, is_l1: Tensor) -> "Decay":
        """Make it from ηλ and the kind of penalty of each run."""
        factor = torch.where(is_l1, 1.0, 1.0 - step)
        l1_step = torch.where(is_l1, step, 0.0)
        shared = bool((factor == factor.flatten()[0]).all())
        return cls(factor.flatten()[0].item() if shared else factor, l1_step if bool(l1_step.any()) else None)


def step(weight: Tensor, inputs: Tensor, d: Tensor, decay: Decay) -> None:
    """Take a step in place: weight [S, I, O], the layer's inputs [S, n, I], −η·∂loss/∂outputs d [S, n, O]."""
    shrink = None if decay.l1_step is None else weight.sign().mul_(decay.l1_step)
    if isinstance(decay.factor, Tensor):
        weight.mul_(decay.factor)
        weight.baddbmm_(inputs.mT, d)
    else:
        weight.baddbmm_(inputs.mT, d, beta=decay.factor)
    if shrink is not None:
        weight.sub_(shrink)
