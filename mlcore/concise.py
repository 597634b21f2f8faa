"""The same models with nothing but torch.nn and torch.optim: the chapter's concise implementations, d2l 4.3, 4.5, 4.6.

The reference that from_scratch is tested against, and a user's choice. A stack of one. It shares the draws of initial
weights and batch order with from_scratch, and no arithmetic.
"""

from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mlcore.data.dataset import Part
from mlcore.device import finished, is_card
from mlcore.initialization import initial_layers
from mlcore.network import Measured, Parameters, Values, steps
from mlcore.precision import STORED
from mlcore.randomness import batch_orders, stream
from mlcore.spec import Activation, Loss, MlpSpec, RunSpec

EVALUATED_EXAMPLES = 1_000

ACTIVATIONS: dict[Activation, type[nn.Module]] = {
    "relu": nn.ReLU,
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "identity": nn.Identity,
}


class HalfSquaredError(nn.MSELoss):
    """Half of torch's squared error, the book's loss from scratch."""

    def forward(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """Return (ŷ − y)² / 2, reduced as asked."""
        return super().forward(outputs, labels) / 2


LOSSES: dict[Loss, type[nn.Module]] = {
    "cross_entropy": nn.CrossEntropyLoss,
    "mse": nn.MSELoss,
    "half_squared_error": HalfSquaredError,
}


class ConciseNetwork:
    """One run with torch.nn; see `mlcore.network.Network`."""

    def __init__(self, spec: RunSpec, device: str) -> None:
        self._spec = spec
        self._device = device
        self._net, self._linears = _build(spec, device)
        self._loss = LOSSES[spec.loss]
        self._classifies = isinstance(spec, MlpSpec)
        self._mean_loss = self._loss(reduction="mean")
        self._stopped = False
        l2 = spec.weight_decay if spec.penalty == "l2" else 0.0
        self._l1 = spec.weight_decay if spec.penalty == "l1" else 0.0
        biases = [linear.bias for linear in self._linears if linear.bias is not None]
        groups: list[dict[str, Any]] = [
            {"params": [linear.weight for linear in self._linears], "weight_decay": l2},
            {"params": biases},
        ]
        self._sgd = torch.optim.SGD([group for group in groups if group["params"]], lr=spec.learning_rate)

    def train_epoch(self, part: Part, epoch: int) -> Generator[None, None, Measured | None]:
        """Take a step of SGD for each batch of the epoch's order."""
        ((order,),) = batch_orders([self._spec.seed], range(epoch, epoch + 1), len(part))
        rows = part.rows[0][torch.from_numpy(order).to(self._device)]
        random_numbers = _RandomNumbers(int(stream(self._spec.seed, "mask", epoch).integers(2**63)), self._device)
        sums = _Sums()
        self._net.train()
        for batch in steps(len(part), self._spec.batch_size):
            X, y = part.examples(rows[batch])
            with random_numbers.in_use():
                outputs, loss = self._step(X, y)
            if self._classifies:
                sums.add(len(y), loss, len(y), (outputs.argmax(1) == y).sum())
            yield
        yield from finished(self._device)
        return sums.mean() if self._classifies else None

    def _step(self, X: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        with self._narrowing():
            outputs = self._outputs(X)
            loss = self._mean_loss(outputs, y)
        penalized = loss
        if self._l1:
            penalized = loss + self._l1 * sum(linear.weight.abs().sum() for linear in self._linears)
        self._sgd.zero_grad()
        penalized.backward()
        if not self._stopped:
            self._sgd.step()
        return outputs.detach(), loss.detach()

    @torch.no_grad()
    def evaluate(self, part: Part) -> Generator[None, None, Measured]:
        """Measure the mean loss and accuracy."""
        summed_loss = self._loss(reduction="sum")
        sums = _Sums()
        self._net.eval()
        for batch in steps(len(part), EVALUATED_EXAMPLES):
            X, y = part.examples(part.rows[0, batch])
            with self._narrowing():
                outputs = self._outputs(X)
                loss = summed_loss(outputs, y)
            sums.add(len(y), loss, 1, (outputs.argmax(1) == y).sum() if self._classifies else None)
            yield
        yield from finished(self._device)
        return sums.mean()

    def _narrowing(self) -> AbstractContextManager[object]:
        """Let torch multiply in bfloat16, with weights, sums and the loss in float32, if the spec says so."""
        if self._spec.precision != "bf16":
            return nullcontext()
        return torch.autocast(torch.device(self._device).type, torch.bfloat16)

    def _outputs(self, X: Tensor) -> Tensor:
        outputs: Tensor = self._net(X)
        return outputs if self._classifies else outputs.squeeze(1)

    @torch.no_grad()
    def norms(self) -> tuple[Values, Values]:
        """Return the L2 and L1 norms over all layers."""
        flat = torch.cat([linear.weight.flatten() for linear in self._linears])
        l2, l1 = (torch.linalg.vector_norm(flat, order).item() for order in (2, 1))
        return np.array([l2]), np.array([l1])

    def parameters(self) -> Parameters:
        """Return weights and biases as torch.nn.Linear has them."""
        return {
            f"layers.{number}.{name}": tensor.detach()
            for number, linear in enumerate(self._linears)
            for name, tensor in linear.named_parameters()
        }

    def load(self, parameters: Parameters) -> None:
        """Copy the bits in."""
        for name, tensor in self.parameters().items():
            tensor.copy_(parameters[name])

    def copy_runs(self, runs: NDArray[np.bool_], into: Parameters) -> None:
        """Copy the parameters if the one run is chosen."""
        if runs[0]:
            for name, tensor in self.parameters().items():
                into[name].copy_(tensor)

    def weights(self, run: int, parameters: Parameters) -> Parameters:  # noqa: ARG002 — there is one run
        """Copy the parameters."""
        return {name: tensor.to("cpu", copy=True) for name, tensor in parameters.items()}

    def stop(self, run: int) -> None:  # noqa: ARG002 — there is one run
        """Zero the parameters for good."""
        self._stopped = True
        for tensor in self.parameters().values():
            tensor.zero_()


class _Sums:
    """Losses and right answers of batches, left where they are until all of them are asked for."""

    def __init__(self) -> None:
        self._examples = 0
        self._losses: list[Tensor] = []
        self._times: list[int] = []
        self._right: list[Tensor] = []

    def add(self, examples: int, loss: Tensor, times: int, right: Tensor | None) -> None:
        """Add a batch: a loss that counts so many times, and how many answers are right."""
        self._examples += examples
        self._losses.append(loss)
        self._times.append(times)
        if right is not None:
            self._right.append(right)

    def mean(self) -> Measured:
        """Return the means over all examples."""
        values = torch.stack(self._losses).tolist()
        loss = 0.0
        for value, times in zip(values, self._times, strict=True):
            loss += value * times
        right = np.array([int(torch.stack(self._right).sum()) / self._examples]) if self._right else None
        return Measured(np.array([loss / self._examples]), right)


class _RandomNumbers:
    """torch's global generator of a device, which nn.Dropout draws from, as a stream of our own."""

    def __init__(self, seed: int, device: str) -> None:
        self._get: Callable[[], Tensor] = torch.cuda.get_rng_state if is_card(device) else torch.get_rng_state
        self._set: Callable[[Tensor], None] = torch.cuda.set_rng_state if is_card(device) else torch.set_rng_state
        self._state = torch.Generator(device).manual_seed(seed).get_state()

    @contextmanager
    def in_use(self) -> Iterator[None]:
        theirs = self._get()
        self._set(self._state)
        yield
        self._state = self._get()
        self._set(theirs)


def _build(spec: RunSpec, device: str) -> tuple[nn.Sequential, list[nn.Linear]]:
    linears = [_linear(*layer, spec, device) for layer in initial_layers(spec)]
    if not isinstance(spec, MlpSpec):
        return nn.Sequential(*linears), linears
    modules: list[nn.Module] = []
    for linear, p in zip(linears, spec.dropout, strict=False):
        modules += [linear, ACTIVATIONS[spec.activation](), nn.Dropout(p)]
    return nn.Sequential(*modules, linears[-1]), linears


def _linear(weight: NDArray[np.float64], bias: NDArray[np.float64] | None, spec: RunSpec, device: str) -> nn.Linear:
    linear = nn.Linear(
        weight.shape[0], weight.shape[1], bias=bias is not None, dtype=STORED[spec.precision], device=device
    )
    with torch.no_grad():
        linear.weight.copy_(torch.from_numpy(weight.T))
        if bias is not None:
            linear.bias.copy_(torch.from_numpy(bias))
    return linear
