"""The stacked networks as a card trains them: the same steps, replayed (`mlcore.from_scratch.replay`).

Batches and masks are drawn where the training is, nothing waits for the CPU before the end of an epoch, and losses are
measured then, many steps at once. On the CPU the same runs step by step: to compare with a card, and to be tested
without one.
"""

from collections.abc import Generator, Iterator, Sequence

import torch
from torch import Tensor

from mlcore.data.dataset import Part
from mlcore.device import finished
from mlcore.from_scratch.dropout import CounterDropoutLayer
from mlcore.from_scratch.losses import correct, cross_entropy
from mlcore.from_scratch.mlp import StackedMlp, add
from mlcore.from_scratch.network import StackedNetwork, Sums
from mlcore.from_scratch.regression import StackedRegression
from mlcore.from_scratch.replay import Batches, Replay
from mlcore.network import Measured, steps

NUMBERS_AT_ONCE = 2**26  # a card wants few and large calls


class _Replayed(StackedNetwork):
    """What the two have in common: batches of the part that they train on, and a step that is replayed."""

    shares_rates = False  # a number for all would become a tensor when a run stops, and round otherwise on a card
    evaluated_numbers = NUMBERS_AT_ONCE

    _batches: Batches | None = None
    _replay: Replay | None = None

    def _set_rates(self) -> None:
        super()._set_rates()
        self._replay = None  # it multiplies with the rates that there were

    def _begun(self, part: Part, epoch: int) -> Batches:
        """Return the batches of an epoch of the part."""
        if self._batches is None or self._batches.part is not part:
            self._batches = Batches(part, part.rows_of(self._dataset), self._layout.seed, self._batch_size)
            self._replay = None
            self._prepare(self._batches)
        self._batches.begin(epoch)
        return self._batches

    def _prepare(self, batches: Batches) -> None:
        """Make what steps on these batches need."""

    def _whole_batches(self, batches: Batches) -> Iterator[None]:
        """Take the steps with whole batches."""
        for _ in range(batches.whole):
            if self._replay is None:  # at first, and after a run has stopped
                self._replay = Replay([*self.parameters().values(), batches.number], self._device)
            self._replay(self._take_whole)
            yield

    def _take_whole(self) -> None:
        """Take the step with the next whole batch."""
        raise NotImplementedError


class ReplayedRegression(_Replayed, StackedRegression):
    """Regressions on a card; see `mlcore.network.Network`."""

    def train_epoch(self, part: Part, epoch: int) -> Generator[None, None, None]:
        """Take a step of SGD for each batch of the epoch's order."""
        batches = self._begun(part, epoch)
        yield from self._whole_batches(batches)
        if batches.rest.shape[1]:
            self._take_step(*batches.rest_examples())
        yield from finished(self._device)

    def _take_whole(self) -> None:
        if self._batches is not None:
            self._batches.take(self._take_step)

    def _take_step(self, X: Tensor, y: Tensor) -> None:
        self._step(X, X.mT, y[..., None])


class ReplayedMlp(_Replayed, StackedMlp):
    """Classifiers on a card; see `mlcore.network.Network`."""

    _masks: Sequence[CounterDropoutLayer | None]
    _logits: Tensor  # of an epoch's whole batches, [whole, G, C, O, size]

    def train_epoch(self, part: Part, epoch: int) -> Generator[None, None, Measured]:
        """Take a step of SGD for each batch of the epoch's order."""
        batches = self._begun(part, epoch)
        for mask in self._masks:
            if mask is not None:
                mask.begin(epoch)
        yield from self._whole_batches(batches)
        sums = Sums(self._layout)
        self._add_whole(sums, batches)
        if batches.rest.shape[1]:
            X, y = batches.rest_examples()
            add(sums, self._take_step(X, y), y)
        yield from finished(self._device)
        return sums.mean()

    def _prepare(self, batches: Batches) -> None:
        layers = [self._first, *self._later]
        outputs = layers[-1].by_run(layers[-1].weight)
        self._logits = outputs.new_zeros(batches.whole, *outputs.shape[:3], batches.size)
        self._masks = [self._masks_of(number, batches) if p.any() else None for number, p in enumerate(self._dropout)]

    def _masks_of(self, number: int, batches: Batches) -> CounterDropoutLayer:
        layer = [self._first, *self._later][number]
        units = layer.by_run(layer.weight).shape[2] * batches.size
        p = self._dropout[number]
        return CounterDropoutLayer(self._layout, p, number, units=units, steps=batches.steps, number=batches.number)

    def _take_whole(self) -> None:
        if self._batches is not None:
            self._batches.take(self._take_step, self._logits)

    def _take_step(self, X: Tensor, y: Tensor) -> Tensor:
        return self._step(X, y, self._masks)

    def _add_whole(self, sums: Sums, batches: Batches) -> None:
        """Measure the outputs of all whole batches."""
        at_once = max(1, NUMBERS_AT_ONCE // self._logits[0].numel())
        for some in steps(batches.whole, at_once):
            logits, labels = self._logits[some], batches.labels(some)
            losses = cross_entropy(logits, labels[:, :, None]).sum((0, 3), dtype=torch.float64)
            right = correct(logits, labels[:, :, None]).sum((0, 3))
            sums.add(len(labels) * batches.size, losses, right)
