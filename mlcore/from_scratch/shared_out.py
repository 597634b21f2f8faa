"""A stack of multilayer perceptrons that is shared out among threads (decision 1).

Threads that take each operation of a step together wait for each other after all of them. Here each takes the steps of
runs of its own, which have nothing to do with the others'.
"""

from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from itertools import pairwise
from math import ceil
from time import perf_counter
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mlcore import openmp
from mlcore.data.dataset import Part
from mlcore.from_scratch.mlp import StackedMlp
from mlcore.initialization import layer_sizes
from mlcore.network import Measured, Parameters, Values
from mlcore.spec import MlpSpec
from mlcore.stack import Layout

MOST_IDLE = 1.1  # threads there are for each that has work all the time, above which they had better go together
LEAST_OF_GROUPS = 50e6  # multiplications a thread has in a step's forward products, below which threads would wait
LEAST_OF_COLUMNS = 300e6  # longer for the interpreter than for each other; columns have a product in common to lose
TURN_SECONDS = 0.25  # for which the threads go on before they are heard of


class Share(NamedTuple):
    """Some parts of a layout, their runs, and the thread that trains them."""

    parts: slice
    runs: NDArray[np.int64]
    network: StackedMlp
    thread: ThreadPoolExecutor


class SharedOutMlp:
    """Classifiers on the CPU; see `mlcore.network.Network`. Its parameters are laid out as a `StackedMlp`'s."""

    @staticmethod
    def suits(specs: Sequence[MlpSpec], layout: Layout, threads: int) -> bool:
        """Whether there are parts enough, and in each enough to do, to keep so many threads busy."""
        weights = sum(fan_in * fan_out for fan_in, fan_out in pairwise(layer_sizes(specs[0])))
        work = len(specs) / threads * weights * specs[0].batch_size
        return (
            threads > 1
            and work >= (LEAST_OF_GROUPS if layout.groups > 1 else LEAST_OF_COLUMNS)
            and threads * ceil(layout.parts / threads) <= MOST_IDLE * layout.parts
        )

    def __init__(self, specs: Sequence[MlpSpec], layout: Layout, threads: int) -> None:
        self._layout = layout
        self._shares = [
            Share(parts, runs, StackedMlp([specs[run] for run in runs], own, "cpu"), _thread(number))
            for number, (parts, runs, own) in enumerate(layout.shared_out(threads))
        ]
        self._share_of = {int(run): (share, place) for share in self._shares for place, run in enumerate(share.runs)}
        drawn = [share.network.parameters() for share in self._shares]
        self._parameters = {name: torch.cat([part[name] for part in drawn], self._axis(name)) for name in drawn[0]}
        for share in self._shares:
            share.network.hold(self._part(share, self._parameters))

    def train_epoch(self, part: Part, epoch: int) -> Generator[None, None, Measured]:
        """Take a step of SGD for each batch of the epoch's order."""
        return self._in_turns([share.network.train_epoch(part, epoch) for share in self._shares])

    def evaluate(self, part: Part) -> Generator[None, None, Measured]:
        """Measure the mean loss and accuracy."""
        return self._in_turns([share.network.evaluate(part) for share in self._shares])

    def norms(self) -> tuple[Values, Values]:
        """Return the L2 and L1 norms over all layers."""
        l2, l1 = zip(*(share.network.norms() for share in self._shares), strict=True)
        return self._in_order(l2), self._in_order(l1)

    def parameters(self) -> Parameters:
        """Return the weights and biases of each layer as the stack has them."""
        return self._parameters

    def load(self, parameters: Parameters) -> None:
        """Copy the bits in."""
        for name, tensor in self._parameters.items():
            tensor.copy_(parameters[name])

    def copy_runs(self, runs: NDArray[np.bool_], into: Parameters) -> None:
        """Copy the chosen runs' parameters into tensors laid out alike."""
        for share in self._shares:
            share.network.copy_runs(runs[share.runs], self._part(share, into))

    def weights(self, run: int, parameters: Parameters) -> Parameters:
        """Cut one run out, at its own size, as torch.nn.Linear has it."""
        share, place = self._share_of[run]
        return share.network.weights(place, self._part(share, parameters))

    def stop(self, run: int) -> None:
        """Zero a run's parameters and its learning rate."""
        share, place = self._share_of[run]
        share.network.stop(place)

    def _part(self, share: Share, parameters: Parameters) -> Parameters:
        """View what a share has of the parameters."""
        return {name: self._rows(share, tensor, self._axis(name)) for name, tensor in parameters.items()}

    def _rows(self, share: Share, tensor: Tensor, axis: int) -> Tensor:
        per_part = tensor.shape[axis] // self._layout.parts
        return tensor.narrow(axis, share.parts.start * per_part, (share.parts.stop - share.parts.start) * per_part)

    def _axis(self, name: str) -> int:
        """Return along which axis the parts lie; columns share the first layer's matrix."""
        return int(self._layout.groups == 1 and name.startswith("layers.0."))

    def _in_turns(self, works: Sequence[Generator[None, None, Measured]]) -> Generator[None, None, Measured]:
        """Have each thread do its work, yielding where all of them rest."""
        measured: dict[int, Measured] = {}
        while len(measured) < len(works):
            turns = {
                number: share.thread.submit(_turn, works[number])
                for number, share in enumerate(self._shares)
                if number not in measured
            }
            wait(turns.values())
            results = {number: turn.result() for number, turn in turns.items()}
            measured |= {number: result for number, result in results.items() if result is not None}
            yield
        losses, accuracies = zip(*(measured[number] for number in range(len(works))), strict=True)
        return Measured(self._in_order(losses), self._in_order(accuracies))

    def _in_order(self, values: Sequence[Values]) -> Values:
        """Bring the shares' values, one for each run, into the order of the runs."""
        ordered = np.empty(len(self._share_of))
        for share, of_share in zip(self._shares, values, strict=True):
            ordered[share.runs] = of_share
        return ordered


def _thread(number: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(1, initializer=alone_on, initargs=(number,))


def alone_on(number: int) -> None:
    """Have the calling thread do its operations by itself, on the core that is OpenMP's of this number."""
    openmp.bind(number)
    torch.set_num_threads(1)


def _turn(work: Generator[None, None, Measured]) -> Measured | None:
    """Go on for a while, a step at least; returns the result if that ends the work."""
    until = perf_counter() + TURN_SECONDS
    try:
        next(work)
        while perf_counter() < until:
            next(work)
    except StopIteration as end:
        result: Measured = end.value
        return result
    return None
