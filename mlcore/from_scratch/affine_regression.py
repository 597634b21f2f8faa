"""Regressions of a few small runs: what they cost is calls, so an epoch is one, the affine map w ← Mw + v.

The gradient of a batch's mean loss is f/n · (XᵀXw − Xᵀy), so with rate η and L2 decay λ a step has
M = (1 − ηλ)·1 − ηf/n · XᵀX and v = ηf/n · Xᵀy, and an epoch has the composition of its steps. The maps of some epochs
are made together, and what they lead to is measured together. Where runs are more or larger, the products Xw and Xᵀr of
`mlcore.from_scratch.regression` are fewer multiplications.
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor
from torch.nn.functional import pad

from mlcore.data.dataset import Part
from mlcore.from_scratch.layers import OutputLayer
from mlcore.from_scratch.penalties import l1_norm, squared_l2_norm
from mlcore.from_scratch.regression import StackedRegression
from mlcore.initialization import has_bias
from mlcore.network import Measured, Parameters, Values
from mlcore.spec import LinearSpec, PolynomialSpec
from mlcore.stack import MOST_MAPPED, Layout

# For more of either, making the maps takes longer than the calls that they save:
MOST_FEATURES = 2000  # in a step's batches

MOST_IN_AN_EPOCH = 2**17  # numbers in the maps of an epoch's steps, and in those of all that are trained together
MOST_EXAMPLES = 20_000  # seen and measured together: some milliseconds


class AffineRegression(StackedRegression):
    """Regressions by gradient descent, each a group of its own; see `mlcore.network.Network`.

    Some epochs are trained ahead, always the same ones together: one that goes on from a state between two of them gets
    the same bits.
    """

    def __init__(self, specs: Sequence[PolynomialSpec | LinearSpec], layout: Layout, device: str) -> None:
        super().__init__(specs, layout, device)
        self._epochs = specs[0].epochs
        self._examples_per_epoch = layout.groups * sum(specs[0].sizes)
        self._ahead: _Ahead | None = None

    @staticmethod
    def suits(specs: Sequence[PolynomialSpec | LinearSpec], layout: Layout) -> bool:
        """Return whether these runs can be trained so, and are quicker for it."""
        n, batch_size = specs[0].sizes.train, specs[0].batch_size
        inputs = max(map(_inputs, specs))
        return (
            layout.columns == 1
            and all(spec.penalty == "l2" for spec in specs)
            and layout.groups * min(batch_size, n) * inputs <= MOST_FEATURES
            and _numbers(layout.groups, inputs) <= MOST_MAPPED
            and _numbers(layout.groups, inputs) * -(-n // batch_size) <= MOST_IN_AN_EPOCH
        )

    def train_epoch(self, part: Part, epoch: int) -> Generator[None, None, None]:
        """Take a step of SGD for each batch of the epoch's order; there is too little to do to yield in between."""
        if self._ahead is None or epoch not in self._ahead.epochs:
            self._ahead = self._trained_ahead(part, epoch)
        self._ahead.at = self._ahead.epochs.index(epoch)
        for parameter, values in zip(self._layer.tensors().values(), self._ahead.parameters, strict=True):
            parameter.copy_(values[:, :, self._ahead.at, None])
        yield from ()

    def evaluate(self, part: Part) -> Generator[None, None, Measured]:
        """Measure the mean loss; that of the epochs ahead too."""
        ahead = self._ahead
        if ahead is None:
            return (yield from super().evaluate(part))
        if part not in ahead.losses:
            ahead.losses[part] = yield from self._mean_losses(ahead.layer, part)
        return Measured(self._layout.gather(ahead.losses[part][:, ahead.at]), None)

    def norms(self) -> tuple[Values, Values]:
        """Return the L2 and L1 norms."""
        if self._ahead is None:
            return super().norms()
        l2, l1 = (self._layout.gather(norms[:, self._ahead.at]) for norms in self._ahead.norms)
        return l2, l1

    def load(self, parameters: Parameters) -> None:
        """Set the parameters to the bits of earlier ones; what was trained ahead is forgotten."""
        super().load(parameters)
        self._ahead = None

    def stop(self, run: int) -> None:
        """Zero a run's parameters, those of the epochs ahead too, and its learning rate."""
        super().stop(run)
        if self._ahead is not None:
            for parameter in self._ahead.parameters:
                parameter[self._layout.group[run]] = 0

    def _trained_ahead(self, part: Part, epoch: int) -> "_Ahead":
        """Train from this epoch to the last of those that are trained together with it."""
        layer = self._layer
        epochs = self._together(len(part), epoch)
        w = torch.cat(list(layer.tensors().values()), 1)
        after = [torch.zeros_like(w)] * epochs.index(epoch)  # for the same shapes wherever a training goes on from
        for M, v in self._maps(part, epochs)[len(after) :]:
            w = torch.baddbmm(v, M, w)
            after.append(w)
        trained = torch.cat(after, 2)
        weight, bias = trained[:, : layer.weight.shape[1]], trained[:, layer.weight.shape[1] :]
        return _Ahead(epochs, OutputLayer(weight, None if layer.bias is None else bias, layer.groups, len(epochs)))

    def _together(self, n: int, epoch: int) -> range:
        """Return which epochs are trained together with this one."""
        inputs = sum(parameter.shape[1] for parameter in self._layer.tensors().values())
        numbers = _numbers(self._layer.groups, inputs) * -(-n // self._batch_size)
        count = max(1, min(MOST_EXAMPLES // self._examples_per_epoch, MOST_IN_AN_EPOCH // numbers))
        first = epoch - (epoch - 1) % count
        return range(first, min(first + count, self._epochs + 1))

    def _maps(self, part: Part, epochs: range) -> list[tuple[Tensor, Tensor]]:
        """Return M [G, I, I] and v [G, I, 1] of each of some epochs; a bias is the weight of an input that is 1."""
        X, y = self._examples(part, epochs)
        rest = len(part) % self._batch_size
        whole = len(part) - rest
        steps = [self._steps(X[:, :, :whole], y[:, :, :whole], self._batch_size)] if whole else []
        steps += [self._steps(X[:, :, whole:], y[:, :, whole:], rest)] if rest else []
        composed = _composed(torch.cat(steps, 2))
        return list(zip(composed[..., :-1, :-1].unbind(), composed[..., :-1, -1:].unbind(), strict=True))

    def _examples(self, part: Part, epochs: range) -> tuple[Tensor, Tensor]:
        """Return features [E, G, n, I] and labels [E, G, n] of some epochs in their orders."""
        orders = torch.stack([self._order(epoch, len(part)) for epoch in epochs])
        X, y = part.examples(part.rows_of(self._dataset).expand_as(orders).gather(2, orders))
        return X if self._layer.bias is None else torch.cat([X, torch.ones_like(X[..., :1])], 3), y

    def _steps(self, X: Tensor, y: Tensor, size: int) -> Tensor:
        """Return the steps [E, G, B, I + 1, I + 1] with the batches of this size: [M v] above [0 1]."""
        X, y = (torch.unflatten(each, 2, (-1, size)) for each in (X, y[..., None]))
        decay, rate = self._decay_and_rate()
        kept = pad(torch.diag_embed(decay[..., 0]), (0, 1))[:, None]
        steps = pad(kept - rate[:, None] / size * (X.mT @ torch.cat([X, -y], 4)), (0, 0, 0, 1))
        steps[..., -1, -1] = 1
        return steps

    def _decay_and_rate(self) -> tuple[Tensor, Tensor]:
        """Return 1 − ηλ and ηf of each input, both [G, I, 1]."""
        ones = torch.ones_like(torch.cat(list(self._layer.tensors().values()), 1))
        inputs = self._layer.weight.shape[1]
        decay, rate = ones * self._decays[0].factor, ones * self._scale(1) * -1
        decay[:, inputs:] = 1
        if self._mask is not None:
            rate[:, :inputs] *= self._mask
        return decay, rate


@dataclass
class _Ahead:
    """Some epochs trained, and which of them it is the turn of."""

    epochs: range
    layer: OutputLayer  # its columns are the epochs: what it was after each
    at: int = 0
    losses: dict[Part, Values] = field(default_factory=dict)  # [G, E]

    @property
    def parameters(self) -> list[Tensor]:
        """The weight, and if there is one the bias, [G, I or 1, E]."""
        return list(self.layer.tensors().values())

    @cached_property
    def norms(self) -> tuple[Values, Values]:
        """The L2 and L1 norms, [G, E]."""
        weights = self.layer.by_run(self.layer.weight)
        return squared_l2_norm(weights).sqrt().cpu().numpy(), l1_norm(weights).cpu().numpy()


def _composed(steps: Tensor) -> Tensor:
    """Return the composition [E, G, J, J] of steps [E, G, B, J, J], of which the first is taken first."""
    while (count := steps.shape[2]) > 1:
        paired, odd = steps[:, :, : count - count % 2], steps[:, :, count - count % 2 :]
        steps = torch.cat([paired[:, :, 1::2] @ paired[:, :, ::2], odd], 2)
    return steps[:, :, 0]


def _inputs(spec: PolynomialSpec | LinearSpec) -> int:
    """Count the inputs of a run, and for a bias one more."""
    return spec.n_features + has_bias(spec)


def _numbers(groups: int, inputs: int) -> int:
    """Count the numbers in the maps of a step."""
    return groups * (inputs + 1) ** 2
