"""Diagnoses over the wire."""

from typing import Any, Literal

from pydantic import Field

from api.schemas.common import Answer, Number
from mlcore.analysis.diagnosis import Verdict


class Evidence(Answer):
    """The numbers behind a diagnosis; losses are those after the last epoch, dropout off."""

    train_loss: Number
    held_out: Literal["valid", "test"] = Field(description="Which examples are held out: valid where there are some.")
    held_out_loss: Number
    n_train: int
    n_held_out: int = Field(description="Of all folds, where there are folds.")
    noise_floor: Number = Field(description="The loss of the function that made the labels; null for mlp: unknown.")
    baseline_loss: float = Field(description="The loss of the best constant: the labels' variance, or ln 10 for mlp.")
    train_loss_limit: float = Field(description="What the train loss of a good fit may be.")
    expected_held_out_loss: Number = Field(
        description="The held-out loss, were nothing lost on new examples: the train loss, at least the noise's."
    )
    gap: Number = Field(description="held_out_loss − expected_held_out_loss.")
    standard_error: Number = Field(
        description="Of the held-out loss, were it as expected: √(2/n) of it for squared errors, 2/√n for mlp."
    )
    gap_in_standard_errors: Number
    train_fall: Number = Field(
        description="The part of the train loss (mlp: the running loss) that four times the epochs would take off, at "
        "the slope of its last tenth; negative when it rises."
    )
    held_out_fall: Number = Field(description="The same of the held-out loss.")
    best_epoch: int | None = Field(description="When the held-out loss was lowest.")
    best_held_out_loss: Number


class NextExperiment(Answer):
    """What to try next."""

    sentence: str
    request: dict[str, Any] = Field(description="Post it to /v1/experiments.")


class Diagnosis(Answer):
    """Whether a training under- or overfits, why, and what to try next; docs/diagnosis.md has the rules."""

    verdict: Verdict
    reasons: list[str] = Field(description="In sentences with the numbers.")
    evidence: Evidence | None = Field(description="null while there is none: the run has not succeeded.")
    next: NextExperiment | None = Field(description="null when nothing is to be done.")


class ConfigurationDiagnosis(Diagnosis):
    """The diagnosis of most of a configuration's replicates; evidence is the mean over those that agree with it."""

    replicates: int = Field(description="Replicates that have ended; the folds of one are averaged before.")
    agree: int = Field(description="How many of them have this verdict.")
    verdicts: dict[Verdict, int] = Field(description="How many have which.")
