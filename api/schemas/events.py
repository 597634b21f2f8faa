"""What the stream of an experiment's events says, as the data of its messages."""

from typing import Literal
from uuid import UUID

from pydantic import Field

from api.schemas.common import Answer, Number, Progress, Query, Time, when
from api.schemas.experiments import ExperimentSummary, RunCounts
from api.schemas.results import MetricName
from store.following import Change
from store.status import Status

MOST_RUNS = 50


class EventQuery(Query):
    """What to follow of an experiment, and from where on."""

    run: list[UUID] = Field(
        [],
        max_length=MOST_RUNS,
        description="Runs whose metrics to send; repeat the parameter. Default: the first 50.",
    )
    metric: list[MetricName] = Field([], description="Only these metrics; repeat the parameter for several.")
    last_event_id: str | None = Field(
        None,
        max_length=40,
        description="As the header Last-Event-ID, for whoever cannot send headers; the header wins.",
    )


class Happening(Answer):
    """One change: of the experiment, of a job, or of runs."""

    of: Literal["experiment", "job", "run"] = Field(description="What it happened to.")
    kind: str = Field(description="status, cancel_requested, crashed, resumed_elsewhere, checkpoint_damaged or split.")
    status: Status | None = Field(description="The new status; null when none changed.")
    reason: str | None = Field(description="Why, for people.")
    job_id: UUID | None
    run_id: UUID | None = Field(description="The run, if it is one of those that are followed.")
    runs: int | None = Field(description="How many runs changed with their job, or alike where none is named.")
    at: Time

    @classmethod
    def from_change(cls, change: Change) -> "Happening":
        """A change as the stream tells it."""
        return cls(
            of="run" if change.of_runs else "experiment" if change.job_id is None else "job",
            kind=change.kind,
            status=change.status,
            reason=change.reason,
            job_id=change.job_id,
            run_id=change.run_id,
            runs=change.runs,
            at=when(change.at),
        )


class StatusEvent(Answer):
    """`event: status`: what changed at once."""

    changes: list[Happening]


class NewEpochs(Answer):
    """New epochs of a run: each series has one value per entry of `epochs`."""

    run_id: UUID
    epochs: list[int] = Field(description="From 1; each comes once.")
    series: dict[MetricName, list[Number]]


class MetricsEvent(Answer):
    """`event: metrics`: epochs that were stored since the message before."""

    runs: list[NewEpochs] = Field(description="Those of the followed runs that have new epochs.")


class ProgressEvent(Answer):
    """`event: progress`: how the experiment stands now. It has no id: the next one replaces it."""

    status: Status
    cancel_requested: bool
    runs: RunCounts
    progress: Progress

    @classmethod
    def from_summary(cls, summary: ExperimentSummary) -> "ProgressEvent":
        """The part of an experiment that changes while it trains."""
        return cls(**{name: getattr(summary, name) for name in cls.model_fields})


class EndEvent(Answer):
    """`event: end`: the experiment has ended or was deleted, and this is the last message."""

    reason: Literal["finished", "deleted"]
    status: Status | None = Field(description="How it ended; null when it was deleted.")
