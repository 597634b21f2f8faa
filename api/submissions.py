"""From a request to what is stored of it: which runs it stands for, which of them train together, and for how long."""

from dataclasses import dataclass
from typing import Any, Self

from api.schemas.experiments import ExperimentRequest, Validation
from mlcore.expansion import expand
from mlcore.grouping import stack_seconds, stacks
from mlcore.spec import LinearSpec, MlpSpec, PolynomialSpec
from store import workers
from store.engine import Database
from store.experiments import NewJob

MOST_SPECS = 100
"""Resolved specs that validate_only shows."""


@dataclass(frozen=True)
class Plan:
    """An experiment's runs in the order of their numbers, and the numbers of each stack."""

    specs: list[MlpSpec | PolynomialSpec | LinearSpec]
    stacks: list[list[int]]

    @classmethod
    def of(cls, submission: ExperimentRequest) -> Self:
        """Expand and group a request; raises NotExpandable."""
        specs = expand(submission)
        return cls(specs, stacks(specs))

    def jobs(self, queue: str) -> list[NewJob]:
        """A job per stack."""
        resolved = [_resolved(spec) for spec in self.specs]
        return [NewJob(queue, [resolved[number] for number in stack], stack) for stack in self.stacks]

    def validation(self, live: int) -> Validation:
        """What the request would submit, and how long so many live workers would be busy with it."""
        seconds = [stack_seconds([self.specs[number] for number in stack]) for stack in self.stacks]
        return Validation(
            runs=len(self.specs),
            jobs=len(self.stacks),
            epochs=sum(spec.epochs for spec in self.specs),
            workers=live,
            estimated_seconds=round(max(max(seconds), sum(seconds) / max(live, 1)), 2),
            specs=[_resolved(spec) for spec in self.specs[:MOST_SPECS]],
        )


def _resolved(spec: MlpSpec | PolynomialSpec | LinearSpec) -> dict[str, Any]:
    return spec.model_dump(mode="json")


def queue_of(submission: ExperimentRequest) -> str:
    """The queue of its jobs: a worker with a GPU serves both, so `auto` waits where every worker looks."""
    return "gpu" if submission.device == "gpu" else "cpu"


def live_workers(database: Database, queue: str, within_seconds: float) -> int:
    """How many workers take jobs from the queue."""
    with database.read() as session:
        return sum(queue in worker.queues for worker in workers.live(session, within_seconds))
