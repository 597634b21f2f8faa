"""Losses and their gradients with respect to the outputs: d2l 3.1, 3.4 and 4.4.

Logits are [..., O, n] and labels [..., n], with leading dimensions that broadcast: all runs of a stack at once.
"""

from typing import Final

import torch
from torch import Tensor

from mlcore.spec import SquaredLoss

SQUARED_ERROR_FACTORS: Final[dict[SquaredLoss, float]] = {"mse": 2.0, "half_squared_error": 1.0}
"""The losses of regressions are factor/2 · (ŷ − y)², so their derivative is factor · (ŷ − y): half_squared_error is the
book's from scratch."""


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """−log softmax(logits)[label] of each example, [..., n], with the largest logit taken out of the exponentials."""
    shifted = logits - logits.amax(-2, keepdim=True)
    chosen = shifted.gather(-2, _index(labels, logits)).squeeze(-2)
    return shifted.exp_().sum(-2).log_() - chosen


def cross_entropy_gradient(logits: Tensor, labels: Tensor) -> Tensor:
    """softmax(logits) − one_hot(label), [..., O, n]."""
    exponentials = (logits - logits.amax(-2, keepdim=True)).exp_()
    softmax = exponentials.div_(exponentials.sum(-2, keepdim=True))
    index = _index(labels, logits)
    return softmax.scatter_add_(-2, index, softmax.new_full((), -1.0).expand(index.shape))


def correct(logits: Tensor, labels: Tensor) -> Tensor:
    """Whether the largest logit is the label's: [..., n] of bool."""
    return torch.eq(logits.mT.contiguous().argmax(-1), labels)  # six times as fast as over distant numbers


def _index(labels: Tensor, logits: Tensor) -> Tensor:
    return labels.unsqueeze(-2).expand(*logits.shape[:-2], 1, logits.shape[-1])
