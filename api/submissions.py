"""From a request to what is stored of it: which runs it stands for, which of them train together, and for how long."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from api.schemas.experiments import ExperimentRequest, Validation
from mlcore.errors import NotExpandable
from mlcore.expansion import MOST_RUNS, expand
from mlcore.grouping import CPU, Capacity, card, count_groups, run_seconds, stack_seconds, stacks
from mlcore.lazy import Lazy
from mlcore.spec import RunSpec
from store.experiments import NewJob

MOST_SPECS = 100
"""Resolved specs that validate_only shows."""
NEIGHBOURS = 64
"""Runs of a stack that are looked at to tell how many share their batches."""


@dataclass(frozen=True)
class Plan:
    """An experiment's runs in the order of their numbers, and the numbers of each stack."""

    specs: Sequence[RunSpec]
    stacks: list[list[int]]
    capacity: Capacity
    device: str | None

    @classmethod
    def of(
        cls, submission: ExperimentRequest, workers: int, most_runs: int = MOST_RUNS, card_memory: int | None = None
    ) -> Self:
        """Expand a request and group it for so many workers, whose smallest card has so many bytes.

        Raises NotExpandable, as for more than `most_runs`.
        """
        specs = expand(submission)
        if len(specs) > most_runs:
            raise NotExpandable("", f"stands for {len(specs)} runs; here an owner may have {most_runs} waiting")
        _check_precision(submission)
        capacity = card(card_memory) if submission.device == "gpu" else CPU
        device = "cpu" if submission.device == "cpu" else None
        return cls(specs, stacks(specs, workers, capacity), capacity, device)

    def jobs(self, queue: str) -> Sequence[NewJob]:
        """A job per stack; jobs and their specs are made when they are looked at."""

        def job(place: int) -> NewJob:
            stack = self.stacks[place]
            specs = Lazy(len(stack), lambda column: self._resolved(stack[column]))
            return NewJob(queue, specs, stack, self.device)

        return Lazy(len(self.stacks), job)

    def validation(self, live: int) -> Validation:
        """What the request would submit, and how long so many live workers would be busy with it."""
        heavy = [(self._heavy(stack), len(stack)) for stack in self.stacks]
        seconds = [self._seconds(stack, spec) for stack, (spec, _) in zip(self.stacks, heavy, strict=True)]
        return Validation(
            runs=len(self.specs),
            jobs=len(self.stacks),
            epochs=sum(spec.epochs * runs for spec, runs in heavy),
            workers=live,
            estimated_seconds=round(max(max(seconds), sum(seconds) / max(live, 1)), 2),
            specs=[self._resolved(number) for number in range(min(len(self.specs), MOST_SPECS))],
        )

    def _seconds(self, stack: list[int], heaviest: RunSpec) -> float:
        groups = count_groups([self.specs[number] for number in stack[:NEIGHBOURS]], len(stack))
        return stack_seconds(heaviest, len(stack), groups, self.capacity)

    def _heavy(self, stack: list[int]) -> RunSpec:
        """Return the heavier of a stack's first and last run: along a grid's axis one of them is the heaviest."""
        return max((self.specs[stack[0]], self.specs[stack[-1]]), key=run_seconds)

    def _resolved(self, number: int) -> dict[str, Any]:
        return self.specs[number].model_dump(mode="json")


def queue_of(submission: ExperimentRequest) -> str:
    """The queue of its jobs: a worker with a GPU serves both, so `auto` waits where every worker looks."""
    return "gpu" if submission.device == "gpu" else "cpu"


def _check_precision(submission: ExperimentRequest) -> None:
    """Refuse what only a card can do where the runs may come to a CPU; raises NotExpandable."""
    if submission.device == "gpu":
        return
    asked = [(f"/grid/precision/{place}", value) for place, value in enumerate(submission.grid.get("precision", []))]
    for pointer, precision in asked or [("/spec/precision", submission.spec.precision)]:
        if precision == "tf32":
            raise NotExpandable(pointer, 'tf32 is how the tensor cores of a card multiply: ask for "device": "gpu"')
