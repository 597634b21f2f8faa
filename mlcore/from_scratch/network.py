"""A stack of networks as one tensor program, gradients written out: what its variants have in common.

How they step is in `mlcore.from_scratch.mlp` and `mlcore.from_scratch.regression`; shapes in `.layers`.
"""

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from functools import reduce
from weakref import WeakKeyDictionary

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mlcore.data.dataset import Part
from mlcore.from_scratch.layers import Layer
from mlcore.from_scratch.penalties import l1_norm, squared_l2_norm
from mlcore.from_scratch.sgd import Decay, shared
from mlcore.initialization import InitialLayer, initial_layers_of
from mlcore.network import Measured, Parameters, Values, steps
from mlcore.precision import COMPUTED, STORED
from mlcore.randomness import batch_orders
from mlcore.spec import RunSpec
from mlcore.stack import Layout

ORDERED_EXAMPLES = 10_000  # whose order is drawn at once
GATHERED_NUMBERS = 1_000_000  # features copied together: few calls for small examples, in cache for images
EVALUATED_NUMBERS = 1_000_000  # numbers of the widest thing held at once when evaluating


class StackedNetwork:
    """The runs of a stack; see `mlcore.network.Network`."""

    shares_rates = True  # a step takes a number where all runs agree: on the CPU that costs nothing
    evaluated_numbers = EVALUATED_NUMBERS

    def __init__(self, specs: Sequence[RunSpec], layout: Layout, device: str) -> None:
        self._layout = layout
        self._device = device
        self._batch_size = specs[0].batch_size
        self._dataset = torch.from_numpy(layout.dataset).to(device)
        self._learning_rate = layout.spread([spec.learning_rate for spec in specs])
        self._weight_decay = layout.spread([spec.weight_decay for spec in specs])
        self._is_l1 = layout.spread([spec.penalty == "l1" for spec in specs])
        self._orders: dict[int, Tensor] = {}
        self._whole_parts: WeakKeyDictionary[Part, tuple[Tensor, Tensor]] = WeakKeyDictionary()
        self._computed = COMPUTED[specs[0].precision]
        drawn = list(zip(*initial_layers_of(specs), strict=True))
        self._fan_ins = [len(layer.weight) for layer in drawn[0]]
        self._layers: Sequence[Layer] = self._laid_out(drawn, STORED[specs[0].precision])
        self._set_rates()

    @abstractmethod
    def _laid_out(self, drawn: Sequence[Sequence[InitialLayer]], dtype: torch.dtype) -> Sequence[Layer]:
        """Lay out each layer, which has been drawn for every run."""

    def _set_rates(self) -> None:
        """Lay out what a step multiplies with; anew when a run stops."""
        rate, decay_step, is_l1 = (
            torch.from_numpy(values).to(self._device)
            for values in (self._learning_rate, self._learning_rate * self._weight_decay, self._is_l1 > 0)
        )
        dtype = self._layers[0].weight.dtype
        self._rate = shared(rate.to(dtype)) if self.shares_rates else rate.to(dtype)
        self._decays = [
            Decay.of(layer.per_run(decay_step.to(dtype)), layer.per_run(is_l1), share=self.shares_rates)
            for layer in self._layers
        ]

    def _shuffled(self, part: Part, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield features [G, n, I] and labels [G, n] in the epoch's order, some whole batches at a time."""
        rows = part.rows_of(self._dataset).gather(1, self._order(epoch, len(part)))
        batches = max(1, GATHERED_NUMBERS // (self._batch_size * part.features.shape[1] * len(rows)))
        for gathered in steps(len(part), batches * self._batch_size):
            yield part.examples(rows[:, gathered])

    def _order(self, epoch: int, n: int) -> Tensor:
        """Return the epoch's order of n examples for each group, [G, n]; drawn at once for several short epochs."""
        if epoch not in self._orders:
            drawn = range(epoch, epoch + max(1, ORDERED_EXAMPLES // (n * self._layout.groups)))
            orders = torch.from_numpy(batch_orders(self._layout.seed, drawn, n)).to(self._device)
            self._orders = dict(zip(drawn, orders, strict=True))
        return self._orders[epoch]

    def _evaluated(self, part: Part) -> Iterator[tuple[Tensor, Tensor]]:
        """Cut a part into batches of bounded size, [1, …] where all runs have the same; a single one is kept."""
        if part in self._whole_parts:
            yield self._whole_parts[part]
            return
        widest = max(layer.weight.numel() // layer.by_run(layer.weight).shape[3] for layer in self._layers)
        batch_size = max(1, self.evaluated_numbers // max(widest, part.features.shape[1] * self._layout.groups))
        rows = part.rows_of(self._dataset)
        for batch in steps(len(part), batch_size):
            examples = part.batch(batch) if part.datasets == 1 else part.examples(rows[:, batch])
            if len(part) <= batch_size:
                self._whole_parts[part] = examples
            yield examples

    def norms(self) -> tuple[Values, Values]:
        """Return the L2 and L1 norms over all layers."""
        weights = [layer.by_run(layer.weight) for layer in self._layers]
        squared = reduce(torch.add, map(squared_l2_norm, weights))
        absolute = reduce(torch.add, map(l1_norm, weights))
        return self._layout.gather(squared.sqrt().cpu()), self._layout.gather(absolute.cpu())

    def parameters(self) -> Parameters:
        """Return the weights and biases of each layer as the stack has them."""
        return {
            f"layers.{number}.{name}": tensor
            for number, layer in enumerate(self._layers)
            for name, tensor in layer.tensors().items()
        }

    def hold(self, parameters: Parameters) -> None:
        """Have the parameters in these tensors from now on, whose bits are what they are."""
        for number, layer in enumerate(self._layers):
            layer.weight = parameters[f"layers.{number}.weight"]
            layer.bias = parameters.get(f"layers.{number}.bias")

    def load(self, parameters: Parameters) -> None:
        """Copy the bits in."""
        for name, tensor in self.parameters().items():
            tensor.copy_(parameters[name])

    def copy_runs(self, runs: NDArray[np.bool_], into: Parameters) -> None:
        """Copy the chosen runs' parameters into tensors laid out alike."""
        group, column = (
            torch.from_numpy(places[runs]).to(self._device) for places in (self._layout.group, self._layout.column)
        )
        for name, tensor in self.parameters().items():
            self._by_run(name, into[name])[group, column] = self._by_run(name, tensor)[group, column]

    def weights(self, run: int, parameters: Parameters) -> Parameters:
        """Cut one run out, at its own size, as torch.nn.Linear has it."""
        cut = {name: self._by_run(name, tensor)[self._place(run)] for name, tensor in parameters.items()}
        first = "layers.0.weight"
        cut[first] = cut[first][:, : self._fan_ins[run]]
        return {
            name: (tensor if name.endswith("weight") else tensor[:, 0]).to("cpu", copy=True).contiguous()
            for name, tensor in cut.items()
        }

    def stop(self, run: int) -> None:
        """Zero a run's parameters and its learning rate: what is 0 and does not move disturbs nobody."""
        for name, tensor in self.parameters().items():
            self._by_run(name, tensor)[self._place(run)] = 0
        self._learning_rate[self._place(run)] = 0
        self._set_rates()

    def _place(self, run: int) -> tuple[int, int]:
        return int(self._layout.group[run]), int(self._layout.column[run])

    def _by_run(self, name: str, tensor: Tensor) -> Tensor:
        number = int(name.split(".")[1])
        return self._layers[number].by_run(tensor)


class Sums:
    """Adds up losses and right answers of each run over batches of examples."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._examples = 0
        self._loss: Tensor | None = None
        self._correct: Tensor | None = None

    def add(self, examples: int, losses: Tensor, correct: Tensor | None = None) -> None:
        """Add a batch: the sum of its losses and, for classes, how many are right, each [G, C]."""
        self._examples += examples
        self._loss = losses if self._loss is None else self._loss + losses
        if correct is not None:
            self._correct = correct if self._correct is None else self._correct + correct

    def mean(self) -> Measured:
        """Return the means over all examples added, at least one."""
        loss, accuracy = (
            None if summed is None else self._layout.gather(summed.cpu()) / self._examples
            for summed in (self._loss, self._correct)
        )
        if loss is None:
            raise ValueError("there is no example to take a mean over")
        return Measured(loss, accuracy)
