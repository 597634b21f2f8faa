"""Activation functions and their derivatives: d2l 4.1.

Each derivative is a function of the activation's own output, the one thing a backward pass still has at hand.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from mlcore.spec import Activation


class ActivationFunction(NamedTuple):
    """`apply(x)` may write into x; `backward(gradient, output)` may write into gradient. Shapes are kept."""

    apply: Callable[[Tensor], Tensor]
    backward: Callable[[Tensor, Tensor], Tensor]


def relu(x: Tensor) -> Tensor:
    """max(x, 0)."""
    return x.clamp_(min=0)


def relu_backward(gradient: Tensor, output: Tensor) -> Tensor:
    """The derivative is 1 where x > 0, which is where the output is, else 0. At 0 it is 0."""
    derivative: Tensor = torch.ops.aten.threshold_backward(gradient, output, 0)
    return derivative


def sigmoid(x: Tensor) -> Tensor:
    """1 / (1 + e⁻ˣ)."""
    return x.neg_().exp_().add_(1).reciprocal_()


def sigmoid_backward(gradient: Tensor, output: Tensor) -> Tensor:
    """sigmoid' = sigmoid · (1 − sigmoid)."""
    return gradient.mul_(output).mul_(1 - output)


def tanh(x: Tensor) -> Tensor:
    """(1 − e⁻²ˣ) / (1 + e⁻²ˣ), from expm1(−2|x|): no cancellation near 0, no overflow far from it."""
    e = x.abs().mul_(-2).expm1_()
    return torch.copysign(e.div_(e + 2), x)


def tanh_backward(gradient: Tensor, output: Tensor) -> Tensor:
    """tanh' = 1 − tanh²."""
    return gradient.mul_(1 - output.square())


def identity(x: Tensor) -> Tensor:
    """X itself: a network of such layers is a linear one, whatever its depth."""
    return x


def identity_backward(gradient: Tensor, output: Tensor) -> Tensor:  # noqa: ARG001 — the signature of its siblings
    """The derivative is 1."""
    return gradient


ACTIVATIONS: dict[Activation, ActivationFunction] = {
    "relu": ActivationFunction(relu, relu_backward),
    "sigmoid": ActivationFunction(sigmoid, sigmoid_backward),
    "tanh": ActivationFunction(tanh, tanh_backward),
    "identity": ActivationFunction(identity, identity_backward),
}
