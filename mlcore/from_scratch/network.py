"""A stack of networks as one tensor program, gradients written out: the engine of every variant from scratch.

Linear and polynomial regression are the network without hidden layers. Shapes: see `mlcore.from_scratch.layers`.
"""

from collections.abc import Generator, Iterator, Sequence
from functools import reduce
from weakref import WeakKeyDictionary

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mlcore.data.dataset import Part
from mlcore.from_scratch.activations import ACTIVATIONS
from mlcore.from_scratch.dropout import DropoutLayer
from mlcore.from_scratch.layers import FirstLayer, LaterLayer, Layer
from mlcore.from_scratch.losses import LOSSES, correct
from mlcore.from_scratch.penalties import l1_norm, squared_l2_norm
from mlcore.from_scratch.sgd import Decay
from mlcore.initialization import initial_layers
from mlcore.network import Measured, Parameters, Values, steps
from mlcore.randomness import batch_orders
from mlcore.spec import MlpSpec, RunSpec
from mlcore.stack import Layout

GATHERED_NUMBERS = 1_000_000  # features copied together: few calls for small examples, in cache for images
EVALUATED_NUMBERS = 2_000_000  # numbers of the widest thing held at once when evaluating


class StackedNetwork:
    """The runs of a stack; see `mlcore.network.Network`."""

    def __init__(self, specs: Sequence[RunSpec], layout: Layout, device: str) -> None:
        spec = specs[0]
        self._layout = layout
        self._device = device
        self._batch_size = spec.batch_size
        self._loss = LOSSES[spec.loss]
        self._classifies = isinstance(spec, MlpSpec)
        self._activation = ACTIVATIONS[spec.activation if isinstance(spec, MlpSpec) else "identity"]
        self._dropout = _dropout(specs, layout)
        self._dataset = torch.from_numpy(layout.dataset).to(device)
        self._learning_rate = layout.spread([spec.learning_rate for spec in specs])
        self._weight_decay = layout.spread([spec.weight_decay for spec in specs])
        self._is_l1 = layout.spread([spec.penalty == "l1" for spec in specs])
        self._whole_parts: WeakKeyDictionary[Part, tuple[Tensor, Tensor]] = WeakKeyDictionary()
        self._gradient_scale: dict[int, Tensor] = {}
        self._build_layers(specs)
        self._set_rates()

    def _build_layers(self, specs: Sequence[RunSpec]) -> None:
        dtype = getattr(torch, specs[0].precision)
        first, *later = zip(*(initial_layers(spec) for spec in specs), strict=True)
        self._fan_ins = [len(layer.weight) for layer in first]
        self._first = FirstLayer.of(self._layout, first, dtype, self._device)
        self._later = [LaterLayer.of(self._layout, drawn, dtype, self._device) for drawn in later]
        self._layers: list[Layer] = [self._first, *self._later]
        if len(set(self._fan_ins)) > 1:
            mask = torch.zeros_like(self._first.weight)
            for run, fan_in in enumerate(self._fan_ins):
                self._first.by_run(mask)[self._place(run)][:fan_in] = 1
            self._first.mask = mask

    def _set_rates(self) -> None:
        """Lay out what a step multiplies with; anew when a run stops."""
        rate, decay_step, is_l1 = (
            torch.from_numpy(values).to(self._device)
            for values in (self._learning_rate, self._learning_rate * self._weight_decay, self._is_l1 > 0)
        )
        dtype = self._first.weight.dtype
        self._rate = rate.to(dtype)[:, :, None, None]
        self._gradient_scale = {}
        self._decays = [Decay.of(layer.per_run(decay_step.to(dtype)), layer.per_run(is_l1)) for layer in self._layers]

    def train_epoch(self, part: Part, epoch: int) -> Generator[None, None, Measured | None]:
        """Take a step of SGD for each batch of the epoch's order."""
        orders = torch.from_numpy(batch_orders(self._layout.seed, epoch, len(part))).to(self._device)
        rows = part.rows_of(self._dataset).gather(1, orders)
        dropout = [
            DropoutLayer(self._layout, p, epoch, number) if p.any() else None for number, p in enumerate(self._dropout)
        ]
        batches = max(1, GATHERED_NUMBERS // (self._batch_size * part.features.shape[1] * len(rows)))
        sums = Sums(self._layout)
        for gathered in steps(len(part), batches * self._batch_size):
            X, y = self._examples(part, rows[:, gathered])
            outputs = []
            for batch in zip(torch.split(X, self._batch_size, 1), torch.split(y, self._batch_size, 2), strict=True):
                outputs.append(self._step(*batch, dropout))
                yield
            if self._classifies:
                joined = torch.cat(outputs, 2)
                sums.add(self._loss.values(joined, y), correct(joined, y))
        return sums.mean() if self._classifies else None

    @staticmethod
    def _examples(part: Part, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return features [G, n, I] and labels [G, 1, n], which broadcast over the columns."""
        X, y = part.examples(rows)
        return X, y[:, None]

    def _step(self, X: Tensor, y: Tensor, dropout: list[DropoutLayer | None]) -> Tensor:
        """Forward, backward, update on X [G, n, I] and y [G, 1, n]; return the outputs [G, C, n, O] it began with."""
        z = self._first(X)
        inputs, activated, masks = [], [], []
        for layer, dropout_layer in zip(self._later, dropout, strict=True):
            h = self._activation.apply(z)
            mask = None if dropout_layer is None else dropout_layer.next_mask(h)
            activated.append(h)
            masks.append(mask)
            inputs.append(h if mask is None else h * mask)
            z = layer(inputs[-1])
        d = self._loss.direction(z, y).mul_(self._scale(X.shape[1]))
        for number in reversed(range(len(self._later))):
            back = self._later[number].backward(d)
            self._later[number].update(inputs[number], d, self._decays[number + 1])
            mask = masks[number]
            d = self._activation.backward(back if mask is None else back.mul_(mask), activated[number])
        self._first.update(X, d, self._decays[0])
        return z

    def _scale(self, n: int) -> Tensor:
        """Return what turns a batch's directions into −η times the gradient of its mean loss, [G, C, 1, 1]."""
        if n not in self._gradient_scale:
            self._gradient_scale[n] = self._rate * (-self._loss.factor / n)
        return self._gradient_scale[n]

    def evaluate(self, part: Part) -> Generator[None, None, Measured]:
        """Measure the mean loss and accuracy; where all runs see the same examples, one product serves all."""
        first = self._first.as_one_group() if part.datasets == 1 else self._first
        sums = Sums(self._layout)
        for X, y in self._evaluated(part):
            z = first(X)
            for layer in self._later:
                z = layer(self._activation.apply(z))
            sums.add(self._loss.values(z, y), correct(z, y) if self._classifies else None)
            yield
        return sums.mean()

    def _evaluated(self, part: Part) -> Iterator[tuple[Tensor, Tensor]]:
        """Cut a part into batches of bounded size; one that is a single batch is put together once."""
        if part in self._whole_parts:
            yield self._whole_parts[part]
            return
        rows = part.rows if part.datasets == 1 else part.rows_of(self._dataset)
        widest = max(layer.weight.shape[0] * layer.weight.shape[2] for layer in self._layers)
        batch_size = max(1, EVALUATED_NUMBERS // max(widest, part.features.shape[1] * len(rows)))
        for batch in steps(len(part), batch_size):
            examples = self._examples(part, rows[:, batch])
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

    def load(self, parameters: Parameters) -> None:
        """Copy the bits in."""
        for name, tensor in self.parameters().items():
            tensor.copy_(parameters[name])

    def copy_runs(self, runs: NDArray[np.bool_], into: Parameters) -> None:
        """Copy the chosen runs' parameters into tensors laid out alike."""
        chosen = torch.from_numpy(self._layout.spread(runs) > 0).to(self._device)
        for name, tensor in self.parameters().items():
            self._by_run(name, into[name])[chosen] = self._by_run(name, tensor)[chosen]

    def weights(self, run: int, parameters: Parameters) -> Parameters:
        """Cut one run out, at its own size, as torch.nn.Linear has it."""
        cut = {name: self._by_run(name, tensor)[self._place(run)] for name, tensor in parameters.items()}
        first = "layers.0.weight"
        cut[first] = cut[first][: self._fan_ins[run]]
        return {
            name: (tensor.T if name.endswith("weight") else tensor[0]).to("cpu", copy=True).contiguous()
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

    def add(self, losses: Tensor, is_correct: Tensor | None) -> None:
        """Add a batch: losses and, for classes, correctness [G, C, n]."""
        self._examples += losses.shape[2]
        self._loss = _plus(self._loss, losses.sum(2, dtype=torch.float64))
        if is_correct is not None:
            self._correct = _plus(self._correct, is_correct.sum(2))

    def mean(self) -> Measured:
        """Return the means over all examples added, at least one."""
        loss, accuracy = (
            None if summed is None else self._layout.gather(summed.cpu()) / self._examples
            for summed in (self._loss, self._correct)
        )
        if loss is None:
            raise ValueError("there is no example to take a mean over")
        return Measured(loss, accuracy)


def _plus(total: Tensor | None, term: Tensor) -> Tensor:
    return term if total is None else total + term


def _dropout(specs: Sequence[RunSpec], layout: Layout) -> list[NDArray[np.float64]]:
    """Return the probabilities [G, C] of each hidden layer."""
    rows = [spec.dropout if isinstance(spec, MlpSpec) else [] for spec in specs]
    return [layout.spread(p) for p in zip(*rows, strict=True)]
