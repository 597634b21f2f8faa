"""Fully connected layers of a stack: d2l 3.4 and 4.2.

Between layers everything is [G, C, width, n]: G groups × C columns of runs, n examples; so a batch X [G, n, I] and the
gradients go into every product as they lie in memory. Inside, the first layer of a group's runs is one matrix
[G, C·O, I], since its columns see the same batch and one product serves them all; a later layer is one matrix per run,
[S, O, I] with S = G·C. A run's own weight is [O, I], as torch.nn.Linear has it.
"""

from collections.abc import Sequence
from typing import Self

import numpy as np
import torch
from torch import Tensor

from mlcore.from_scratch.products import add_narrow_product_, product
from mlcore.from_scratch.sgd import Decay, sgd_
from mlcore.initialization import InitialLayer
from mlcore.stack import Layout


def cast(x: Tensor, dtype: torch.dtype) -> Tensor:
    """Return x in these numbers; itself where it has them."""
    return x if x.dtype == dtype else x.to(dtype)


def linreg(x: Tensor, w: Tensor, b: Tensor | None) -> Tensor:
    """Wx + b for x [S, I, n], w [S, O, I], b [S, O, 1] → [S, O, n], in the numbers of x."""
    w = cast(w, x.dtype)
    return product(w, x) if b is None else product(w, x).add_(b)


class Layer:
    """What all kinds of layers have: parameters, and a view of them by run."""

    def __init__(self, weight: Tensor, bias: Tensor | None, groups: int, columns: int) -> None:
        self.weight = weight
        self.bias = bias
        self.groups = groups
        self.columns = columns

    @classmethod
    def of(cls, layout: Layout, drawn: Sequence[InitialLayer], dtype: torch.dtype, device: str) -> Self:
        """Lay one initial layer per run out as the stack's; runs with fewer inputs than others are padded with 0."""
        fan_in = max(layer.weight.shape[0] for layer in drawn)
        fan_out = drawn[0].weight.shape[1]
        weights = np.zeros((layout.groups, layout.columns, fan_out, fan_in))
        biases = np.zeros((layout.groups, layout.columns, fan_out, 1))
        for layer, group, column in zip(drawn, layout.group, layout.column, strict=True):
            weights[group, column, :, : len(layer.weight)] = layer.weight.T
            biases[group, column, :, 0] = 0 if layer.bias is None else layer.bias
        has_bias = drawn[0].bias is not None
        weight, bias = (cls._own_layout(torch.from_numpy(values).to(device, dtype)) for values in (weights, biases))
        return cls(weight, bias if has_bias else None, layout.groups, layout.columns)

    def tensors(self) -> dict[str, Tensor]:
        """Return weight and, if there is one, bias."""
        return {"weight": self.weight} if self.bias is None else {"weight": self.weight, "bias": self.bias}

    def by_run(self, tensor: Tensor) -> Tensor:
        """View a tensor laid out as the weight or the bias as [G, C, O, I or 1]."""
        raise NotImplementedError

    def per_run(self, values: Tensor) -> Tensor:
        """Lay a value per run, [G, C], out so that it broadcasts over the weight."""
        raise NotImplementedError

    def _step(self, inputs: Tensor, d: Tensor, decay: Decay) -> None:
        """Take a step: inputs [S, n, I], d [S, O, n]."""
        if d.dtype == self.weight.dtype:
            sgd_(self.weight, d, inputs, decay)
        else:
            sgd_(self.weight, d, inputs, decay, add_narrow_product_)
        if self.bias is not None:
            self.bias.add_(d.sum(2, keepdim=True, dtype=self.bias.dtype))

    @staticmethod
    def _own_layout(values: Tensor) -> Tensor:
        """Lay [G, C, O, I or 1] out as the layer has it."""
        raise NotImplementedError


class FirstLayer(Layer):
    """The layer that sees the batch: weight [G, C·O, I], bias [G, C·O, 1]."""

    def __call__(self, X: Tensor) -> Tensor:
        """[G, n, I] → [G, C, O, n]."""
        return linreg(X.mT, self.weight, self.bias).view(self.groups, self.columns, -1, X.shape[1])

    def update(self, X: Tensor, d: Tensor, decay: Decay) -> None:
        """Take a step: X [G, n, I], −η·∂loss/∂outputs d [G, C, O, n]."""
        self._step(X, d.flatten(1, 2), decay)

    def by_run(self, tensor: Tensor) -> Tensor:
        """[G, C·O, I or 1] → [G, C, O, I or 1]."""
        return tensor.view(self.groups, self.columns, -1, tensor.shape[2])

    def per_run(self, values: Tensor) -> Tensor:
        """[G, C] → [G, C·O, 1]."""
        return values.repeat_interleave(self.weight.shape[1] // self.columns, 1)[:, :, None]

    def as_one_group(self) -> "FirstLayer":
        """View it as a layer whose one group has all runs as its columns: for when all see the same examples."""
        flat = {name: tensor.flatten(0, 1)[None] for name, tensor in self.tensors().items()}
        return FirstLayer(flat["weight"], flat.get("bias"), 1, self.groups * self.columns)

    @staticmethod
    def _own_layout(values: Tensor) -> Tensor:
        return values.flatten(1, 2)


class LaterLayer(Layer):
    """A layer that sees what the one before it gives: weight [S, O, I], bias [S, O, 1]."""

    def __call__(self, h: Tensor) -> Tensor:
        """[G, C, I, n] → [G, C, O, n], whichever way S is split into G × C."""
        return linreg(h.flatten(0, 1), self.weight, self.bias).view(*h.shape[:2], -1, h.shape[3])

    def backward(self, d: Tensor) -> Tensor:
        """Turn the loss's derivative by the outputs [G, C, O, n] into that by the inputs [G, C, I, n]."""
        return product(cast(self.weight, d.dtype).mT, d.flatten(0, 1)).view(*d.shape[:2], -1, d.shape[3])

    def update(self, h: Tensor, d: Tensor, decay: Decay) -> None:
        """Take a step: h [G, C, I, n], −η·∂loss/∂outputs d [G, C, O, n]."""
        self._step(h.flatten(0, 1).mT, d.flatten(0, 1), decay)

    def by_run(self, tensor: Tensor) -> Tensor:
        """[S, O, I or 1] → [G, C, O, I or 1]."""
        return tensor.view(self.groups, self.columns, *tensor.shape[1:])

    def per_run(self, values: Tensor) -> Tensor:
        """[G, C] → [S, 1, 1]."""
        return values.flatten()[:, None, None]

    @staticmethod
    def _own_layout(values: Tensor) -> Tensor:
        return values.flatten(0, 1)


class OutputLayer(Layer):
    """The only layer of a regression, one number out: weight [G, I, C] and bias [G, 1, C], its columns innermost.

    So that a product with a small batch has them all as its long side.
    """

    def by_run(self, tensor: Tensor) -> Tensor:
        """[G, I or 1, C] → [G, C, 1, I or 1]."""
        return tensor.mT[:, :, None]

    def per_run(self, values: Tensor) -> Tensor:
        """[G, C] → [G, 1, C]."""
        return values[:, None]

    def as_one_group(self) -> "OutputLayer":
        """Return a layer whose one group has all runs as its columns: for when all see the same examples."""
        flat = {name: tensor.transpose(0, 1).flatten(1)[None] for name, tensor in self.tensors().items()}
        return OutputLayer(flat["weight"], flat.get("bias"), 1, self.groups * self.columns)

    @staticmethod
    def _own_layout(values: Tensor) -> Tensor:
        return values.squeeze(2).mT.contiguous()
