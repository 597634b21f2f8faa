"""The steps of an epoch as a card wants them: on tensors that stay in place, captured once, launched as one.

A step of a small network is some thirty kernels of a few microseconds. Asked for one by one, each costs the CPU more
than it takes the card; as a CUDA graph all of them are one launch. A graph knows addresses and nothing else, so
whatever changes from step to step (the number of the step, the rows of its batch) lies in tensors that the graph itself
reads and moves on.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from mlcore import counter_hash
from mlcore.data.dataset import Part
from mlcore.device import is_card

WARM_UPS = 2  # in which the libraries choose their kernels and take their workspaces, before a capture

Step = Callable[[Tensor, Tensor], Tensor | None]


class Replay:
    """Work on tensors that stay in place: on a card captured as a CUDA graph at the first call, elsewhere simply done.

    `changed` names what the work changes and reads again: warming up leaves it as it was. The work is handed over with
    each call and not kept, for whoever has it keeps this, and a card's memory would wait for the garbage collector.
    """

    def __init__(self, changed: Sequence[Tensor], device: str) -> None:
        self._changed = changed
        self._device = device
        self._graph: torch.cuda.CUDAGraph | None = None

    def __call__(self, work: Callable[[], object]) -> None:
        """Do the work once; on a card, have done what was the work at the first call."""
        if not is_card(self._device):
            work()
            return
        if self._graph is None:
            self._graph = self._captured(work)
        self._graph.replay()

    def _captured(self, work: Callable[[], object]) -> torch.cuda.CUDAGraph:
        self._warm_up(work)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            work()
        return graph

    def _warm_up(self, work: Callable[[], object]) -> None:
        """Do the work on another stream, as captures want it, and undo it each time: it may be the last there is."""
        before = [tensor.clone() for tensor in self._changed]
        aside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            for _ in range(WARM_UPS):
                work()
                for tensor, values in zip(self._changed, before, strict=True):
                    tensor.copy_(values)
        torch.cuda.current_stream().wait_stream(aside)


class Batches:
    """The batches of epoch after epoch, drawn and gathered where the training is.

    Each of G groups has its own order of its `rows` [G, n]. An epoch is `whole` batches of `size` examples, and `rest`
    [G, fewer] of them; `number` [1] is that of the next one.
    """

    def __init__(self, part: Part, rows: Tensor, seeds: Sequence[int], batch_size: int) -> None:
        groups, n = rows.shape
        device = str(rows.device)
        self.part = part
        self.size = min(batch_size, n)
        self.whole = n // self.size
        self.number = torch.zeros(1, dtype=torch.int64, device=device)
        self.rest = rows[:, self.whole * self.size :]
        self._rows = rows
        self._seeds = torch.tensor(seeds, device=device)
        self._counters = counter_hash.counters(n, device)
        self._batches = torch.zeros(self.whole, groups, self.size, dtype=torch.int64, device=device)

    @property
    def steps(self) -> int:
        """The steps of an epoch."""
        return self.whole + bool(self.rest.shape[1])

    def begin(self, epoch: int) -> None:
        """Draw the order of an epoch."""
        order = counter_hash.batch_order(self._seeds, epoch, self._counters)
        rows = self._rows.gather(1, order)
        end = self.whole * self.size
        self._batches.copy_(rows[:, :end].reshape(len(rows), self.whole, self.size).transpose(0, 1))
        self.rest = rows[:, end:]
        self.number.zero_()

    def take(self, step: Step, results: Tensor | None = None) -> None:
        """Take `step` with the next whole batch, features [G, size, I] and labels [G, size].

        What it returns is kept in `results` [whole, …] under its number.
        """
        rows = self._batches.index_select(0, self.number)[0]
        result = step(*self.part.examples(rows))
        if results is not None and result is not None:
            results.index_copy_(0, self.number, result[None])
        self.number.add_(1)

    def rest_examples(self) -> tuple[Tensor, Tensor]:
        """Return what is left after the whole batches: features [G, fewer, I], labels [G, fewer]."""
        return self.part.examples(self.rest)

    def labels(self, batches: slice) -> Tensor:
        """Return the labels of some of the whole batches, [batches, G, size]."""
        rows = self._batches[batches]
        return self.part.labels.index_select(0, rows.flatten()).view(rows.shape)
