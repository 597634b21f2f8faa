"""Curves, weights, checkpoints and predictions over the wire."""

from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from api.schemas.common import Answer, Number, Query, Time
from mlcore.analysis.aggregation import STATISTICS

MetricName = Literal[
    "train_loss",
    "train_accuracy",
    "valid_loss",
    "valid_accuracy",
    "test_loss",
    "test_accuracy",
    "running_loss",
    "running_accuracy",
    "weight_l2_norm",
    "weight_l1_norm",
]
Statistic = Literal["mean", "std", "min", "max"]
Format = Annotated[str | None, Field(max_length=20, description="Wins over the Accept header.")]
CHECKPOINT_PATTERN = "^(last|best|[1-9][0-9]{0,8})$"
FEWEST_POINTS = 25
"""Room for the extremes of every metric, the first, the last and the best epoch."""


class CurveQuery(Query):
    """Which part of the curves, and how."""

    format: Format = Field(None, description="json, csv, png or svg; wins over the Accept header.")
    metric: list[MetricName] = Field([], description="Only these metrics; repeat the parameter for several.")
    after_epoch: int = Field(0, ge=0, le=1_000_000_000, description="Only later epochs: to ask for what is new.")
    max_points: int | None = Field(
        None,
        ge=FEWEST_POINTS,
        le=1_000_000,
        description="At most this many epochs; minima, maxima, the first, the last and the best epoch are kept.",
    )


def _apart(given: Any) -> Any:  # noqa: ANN401  whatever a query holds
    """Take `a,b` for `a` and `b`, beside the parameter repeated."""
    if not isinstance(given, list):
        return given
    return [part.strip() for one in given for part in (one.split(",") if isinstance(one, str) else [one])]


class ExperimentCurveQuery(CurveQuery):
    """Which part of the curves of an experiment's runs, and how."""

    metric: Annotated[list[MetricName], BeforeValidator(_apart)] = Field(
        [], description="Only these metrics; separate several by commas, or repeat the parameter."
    )
    group_by: Annotated[list[str], BeforeValidator(_apart)] = Field(
        [],
        max_length=20,
        description="The fields of the spec that tell groups apart, such as `degree,lambda`. Default: the grid's.",
    )
    aggregate: Annotated[list[Statistic], BeforeValidator(_apart)] = Field(
        [],
        max_length=len(STATISTICS),
        description="One entry per group instead of per run, with these statistics over its replicates: "
        "`mean,std,min,max`. In pictures groups are always drawn by their mean, with a band from min to max, or of "
        "one std around it when that is asked for.",
    )


class RunCurves(Answer):
    """The curves of a run: each series has one value per entry of `epochs`."""

    run_id: UUID
    total_epochs: int = Field(description="Epochs the run is to have in the end.")
    epochs: list[int] = Field(description="The evaluated epochs, from 1.")
    series: dict[MetricName, list[Number]]


class LabelledCurves(RunCurves):
    """The curves of one run of an experiment."""

    number: int = Field(description="The run's place in the experiment, from 0.")
    label: str
    values: dict[str, Any] = Field(description="Its values of the fields in `group_by`.")
    seed: int
    data_seed: int
    fold: int | None


class ExperimentCurves(Answer):
    """The curves of an experiment's runs, one by one, in the order of their numbers."""

    experiment_id: UUID
    runs_total: int = Field(description="How many runs the experiment has.")
    group_by: list[str] = Field(description="The fields whose values are shown: the grid's, unless others were named.")
    runs: list[LabelledCurves]


class GroupCurves(Answer):
    """The curves of the runs that agree in the fields of `group_by`, aggregated."""

    values: dict[str, Any] = Field(description="The fields in which they agree.")
    label: str
    runs: int
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


class NearZero(Answer):
    """How many weights are as good as zero."""

    count: int
    threshold: float = Field(
        description="max(0.001, 2·learning_rate·λ): under l1 weights jitter by learning_rate·λ, and none is exactly 0."
    )


class Weights(Answer):
    """Learned weights beside the true ones that the data were made with."""

    run_id: UUID
    checkpoint: str
    epoch: int
    weights: list[Number] = Field(description="polynomial: of 1, x, x²/2!, …; linear: of each input.")
    true_weights: list[float] = Field(description="In the same order; zeros where the truth has no such feature.")
    bias: Number = Field(description="null for polynomial: its constant feature has a weight like the others.")
    true_bias: float | None
    weight_l2_norm: Number = Field(description="‖w‖₂, without the bias.")
    weight_l1_norm: Number = Field(description="‖w‖₁, without the bias.")
    near_zero: NearZero


class WeightsQuery(Query):
    """Which weights."""

    checkpoint: str = Field("last", pattern=CHECKPOINT_PATTERN, description="last, best, or an epoch that was kept.")


class Checkpoint(Answer):
    """Weights that are kept."""

    name: str = Field(description="last, best, or the epoch: what to put behind /checkpoints/.")
    epoch: int
    size: int = Field(description="Bytes.")
    sha256: str
    created_at: Time
    href: str


class CheckpointList(Answer):
    """The checkpoints of a run."""

    items: list[Checkpoint]


class PredictionRequest(BaseModel):
    """Either `inputs` of one's own, or `split` and `indices` of the run's data."""

    model_config = ConfigDict(
        strict=True,
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,
        json_schema_extra={"examples": [{"split": "test", "indices": [0, 1, 2]}, {"inputs": [0.5, -1.25]}]},
    )

    checkpoint: Literal["last", "best"] | Annotated[int, Field(ge=1, le=1_000_000_000)] = Field(
        "last", description="last, best, or an epoch that was kept."
    )
    inputs: list[Any] | None = Field(
        None,
        min_length=1,
        max_length=1000,
        description="polynomial: numbers x. linear: lists of n_inputs numbers. mlp: images of 28 rows of 28 pixels, "
        "or 784 pixels, each from 0 (black) to 1, or to 255.",
    )
    split: Literal["train", "valid", "test"] | None = Field(None, description="Which part of the run's own data.")
    indices: list[Annotated[int, Field(ge=0, le=10_000_000)]] | None = Field(
        None, min_length=1, max_length=1000, description="Which examples of it, from 0."
    )

    @model_validator(mode="after")
    def _one_or_the_other(self) -> Self:
        if (self.split is None) != (self.indices is None):
            raise ValueError("split and indices belong together: give both")
        if (self.inputs is None) == (self.split is None):
            raise ValueError("give either inputs, or split and indices")
        return self


class ClassPrediction(Answer):
    """What a classifier makes of an image."""

    index: int | None = Field(None, description="Which example of the split it is.")
    label: int | None = Field(description="What it is, if it is known.")
    label_name: str | None
    predicted: int = Field(description="The most probable class.")
    predicted_name: str
    probabilities: list[Number] = Field(description="Of each class, by the softmax.")


class ValuePrediction(Answer):
    """What a regression makes of an input."""

    index: int | None = Field(None, description="Which example of the split it is.")
    x: Number = Field(None, description="polynomial: the input.")
    y: Number = Field(description="The model's output.")
    target: Number = Field(None, description="The noisy label, if it is known.")


class Predictions(Answer):
    """One item per input, in their order."""

    run_id: UUID
    checkpoint: str
    epoch: int = Field(description="After how many epochs the weights were taken.")
    items: list[ClassPrediction | ValuePrediction]


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
    metrics: dict[MetricName, Estimate]


class Refit(Answer):
    """A request for POST /v1/experiments."""

    spec: dict[str, Any] = Field(description="The configuration's spec; what was held out joins the training examples.")


class Chosen(Answer):
    """A configuration to go on with."""

    number: int = Field(description="Its place among the configurations, from 0.")
    label: str
    values: dict[str, Any]
    valid_loss: Estimate
    refit: Refit = Field(description="Post it to train this configuration on all data.")


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
        "above the winner's; it may be the winner itself."
    )
    remark: str | None = Field(description="Why there is no winner, or no neighbour.")
