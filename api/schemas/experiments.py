"""Experiments over the wire."""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, Self
from uuid import UUID

from pydantic import AfterValidator, Field, StringConstraints
from pydantic.config import JsonDict

from api.schemas.common import Answer, Progress, Time, eta_seconds, when
from mlcore.errors import PointedError
from mlcore.spec import ExperimentSpec, Strict
from store import tables
from store.queue import QueuePlace
from store.status import Status


def _not_blank(given: str) -> str:
    if not given.strip():
        raise ValueError("must have more than blanks in it")
    return given


Name = Annotated[
    str,
    Field(min_length=1, max_length=200, json_schema_extra={"pattern": r"\S"}),
    AfterValidator(_not_blank),
]
TagName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]
TagValue = Annotated[str, StringConstraints(max_length=256)]
MOST_TAGS: Final = 50
NO_OTHERS: Final[JsonDict] = {"additionalProperties": False}
"""Keys that do not match the pattern are refused."""
Device = Literal["auto", "cpu", "gpu"]


class ExperimentRequest(ExperimentSpec):
    """What to train, and how to find it again. Only `spec` is required."""

    name: Name | None = Field(None, description="A name for lists and figures.")
    tags: dict[TagName, TagValue] = Field(
        {},
        max_length=MOST_TAGS,
        description='Labels to filter by: {"chapter": "4.4"} is found by ?tag=chapter:4.4.',
        json_schema_extra=NO_OTHERS,
    )
    note: str | None = Field(None, max_length=10_000, description="Anything worth remembering.")
    priority: int = Field(
        0,
        ge=-100,
        le=100,
        description="Higher ones are trained first, whoever submitted them; "
        "where keys are asked for, one above 0 takes a key for admin.",
    )
    device: Device = Field("auto", description="On a CPU, on a card, or (auto) wherever a worker is free first.")
    ephemeral: bool = Field(default=False, description="Left out of lists, and deleted an hour after its end.")


class ExperimentChanges(Strict):
    """What to write on an experiment; what is not given stays."""

    name: Name | None = Field(None, description="A new name; null takes it away.")
    tags: dict[TagName, TagValue | None] = Field(
        {},
        max_length=MOST_TAGS,
        description="Tags to set; null takes one away, and others stay.",
        json_schema_extra=NO_OTHERS,
    )
    note: str | None = Field(None, max_length=10_000, description="A new note; null takes it away.")

    def applied_to(self, tags: Mapping[str, str]) -> dict[str, Any]:
        """What there is to write, beside these tags; raises TooManyTags."""
        changes = self.model_dump(exclude_unset=True)
        if "tags" in changes:
            merged = {**tags, **self.tags}
            changes["tags"] = {name: value for name, value in merged.items() if value is not None}
            if len(changes["tags"]) > MOST_TAGS:
                raise TooManyTags("/tags", f"would make {len(changes['tags'])}; an experiment has at most {MOST_TAGS}")
        return changes


class TooManyTags(PointedError):
    """Beside those it has, these are more tags than an experiment may have."""


class RunCounts(Answer):
    """How many runs of the experiment are in which status; they add up to `total`."""

    total: int
    queued: int
    running: int
    succeeded: int
    failed: int
    cancelled: int


class Queue(Answer):
    """Where a waiting experiment stands."""

    name: str = Field(description="The queue it waits in: cpu or gpu.")
    position: int = Field(description="1 is next.")
    eta_seconds: float | None = Field(
        None,
        description="Seconds until it starts, by how far the running jobs are and how long the last ones took; null "
        "when nobody can tell.",
    )
    reason: str | None = Field(None, description="Why it does not start, if there is more to it than its turn.")


class ExperimentLinks(Answer):
    """Where to go on from here."""

    self: str
    runs: str = Field(description="Path of the list of its runs.")
    curves: str
    summary: str = Field(description="Path of the summary by configuration.")
    events: str
    cancel: str
    retry: str

    @classmethod
    def of(cls, experiment_id: UUID) -> Self:
        """The links of one experiment."""
        at = f"/v1/experiments/{experiment_id}"
        parts = ("runs", "curves", "summary", "events")
        return cls(self=at, cancel=f"{at}:cancel", retry=f"{at}:retry", **{part: f"{at}/{part}" for part in parts})


class ExperimentSummary(Answer):
    """An experiment as lists show it."""

    id: UUID
    owner: str = Field(description="Whose it is: the owner of the key it was posted with, `local` without a key.")
    name: str | None
    variant: str
    status: Status
    cancel_requested: bool = Field(description="A cancel was asked for; runs stop within seconds.")
    tags: dict[str, str]
    note: str | None
    priority: int
    ephemeral: bool
    runs: RunCounts
    progress: Progress
    created_at: Time
    started_at: Time | None
    finished_at: Time | None
    links: ExperimentLinks


class Experiment(ExperimentSummary):
    """An experiment, with what was posted and, while it waits, its place in the queue."""

    request: dict[str, Any] = Field(
        title="As posted", description="As it was posted; posting it again submits the same experiment."
    )
    code_version: str = Field(description="The version of epochd that took the experiment.")
    request_id: str | None = Field(description="The X-Request-ID of its submission; the logs have it on every line.")
    queue: Queue | None = Field(description="Where the next of its jobs that wait stands; null when none waits.")


class ExperimentPage(Answer):
    """Experiments, newest first unless asked otherwise."""

    items: list[ExperimentSummary] = Field(description="In the order asked for.")
    next_page_token: str | None = Field(description="Pass it as page_token for the next page; null on the last one.")


class Validation(Answer):
    """What a request would submit, had it not been validate_only."""

    valid: Literal[True] = True
    runs: int = Field(description="Trainings.")
    jobs: int = Field(description="Units of queue work; runs of a job train together.")
    epochs: int = Field(description="Epochs over all runs.")
    workers: int = Field(description="Live workers that would take the jobs.")
    estimated_seconds: float = Field(
        description="Training time with these workers, or with one while there is none; from the sizes alone, for two "
        "CPU cores or a card each: an order of magnitude."
    )
    specs: list[dict[str, Any]] = Field(
        description="The resolved specs of the first 100 runs, in the order of their numbers, defaults filled in."
    )


def summary(experiment: tables.Experiment, now: float) -> ExperimentSummary:
    """An experiment as lists show it; `now` is the database's clock."""
    return ExperimentSummary(**_shared(experiment, now))


def full(experiment: tables.Experiment, now: float, place: QueuePlace | None) -> Experiment:
    """An experiment with its request and its place in the queue."""
    return Experiment(
        **_shared(experiment, now),
        request=experiment.request,
        code_version=experiment.code_version,
        request_id=experiment.request_id,
        queue=_queue(place) if place else None,
    )


def _queue(place: QueuePlace) -> Queue:
    return Queue(name=place.queue, position=place.position, eta_seconds=place.eta_seconds, reason=place.reason)


def _shared(experiment: tables.Experiment, now: float) -> dict[str, Any]:
    return {
        "id": experiment.id,
        "owner": experiment.owner,
        "name": experiment.name,
        "variant": experiment.variant,
        "status": experiment.status,
        "cancel_requested": experiment.cancel_requested,
        "tags": experiment.tags,
        "note": experiment.note,
        "priority": experiment.priority,
        "ephemeral": experiment.ephemeral,
        "runs": _counts(experiment),
        "progress": _progress(experiment, now),
        "created_at": when(experiment.created_at),
        "started_at": when(experiment.started_at),
        "finished_at": when(experiment.finished_at),
        "links": ExperimentLinks.of(experiment.id),
    }


def _progress(experiment: tables.Experiment, now: float) -> Progress:
    done, epochs, eta = experiment.epochs_done, experiment.total_epochs, None
    if experiment.status == Status.RUNNING and experiment.started_at is not None:
        trained = done - experiment.epochs_reused
        eta = eta_seconds(experiment.epochs_left, trained, now - experiment.started_at)
    return Progress(epochs_done=done, epochs=epochs, fraction=done / epochs, eta_seconds=eta)


def _counts(experiment: tables.Experiment) -> RunCounts:
    return RunCounts(
        total=experiment.total_runs,
        queued=experiment.queued,
        running=experiment.running,
        succeeded=experiment.succeeded,
        failed=experiment.failed,
        cancelled=experiment.cancelled,
    )
