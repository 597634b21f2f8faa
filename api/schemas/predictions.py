"""What a run has learned, over the wire: its fit, its predictions on stored data, its confusion matrix."""

from typing import Literal
from uuid import UUID

from pydantic import Field

from api.schemas.common import Answer, Number, Query
from api.schemas.results import CHECKPOINT_PATTERN, Format, Predictions

Split = Literal["train", "valid", "test"]


class LearnedQuery(Query):
    """Which weights, and how."""

    format: Format = Field(None, description="Wins over the Accept header.")
    checkpoint: str = Field("last", pattern=CHECKPOINT_PATTERN, description="last, best, or an epoch that was kept.")


class ConfusionQuery(LearnedQuery):
    """Which confusion matrix."""

    split: Split = Field("test", description="Which part of the run's own data.")


class PredictionQuery(ConfusionQuery):
    """Which predictions."""

    only: Literal["errors"] | None = Field(None, description="mlp: only the images that are taken for another class.")
    offset: int = Field(0, ge=0, le=10_000_000, description="Examples to skip.")
    limit: int = Field(40, ge=1, le=1000, description="Examples to show; a picture has room for 100.")


class StoredPredictions(Predictions):
    """What a run makes of examples of its own data, in the order of their indices."""

    split: Split
    total: int = Field(description="How many examples there are to show, of which `items` is a part.")
    offset: int = Field(description="How many of them were skipped.")


class ConfusionMatrix(Answer):
    """How often each class is taken for which."""

    run_id: UUID
    checkpoint: str
    epoch: int = Field(description="After how many epochs the weights were taken.")
    split: Split
    accuracy: float
    names: list[str] = Field(description="The classes, in the order of rows and columns.")
    counts: list[list[int]] = Field(description="A row per true class, a column per predicted one.")


class Points(Answer):
    """Examples: inputs and noisy labels."""

    x: list[float]
    y: list[float]


class Fit(Answer):
    """A learned polynomial and the true one where the run's data lie."""

    run_id: UUID
    checkpoint: str
    epoch: int = Field(description="After how many epochs the weights were taken.")
    x: list[float] = Field(description="Evenly from the smallest to the largest input.")
    learned: list[Number] = Field(description="The model's output at each x.")
    true: list[Number] = Field(description="The true polynomial at each x, without noise.")
    points: dict[Split, Points] = Field(description="The data, at most the first 1,000 examples of each part.")
