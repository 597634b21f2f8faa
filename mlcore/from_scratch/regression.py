"""Linear and polynomial regression, the network without hidden layers, for every run of a stack: d2l 3.4, 4.4, 4.5.

Its examples are few and its steps many, so a step is two products and hardly more: the residuals ŷ − y, which are the
loss's derivative up to a factor, and the update with them.
"""

from collections.abc import Generator, Sequence

import torch
from torch import Tensor

from mlcore.data.dataset import Part
from mlcore.device import finished
from mlcore.from_scratch.layers import Layer, OutputLayer
from mlcore.from_scratch.losses import SQUARED_ERROR_FACTORS
from mlcore.from_scratch.network import StackedNetwork
from mlcore.from_scratch.sgd import sgd_
from mlcore.initialization import InitialLayer
from mlcore.network import Measured, Values
from mlcore.spec import LinearSpec, PolynomialSpec
from mlcore.stack import Layout


class StackedRegression(StackedNetwork):
    """Regressions by gradient descent; see `mlcore.network.Network`."""

    def __init__(self, specs: Sequence[PolynomialSpec | LinearSpec], layout: Layout, device: str) -> None:
        super().__init__(specs, layout, device)
        self._factor = SQUARED_ERROR_FACTORS[specs[0].loss]
        self._mask = self._input_mask() if len(set(self._fan_ins)) > 1 else None

    def _laid_out(self, drawn: Sequence[Sequence[InitialLayer]], dtype: torch.dtype) -> Sequence[Layer]:
        self._layer = OutputLayer.of(self._layout, drawn[0], dtype, self._device)
        return [self._layer]

    def _input_mask(self) -> Tensor:
        """Return [G, I, C]: 0 where a run has no such input, 1 elsewhere."""
        fan_ins = torch.from_numpy(self._layout.spread(self._fan_ins)).to(self._device)
        inputs = torch.arange(self._layer.weight.shape[1], device=self._device)
        return (inputs[:, None] < fan_ins[:, None]).to(self._layer.weight.dtype)

    def train_epoch(self, part: Part, epoch: int) -> Generator[None, None, None]:
        """Take a step of SGD for each batch of the epoch's order."""
        size = self._batch_size
        for X, y in self._shuffled(part, epoch):
            batches = (torch.split(X, size, 1), torch.split(X.mT, size, 2), torch.split(y[..., None], size, 1))
            for batch in zip(*batches, strict=True):
                self._step(*batch)
                yield

    def _step(self, X: Tensor, transposed: Tensor, y: Tensor) -> None:
        """Forward, backward, update on X [G, n, I], the same as [G, I, n], and y [G, n, 1]."""
        d = _residuals(self._layer, X, y).mul_(self._scale(X.shape[1]))
        sgd_(self._layer.weight, transposed, d, self._decays[0])
        if self._layer.bias is not None:
            self._layer.bias.add_(d.sum(1, keepdim=True))
        if self._mask is not None:
            self._layer.weight.mul_(self._mask)

    def _scale(self, n: int) -> Tensor | float:
        """Return what turns residuals into −η times the gradient of the batch's mean loss."""
        if n not in self._scales:
            rate = self._rate if isinstance(self._rate, float) else self._rate[:, None]
            self._scales[n] = rate * -self._factor / n  # rounded once, be it a number or a tensor: factors are 1 or 2
        return self._scales[n]

    def _set_rates(self) -> None:
        super()._set_rates()
        self._scales: dict[int, Tensor | float] = {}

    def evaluate(self, part: Part) -> Generator[None, None, Measured]:
        """Measure the mean loss."""
        losses = yield from self._mean_losses(self._layer, part)
        return Measured(self._layout.gather(losses), None)

    def _mean_losses(self, layer: OutputLayer, part: Part) -> Generator[None, None, Values]:
        """Measure a layer, [G, C]; where all runs see the same examples, one product serves all."""
        seen = layer.as_one_group() if part.datasets == 1 and layer.groups > 1 else layer
        summed = torch.zeros(layer.groups, layer.columns, dtype=torch.float64, device=self._device)
        for X, y in self._evaluated(part):
            squared = _residuals(seen, X, y[..., None]).square_()
            summed += squared.sum(1, dtype=torch.float64).mul_(self._factor / 2).view_as(summed)
            yield
        yield from finished(self._device)
        losses: Values = summed.cpu().numpy() / len(part)
        return losses


def _residuals(layer: OutputLayer, X: Tensor, y: Tensor) -> Tensor:
    """Return ŷ − y for X [G, n, I] and y [G, n, 1], [G, n, C]."""
    residuals = torch.baddbmm(y, X, layer.weight, beta=-1)
    return residuals if layer.bias is None else residuals.add_(layer.bias)
