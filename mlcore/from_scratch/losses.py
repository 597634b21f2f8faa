"""Losses and their gradients with respect to the outputs: d2l 3.1, 3.4 and 4.4.

Outputs are [..., n, O] and labels [..., n], with leading dimensions that broadcast: all runs of a stack at once.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from mlcore import spec


class LossFunction(NamedTuple):
    """`values(outputs, labels)` is the loss of each example [..., n].

    Its derivative by the outputs is `factor` · `direction(outputs, labels)` [..., n, O]: whoever multiplies with a
    learning rate anyway takes the factor along.
    """

    values: Callable[[Tensor, Tensor], Tensor]
    direction: Callable[[Tensor, Tensor], Tensor]
    factor: float = 1.0


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """−log softmax(logits)[label], with the largest logit taken out of the exponentials."""
    shifted = logits - logits.amax(-1, keepdim=True)
    chosen = shifted.gather(-1, _per_run(labels, logits)[..., None]).squeeze(-1)
    return shifted.exp_().sum(-1).log_() - chosen


def cross_entropy_direction(logits: Tensor, labels: Tensor) -> Tensor:
    """softmax(logits) − one_hot(label)."""
    exponentials = (logits - logits.amax(-1, keepdim=True)).exp_()
    softmax = exponentials.div_(exponentials.sum(-1, keepdim=True))
    index = _per_run(labels, logits)[..., None]
    return softmax.scatter_add_(-1, index, softmax.new_full((), -1.0).expand(index.shape))


def squared_error(outputs: Tensor, labels: Tensor) -> Tensor:
    """(ŷ − y)²."""
    return (outputs.squeeze(-1) - labels).square_()


def residual(outputs: Tensor, labels: Tensor) -> Tensor:
    """ŷ − y, the derivative of (ŷ − y)² / 2 and half of that of (ŷ − y)²."""
    return outputs - labels[..., None]


def half_squared_error(outputs: Tensor, labels: Tensor) -> Tensor:
    """(ŷ − y)² / 2, the book's squared loss from scratch."""
    return squared_error(outputs, labels).div_(2)


def correct(logits: Tensor, labels: Tensor) -> Tensor:
    """Whether the largest logit is the label's: [..., n] of bool."""
    return torch.eq(logits.argmax(-1), labels)


def _per_run(labels: Tensor, outputs: Tensor) -> Tensor:
    return labels.expand(outputs.shape[:-1])


LOSSES: dict[spec.Loss, LossFunction] = {
    "cross_entropy": LossFunction(cross_entropy, cross_entropy_direction),
    "mse": LossFunction(squared_error, residual, factor=2.0),
    "half_squared_error": LossFunction(half_squared_error, residual),
}
