"""Fully connected layers of a stack, forward and backward: d2l 3.4 and 4.2.

Between layers everything is [G, C, n, width]: G groups × C columns of runs, n examples. Inside, the first layer of a
group's runs is one matrix [G, I, C·O], since its columns see the same batch X [G, n, I] and one product serves them
all; a later layer is one matrix per run, [S, I, O] with S = G·C.
"""

from collections.abc import Sequence
from typing import Self

import numpy as np
import torch
from torch import Tensor

from mlcore.from_scratch.sgd import Decay, step
from mlcore.initialization import InitialLayer
from mlcore.stack import Layout


def linreg(X: Tensor, w: Tensor, b: Tensor | None) -> Tensor:
    """Xw + b, batched: X [S, n, I], w [S, I, O], b [S, 1, O] → [S, n, O]."""
    return torch.bmm(X, w) if b is None else torch.baddbmm(b, X, w)


class Layer:
    """What both kinds of layer have: parameters, and a view of them by run."""

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
        weights = np.zeros((layout.groups, layout.columns, fan_in, fan_out))
        biases = np.zeros((layout.groups, layout.columns, 1, fan_out))
        for layer, group, column in zip(drawn, layout.group, layout.column, strict=True):
            weights[group, column, : len(layer.weight)] = layer.weight
            biases[group, column] = 0 if layer.bias is None else layer.bias
        has_bias = drawn[0].bias is not None
        weight, bias = (cls._own_layout(torch.from_numpy(values).to(device, dtype)) for values in (weights, biases))
        return cls(weight, bias if has_bias else None, layout.groups, layout.columns)

    def tensors(self) -> dict[str, Tensor]:
        """Return weight and, if there is one, bias."""
        return {"weight": self.weight} if self.bias is None else {"weight": self.weight, "bias": self.bias}

    def by_run(self, tensor: Tensor) -> Tensor:
        """View a tensor laid out as the weight or the bias as [G, C, I or 1, O]."""
        raise NotImplementedError

    def per_run(self, values: Tensor) -> Tensor:
        """Lay a value per run, [G, C], out so that it broadcasts over the weight."""
        raise NotImplementedError

    def _step(self, inputs: Tensor, d: Tensor, decay: Decay) -> None:
        step(self.weight, inputs, d, decay)
        if self.bias is not None:
            self.bias += d.sum(1, keepdim=True)

    @staticmethod
    def _own_layout(values: Tensor) -> Tensor:
        raise NotImplementedError


class FirstLayer(Layer):
    """The layer that sees the batch."""

    mask: Tensor | None = None  # [G, I, C·O]: 0 where a run has no such input, 1 elsewhere

    def __call__(self, X: Tensor) -> Tensor:
        """[G, n, I] → [G, C, n, O]."""
        z = linreg(X, self.weight, self.bias)
        return z.view(self.groups, X.shape[1], self.columns, -1).transpose(1, 2)

    def update(self, X: Tensor, d: Tensor, decay: Decay) -> None:
        """Take a step: X [G, n, I], d [G, C, n, O]. The weight of an input that a run does not have stays 0."""
        self._step(X, d.transpose(1, 2).reshape(self.groups, X.shape[1], -1), decay)
        if self.mask is not None:
            self.weight.mul_(self.mask)

    def by_run(self, tensor: Tensor) -> Tensor:
        """[G, I or 1, C·O] → [G, C, I or 1, O]."""
        return tensor.view(self.groups, tensor.shape[1], self.columns, -1).transpose(1, 2)

    def per_run(self, values: Tensor) -> Tensor:
        """[G, C] → [G, 1, C·O]."""
        return values.repeat_interleave(self.weight.shape[2] // self.columns, 1)[:, None]

    def as_one_group(self) -> "FirstLayer":
        """Return a layer whose one group has all runs as its columns: for when all see the same examples."""
        if self.groups == 1:
            return self
        flat = {name: tensor.transpose(0, 1).flatten(1)[None] for name, tensor in self.tensors().items()}
        return FirstLayer(flat["weight"], flat.get("bias"), 1, self.groups * self.columns)

    @staticmethod
    def _own_layout(values: Tensor) -> Tensor:
        return values.transpose(1, 2).flatten(2).contiguous()


class LaterLayer(Layer):
    """A layer that sees what the one before it gives."""

    def __call__(self, h: Tensor) -> Tensor:
        """[G, C, n, I] → [G, C, n, O], whichever way S is split into G × C."""
        return linreg(h.flatten(0, 1), self.weight, self.bias).view(*h.shape[:3], -1)

    def backward(self, d: Tensor) -> Tensor:
        """Turn the loss's derivative by the outputs [G, C, n, O] into that by the inputs [G, C, n, I]."""
        return torch.bmm(d.flatten(0, 1), self.weight.mT).view(*d.shape[:3], -1)

    def update(self, h: Tensor, d: Tensor, decay: Decay) -> None:
        """Take a step: h [G, C, n, I], d [G, C, n, O]."""
        self._step(h.flatten(0, 1), d.flatten(0, 1), decay)

    def by_run(self, tensor: Tensor) -> Tensor:
        """[S, I or 1, O] → [G, C, I or 1, O]."""
        return tensor.view(self.groups, self.columns, *tensor.shape[1:])

    def per_run(self, values: Tensor) -> Tensor:
        """[G, C] → [S, 1, 1]."""
        return values.flatten()[:, None, None]

    @staticmethod
    def _own_layout(values: Tensor) -> Tensor:
        return values.flatten(0, 1).contiguous()
