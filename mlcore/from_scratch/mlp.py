"""Multilayer perceptrons and, without hidden layers, softmax regression: d2l 4.2 and 4.6, for every run of a stack."""

from collections.abc import Generator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mlcore.data.dataset import Part
from mlcore.device import finished
from mlcore.from_scratch.activations import ACTIVATIONS
from mlcore.from_scratch.dropout import CounterDropoutLayer, DropoutLayer
from mlcore.from_scratch.layers import FirstLayer, LaterLayer, Layer, cast
from mlcore.from_scratch.losses import correct, cross_entropy, cross_entropy_gradient
from mlcore.from_scratch.network import StackedNetwork, Sums
from mlcore.initialization import InitialLayer
from mlcore.network import Measured
from mlcore.spec import MlpSpec
from mlcore.stack import Layout

SUMMED_BATCHES = 8  # whose losses are measured together: few calls

Masks = Sequence[DropoutLayer | CounterDropoutLayer | None]


class StackedMlp(StackedNetwork):
    """Classifiers; see `mlcore.network.Network`."""

    def __init__(self, specs: Sequence[MlpSpec], layout: Layout, device: str) -> None:
        super().__init__(specs, layout, device)
        self._activation = ACTIVATIONS[specs[0].activation]
        self._dropout: list[NDArray[np.float64]] = [  # [G, C] for each hidden layer
            layout.spread(p) for p in zip(*(spec.dropout for spec in specs), strict=True)
        ]

    def _laid_out(self, drawn: Sequence[Sequence[InitialLayer]], dtype: torch.dtype) -> Sequence[Layer]:
        first, *later = drawn
        self._first = FirstLayer.of(self._layout, first, dtype, self._device)
        self._later = [LaterLayer.of(self._layout, layer, dtype, self._device) for layer in later]
        return [self._first, *self._later]

    def train_epoch(self, part: Part, epoch: int) -> Generator[None, None, Measured]:
        """Take a step of SGD for each batch of the epoch's order."""
        dropout = [
            DropoutLayer(self._layout, p, epoch, number) if p.any() else None for number, p in enumerate(self._dropout)
        ]
        sums = Sums(self._layout)
        unsummed: list[tuple[Tensor, Tensor]] = []
        for X, y in self._shuffled(part, epoch):
            for batch in zip(torch.split(X, self._batch_size, 1), torch.split(y, self._batch_size, 1), strict=True):
                unsummed.append((self._step(*batch, dropout), batch[1]))
                if len(unsummed) == SUMMED_BATCHES:
                    _add_all(sums, unsummed)
                yield
        _add_all(sums, unsummed)
        return sums.mean()

    def _step(self, X: Tensor, y: Tensor, dropout: Masks) -> Tensor:
        """Forward, backward, update on X [G, n, I] and y [G, n]; return the outputs [G, C, O, n] it began with."""
        X = cast(X, self._computed)
        z = self._first(X)
        inputs, activated, masks = [], [], []
        for layer, dropout_layer in zip(self._later, dropout, strict=True):
            h = self._activation.apply(z)
            mask = None if dropout_layer is None else dropout_layer.next_mask(h)
            activated.append(h)
            masks.append(mask)
            inputs.append(h if mask is None else h * mask)
            z = layer(inputs[-1])
        z = cast(z, self._first.weight.dtype)
        d = cast(cross_entropy_gradient(z, y[:, None]).mul_(self._scale(X.shape[1])), self._computed)
        for number in reversed(range(len(self._later))):
            back = self._later[number].backward(d)
            self._later[number].update(inputs[number], d, self._decays[number + 1])
            mask = masks[number]
            d = self._activation.backward(back if mask is None else back.mul_(mask), activated[number])
        self._first.update(X, d, self._decays[0])
        return z

    def _scale(self, n: int) -> Tensor | float:
        """Return what turns the gradients of a batch's losses into −η times that of their mean."""
        return -self._rate / n if isinstance(self._rate, float) else self._rate[:, :, None, None] / -n

    def evaluate(self, part: Part) -> Generator[None, None, Measured]:
        """Measure the mean loss and accuracy; where all runs see the same examples, one product serves all."""
        first = self._first.as_one_group() if part.datasets == 1 else self._first
        sums = Sums(self._layout)
        for X, y in self._evaluated(part):
            z = first(cast(X, self._computed))
            for layer in self._later:
                z = layer(self._activation.apply(z))
            add(sums, cast(z, first.weight.dtype), y)
            yield
        yield from finished(self._device)
        return sums.mean()


def _add_all(sums: Sums, batches: list[tuple[Tensor, Tensor]]) -> None:
    """Add the batches and forget them."""
    if batches:
        logits, labels = zip(*batches, strict=True)
        add(sums, torch.cat(logits, 3), torch.cat(labels, 1))
        batches.clear()


def add(sums: Sums, logits: Tensor, labels: Tensor) -> None:
    """Add a batch: logits [G, C, O, n], labels [G, n]."""
    labels = labels[:, None]
    losses = cross_entropy(logits, labels).sum(2, dtype=torch.float64)
    sums.add(labels.shape[2], losses, correct(logits, labels).sum(2))
