"""Runs over the wire."""

from typing import Any, Self
from uuid import UUID

from pydantic import Field

from api.labels import describe
from api.schemas.common import Answer, Number, Time, eta_seconds, when
from api.schemas.diagnoses import Diagnosis
from mlcore.spec import parse_run_spec
from store import tables
from store.status import Status


class RunProgress(Answer):
    """How far one training has come."""

    epoch: int = Field(description="The last epoch whose results are stored; 0 before the first.")
    epochs: int
    fraction: float = Field(ge=0, le=1)
    eta_seconds: float | None = Field(description="Seconds left at the pace so far; null when nobody can tell.")

    @classmethod
    def of(cls, run: tables.Run, now: float) -> Self:
        """Progress of a run; `now` is the database's clock."""
        done, epochs, eta = run.epochs_done, run.epochs, None
        if run.status == Status.RUNNING and run.started_at is not None:
            eta = eta_seconds(epochs - done, done, now - run.started_at)
        return cls(epoch=done, epochs=epochs, fraction=done / epochs, eta_seconds=eta)


class Metric(Answer):
    """One metric over the epochs at which it was measured."""

    last: Number
    min: Number
    min_epoch: int | None = Field(description="The first epoch at which the minimum was reached.")
    max: Number


class RunError(Answer):
    """Why a run failed."""

    kind: str = Field(description="For programs, such as diverged, crashed or dataset.")
    detail: str = Field(description="For people.")


class RunLinks(Answer):
    """Where to go on from here."""

    self: str
    experiment: str
    curves: str
    weights: str
    checkpoints: str
    predictions: str
    cancel: str

    @classmethod
    def of(cls, run: tables.Run) -> Self:
        """The links of one run."""
        at = f"/v1/runs/{run.id}"
        parts = ("curves", "weights", "checkpoints", "predictions")
        return cls(
            self=at,
            experiment=f"/v1/experiments/{run.experiment_id}",
            cancel=f"{at}:cancel",
            **{part: f"{at}/{part}" for part in parts},
        )


class RunSummary(Answer):
    """A run as lists show it."""

    id: UUID
    experiment_id: UUID
    owner: str = Field(description="Whose it is, as its experiment.")
    number: int = Field(description="Its place among the experiment's runs, from 0.")
    variant: str
    seed: int = Field(description="Of initial weights, batch order and dropout masks.")
    data_seed: int = Field(description="Of synthetic data, label noise, the choice of images and the split.")
    fold: int | None = Field(description="Which part of a K-fold cross-validation it holds out, from 0.")
    label: str = Field(description="A short name for legends.")
    status: Status
    cancel_requested: bool = Field(description="A cancel was asked for; the run stops within seconds.")
    spec: dict[str, Any] = Field(description="The resolved spec: every default filled in.")
    progress: RunProgress
    error: RunError | None
    metrics: dict[str, Metric] = Field(description="By name. While a run trains, only its own page has them.")
    reused: bool = Field(description="Whether an earlier, equal run answered this one.")
    reused_from: UUID | None = Field(description="The run that trained it; it may have been deleted since.")
    created_at: Time
    started_at: Time | None
    finished_at: Time | None
    links: RunLinks


class Run(RunSummary):
    """A run, with how it was trained."""

    claims: int = Field(description="How often a worker took it up; more than 1 after an interruption.")
    device: str | None = Field(
        description="What it trains on: cpu, or cuda and the name of the card; null until that is known."
    )
    threads: int | None = Field(description="CPU threads of the training; they decide the last bits of the results.")
    diagnosis: Diagnosis


class RunPage(Answer):
    """Runs: an experiment's in the order of their numbers, those of all newest first unless asked otherwise."""

    items: list[RunSummary] = Field(description="An experiment's by number, those of all in the order asked for.")
    next_page_token: str | None = Field(description="Pass it as page_token for the next page; null on the last one.")


def summary(run: tables.Run, now: float) -> RunSummary:
    """A run as lists show it; `now` is the database's clock."""
    return RunSummary(**_shared(run, run.summary or {}, now))


def full(run: tables.Run, job: tables.Job, metrics: dict[str, Any], diagnosis: Diagnosis, now: float) -> Run:
    """A run with its metrics so far, what they say, and what its job says about how it was trained."""
    trained = {"claims": job.claims, "device": job.device, "threads": job.threads}
    return Run(**_shared(run, metrics, now), **trained, diagnosis=diagnosis)


def _shared(run: tables.Run, metrics: dict[str, Any], now: float) -> dict[str, Any]:
    return {
        "id": run.id,
        "experiment_id": run.experiment_id,
        "owner": run.owner,
        "number": run.number,
        "variant": run.variant,
        **{name: run.spec[name] for name in ("seed", "data_seed", "fold")},
        "label": describe(parse_run_spec(run.spec)),
        "status": run.status,
        "cancel_requested": run.cancel_requested,
        "spec": run.spec,
        "progress": RunProgress.of(run, now),
        "error": run.error,
        "metrics": metrics,
        "reused": run.reused_from is not None,
        "reused_from": run.reused_from,
        "created_at": when(run.created_at),
        "started_at": when(run.started_at),
        "finished_at": when(run.finished_at),
        "links": RunLinks.of(run),
    }
