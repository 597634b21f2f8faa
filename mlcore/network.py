"""What training asks of a network, be it the stacked one from scratch or torch.nn's."""

from collections.abc import Generator, Iterator
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from mlcore.data.dataset import Part

Values = NDArray[np.float64]
Parameters = dict[str, Tensor]


class Measured(NamedTuple):
    """Mean loss and accuracy of each run; accuracy is None where labels are values, not classes."""

    loss: Values
    accuracy: Values | None


class Network(Protocol):
    """R runs of one shape under training. Arrays have one value per run, in the order of the specs."""

    def train_epoch(self, part: Part, epoch: int) -> Generator[None, None, Measured | None]:
        """Pass once over the examples, yielding between steps; return the averages while training, for classifiers."""

    def evaluate(self, part: Part) -> Generator[None, None, Measured]:
        """Measure with dropout off, yielding between batches."""

    def norms(self) -> tuple[Values, Values]:
        """Return the L2 and the L1 norm of each run's weights, biases left out."""

    def parameters(self) -> Parameters:
        """Return the live tensors, laid out as this network likes; what `load` takes back."""

    def load(self, parameters: Parameters) -> None:
        """Set the parameters to the bits of earlier ones."""

    def copy_runs(self, runs: NDArray[np.bool_], into: Parameters) -> None:
        """Copy the chosen runs' parameters into tensors laid out alike."""

    def weights(self, run: int, parameters: Parameters) -> Parameters:
        """Cut one run out of parameters, as torch.nn.Linear has it: layers.0.weight [out, in], layers.0.bias [out]."""

    def stop(self, run: int) -> None:
        """Mask a run: its parameters become 0 and stay so."""


def steps(n: int, size: int) -> Iterator[slice]:
    """Cut n examples into consecutive slices of `size`; the last may be shorter."""
    return (slice(start, min(start + size, n)) for start in range(0, n, size))
