"""Curves, weights, checkpoints and predictions over the wire."""

from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, model_validator

from api.schemas.common import Answer, Apart, Number, Once, Query, Time

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
Format = Annotated[str | None, Field(max_length=20, description="Wins over the Accept header.")]
CHECKPOINT_PATTERN = "^(last|best|[1-9][0-9]{0,8})$"
FEWEST_POINTS = 25
"""Room for the extremes of every metric, the first, the last and the best epoch."""


class CurveQuery(Query):
    """Which part of the curves, and how."""

    format: Format = Field(None, description="json, csv, png or svg; wins over the Accept header.")
    metric: Annotated[list[MetricName], Apart, Once] = Field(
        [], description="Only these metrics; separate several by commas, or repeat the parameter."
    )
    after_epoch: int = Field(0, ge=0, le=1_000_000_000, description="Only later epochs: to ask for what is new.")
    max_points: int | None = Field(
        None,
        ge=FEWEST_POINTS,
        le=1_000_000,
        description="At most this many epochs; minima, maxima, the first, the last and the best epoch are kept.",
    )


class RunCurves(Answer):
    """The curves of a run: each series has one value per entry of `epochs`."""

    run_id: UUID
    total_epochs: int = Field(description="Epochs the run is to have in the end.")
    epochs: list[int] = Field(description="The evaluated epochs, from 1.")
    series: dict[MetricName, list[Number]]


class NearZero(Answer):
    """How many weights are as good as zero."""

    count: int
    threshold: float = Field(
        description="max(0.001, 2·learning_rate·λ): under l1 weights jitter by learning_rate·λ, and none is exactly 0."
    )


class LearnedWeights(Answer):
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
    largest_absolute_weight: Number
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

    items: list[Checkpoint] = Field(description="By epoch.")


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
        "or 784 pixels, each from 0 (black) to 1, or to 255, or as PNG files of 28 × 28 pixels in base64.",
    )
    split: Literal["train", "valid", "test"] | None = Field(None, description="Which part of the run's own data.")
    indices: list[Annotated[int, Field(ge=0, le=10_000_000)]] | None = Field(
        None, min_length=1, max_length=1000, description="Which examples of it, from 0."
    )

    @model_validator(mode="after")
    def _one_or_the_other(self) -> Self:
        if (self.split is None) != (self.indices is None):
            raise ValueError("must have both split and indices, or neither")
        if (self.inputs is None) == (self.split is None):
            raise ValueError("must have either inputs, or split and indices")
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
    items: list[ClassPrediction | ValuePrediction] = Field(description="One per input or index, in their order.")
