"""Regressions of a few small runs: what they cost is calls, so each step is one, the affine map w ← Mw + v.

The gradient of a batch's mean loss is f/n · (XᵀXw − Xᵀy), so with rate η and L2 decay λ a step has
M = (1 − ηλ)·1 − ηf/n · XᵀX and v = ηf/n · Xᵀy. They are made for all batches of some epochs at once. Where runs are
more or larger, the products Xw and Xᵀr of `mlcore.from_scratch.regression` are fewer multiplications.
"""

from collections.abc import Generator, Sequence

import torch
from torch import Tensor

from mlcore.data.dataset import Part
from mlcore.from_scratch.regression import StackedRegression
from mlcore.spec import LinearSpec, PolynomialSpec
from mlcore.stack import Layout

MOST_FEATURES = 500  # in a step's batches: for more, making the maps takes longer than the calls that they save
MOST_NUMBERS = 2**17  # in the maps that are made together, at least an epoch's: some 50 ms of steps at most
MOST_EXAMPLES = 2000  # of each group, whose maps are made together

Map = tuple[Tensor, Tensor]


class AffineRegression(StackedRegression):
    """Regressions by gradient descent, each a group of its own; see `mlcore.network.Network`."""

    @staticmethod
    def suits(specs: Sequence[PolynomialSpec | LinearSpec], layout: Layout) -> bool:
        """Return whether these runs can be trained so, and are quicker for it."""
        n, batch_size = specs[0].sizes.train, specs[0].batch_size
        inputs = max(map(_inputs, specs))
        return (
            layout.columns == 1
            and all(spec.penalty == "l2" for spec in specs)
            and layout.groups * min(batch_size, n) * inputs <= MOST_FEATURES
            and _numbers(layout.groups, n, batch_size, inputs) <= MOST_NUMBERS
        )

    def train_epoch(self, part: Part, epoch: int) -> Generator[None, None, None]:
        """Take a step of SGD for each batch of the epoch's order; there is too little to do to yield in between."""
        parameters = list(self._layer.tensors().values())
        w = torch.cat(parameters, 1)
        for M, v in self._maps_of(part, epoch):
            w = torch.baddbmm(v, M, w)
        for parameter, values in zip(
            parameters, torch.split(w, [each.shape[1] for each in parameters], 1), strict=True
        ):
            parameter.copy_(values)
        yield from ()

    def _set_rates(self) -> None:
        super()._set_rates()
        self._maps: dict[int, list[Map]] = {}

    def _maps_of(self, part: Part, epoch: int) -> list[Map]:
        """Return M [G, I, I] and v [G, I, 1] of each step of an epoch; a bias is the weight of an input that is 1."""
        if epoch not in self._maps:
            inputs = sum(parameter.shape[1] for parameter in self._layer.tensors().values())
            numbers = _numbers(self._layer.groups, len(part), self._batch_size, inputs)
            together = max(1, min(MOST_EXAMPLES // len(part), MOST_NUMBERS // numbers))
            first = epoch - (epoch - 1) % together  # the same are made together wherever a training goes on from
            epochs = range(first, first + together)
            self._maps = dict(zip(epochs, self._made(*self._examples(part, epochs)), strict=True))
        return self._maps[epoch]

    def _examples(self, part: Part, epochs: range) -> tuple[Tensor, Tensor]:
        """Return features [E, G, n, I] and labels [E, G, n] of some epochs in their orders."""
        orders = torch.stack([self._order(epoch, len(part)) for epoch in epochs])
        X, y = part.examples(part.rows_of(self._dataset).expand_as(orders).gather(2, orders))
        return X if self._layer.bias is None else torch.cat([X, torch.ones_like(X[..., :1])], 3), y

    def _made(self, X: Tensor, y: Tensor) -> list[list[Map]]:
        """Return the maps of each epoch: those of its whole batches, and that of what is left."""
        rest = X.shape[2] % self._batch_size
        whole = X.shape[2] - rest
        cut = [(X[:, :, :whole], y[:, :, :whole], self._batch_size), (X[:, :, whole:], y[:, :, whole:], rest)]
        made = [self._made_of_batches(*each) for each in cut if each[0].shape[2]]
        return [[step for steps in of_epoch for step in steps] for of_epoch in zip(*made, strict=True)]

    def _made_of_batches(self, X: Tensor, y: Tensor, size: int) -> list[list[Map]]:
        """Return the maps of the batches of this size that the examples are cut into, of each epoch."""
        X, y = (torch.unflatten(each, 2, (-1, size)) for each in (X, y[..., None]))
        decay, rate = self._decay_and_rate()
        rate = rate[:, None] / size
        M = torch.diag_embed(decay[..., 0])[:, None] - rate * (X.mT @ X)
        v = rate * (X.mT @ y)
        return [list(zip(M_e.unbind(1), v_e.unbind(1), strict=True)) for M_e, v_e in zip(M, v, strict=True)]

    def _decay_and_rate(self) -> tuple[Tensor, Tensor]:
        """Return 1 − ηλ and ηf of each input, both [G, I, 1]."""
        ones = torch.ones_like(torch.cat(list(self._layer.tensors().values()), 1))
        inputs = self._layer.weight.shape[1]
        decay, rate = ones * self._decays[0].factor, ones * self._scale(1) * -1
        decay[:, inputs:] = 1
        if self._mask is not None:
            rate[:, :inputs] *= self._mask
        return decay, rate


def _inputs(spec: PolynomialSpec | LinearSpec) -> int:
    """Count the inputs of a run, and for a bias one more."""
    return spec.n_features + isinstance(spec, LinearSpec)


def _numbers(groups: int, n: int, batch_size: int, inputs: int) -> int:
    """Count the numbers in the maps of an epoch."""
    return groups * -(-n // batch_size) * inputs**2
