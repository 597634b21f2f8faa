"""Whole sweeps over the wire: the curves of all runs, and the summary by configuration."""

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field

from api.schemas.common import Answer, Apart, Number, Once, Query
from api.schemas.diagnoses import ConfigurationDiagnosis
from api.schemas.results import CurveQuery, Format, MetricName, RunCurves
from mlcore.analysis.aggregation import STATISTICS

Statistic = Literal["mean", "std", "min", "max"]


class ExperimentCurveQuery(CurveQuery):
    """Which part of the curves of an experiment's runs, and how."""

    group_by: Annotated[list[str], Apart] = Field(
        [],
        max_length=20,
        description="The fields of the spec that tell groups apart, such as `degree,lambda`. Default: the grid's.",
    )
    aggregate: Annotated[list[Statistic], Apart, Once] = Field(
        [],
        max_length=len(STATISTICS),
        description="One entry per group instead of per run, with these statistics over its replicates: "
        "`mean,std,min,max`. In pictures groups are always drawn by their mean, with a band from min to max, or of "
        "one std around it when that is asked for.",
    )


class LabelledCurves(RunCurves):
    """The curves of one run of an experiment."""

    number: int = Field(description="The run's place in the experiment, from 0.")
    label: str
    values: dict[str, Any] = Field(description="Its values of the fields in `group_by`.")
    seed: int = Field(description="Of initial weights, batch order and dropout masks.")
    data_seed: int
    fold: int | None


class ExperimentCurves(Answer):
    """The curves of an experiment's runs, one by one, in the order of their numbers."""

    experiment_id: UUID
    runs_total: int = Field(description="How many runs the experiment has.")
    group_by: list[str] = Field(description="The fields whose values are shown: the grid's, unless others were named.")
    runs: list[LabelledCurves] = Field(description="The curves of each run.")


class GroupCurves(Answer):
    """The curves of the runs that agree in the fields of `group_by`, aggregated."""

    values: dict[str, Any] = Field(description="The fields in which they agree.")
    label: str
    runs: int = Field(description="How many runs the group has.")
    replicates: int = Field(description="Runs, those of a replicate's folds counted once.")
    epochs: list[int] = Field(description="The epochs that at least one of them has evaluated, from 1.")
    series: dict[MetricName, dict[Statistic, list[Number]]] = Field(
        description="By metric and statistic, over the replicates that have a finite value at the epoch; folds are "
        "averaged before. std is that of a sample, null for a single value."
    )


class AggregatedCurves(Answer):
    """The curves of an experiment's runs, aggregated by groups of them."""

    experiment_id: UUID
    runs_total: int = Field(description="How many runs the experiment has.")
    group_by: list[str] = Field(description="The fields that make a group: the grid's, unless others were named.")
    aggregate: list[Statistic]
    groups: list[GroupCurves]


class SummaryQuery(Query):
    """Which part of a summary, and how."""

    format: Format = Field(None, description="json, csv, png or svg; wins over the Accept header.")
    offset: int = Field(0, ge=0, le=1_000_000, description="json: configurations to skip.")
    limit: int = Field(200, ge=1, le=2000, description="json: configurations to show.")
    metric: MetricName | None = Field(None, description="Pictures: what the colour or the height shows. test_loss.")
    x: str | None = Field(None, max_length=64, description="Pictures: the field along the horizontal axis.")
    y: str | None = Field(None, max_length=64, description="Heat-maps: the field along the vertical axis.")


class Estimate(Answer):
    """What the replicates of a configuration say about a metric at the end of the training."""

    n: int = Field(description="Replicates: seed × data seed, folds averaged.")
    mean: Number
    std: Number = Field(description="Standard deviation of the replicates; null for a single one.")
    ci_low: Number = Field(description="The lower end of the 95 % confidence interval of the mean, by Student's t.")
    ci_high: Number = Field(description="The upper end of it.")
    left_out: int = Field(description="Replicates whose value is not a finite number; they are not in the mean.")


class MetricEstimate(Estimate):
    """The same with the spread inside of a replicate."""

    fold_std: Number = Field(
        description="Standard deviation over the folds of a replicate, of all replicates together; null without folds."
    )


class OutcomeCounts(Answer):
    """How many runs stand how; they add up to `total`."""

    total: int
    queued: int
    running: int
    succeeded: int
    failed: int = Field(description="Failed for any other reason than diverging.")
    diverged: int = Field(description="Failed because the loss grew beyond all bounds.")
    cancelled: int


class Configuration(Answer):
    """A grid point, and what its runs gave."""

    number: int = Field(description="Its place among the configurations, from 0.")
    label: str
    values: dict[str, Any] = Field(description="Its values of the grid's fields.")
    runs: OutcomeCounts
    replicates: int = Field(description="Replicates of which all runs have succeeded: those that count.")
    metrics: dict[MetricName, MetricEstimate]
    diagnosis: ConfigurationDiagnosis | None = Field(description="null while none of its replicates has ended.")


class Refit(Answer):
    """A request for POST /v1/experiments."""

    spec: dict[str, Any] = Field(
        description="The configuration's spec with as many training examples as it had for training and validation: "
        "held-out images and folds join them, synthetic examples are drawn anew."
    )


class Chosen(Answer):
    """A configuration to go on with."""

    number: int = Field(description="Its place among the configurations, from 0.")
    label: str
    values: dict[str, Any]
    valid_loss: Estimate
    refit: Refit = Field(description="Post it to train this configuration with nothing held out.")


class Summary(Answer):
    """An experiment by configuration, and which one to choose."""

    experiment_id: UUID
    varied: list[str] = Field(description="The grid's fields.")
    configurations_total: int
    offset: int = Field(description="How many configurations were skipped.")
    configurations: list[Configuration] = Field(description="In the order of the grid.")
    winner: Chosen | None = Field(
        description="The lowest mean valid_loss, of those configurations of which no run has failed or diverged."
    )
    neighbour: Chosen | None = Field(
        description="The simplest configuration whose mean valid_loss is at most one standard error of the winner "
        "above the winner's; it may be the winner itself. The error is over replicates, of a single one over its folds."
    )
    remark: str | None = Field(description="Why there is no winner, or no neighbour.")
