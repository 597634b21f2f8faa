"""Comparisons over the wire."""

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field

from api.schemas.common import Answer, Number
from api.schemas.results import MetricName
from api.schemas.sweeps import OutcomeCounts
from mlcore.spec import Strict


class Side(Strict):
    """What is compared: an experiment of one configuration, or one configuration of a sweep."""

    experiment: Annotated[UUID, Field(strict=False)] = Field(description="The id of the experiment.")
    where: dict[str, Any] = Field(
        {},
        max_length=50,
        description="Values of the spec's fields that leave one configuration, seeds and folds aside; `lambda` is "
        "weight_decay. Not needed where the experiment has no grid.",
        examples=[{"weight_decay": 0}],
    )


class ComparisonRequest(Strict):
    """Two sides, and by what to compare them."""

    a: Side = Field(description="One side; differences are a − b.")
    b: Side = Field(description="The other side.")
    metric: MetricName = Field("test_loss", description="What is compared.")
    at: Literal["last", "best"] = Field(
        "last",
        description="When: after the `last` epoch, or at each run's `best`: the lowest valid_loss, without a "
        "validation set the lowest test_loss.",
    )


class ComparedSide(Answer):
    """A side of a comparison."""

    experiment_id: UUID
    name: str | None = Field(description="The experiment's.")
    label: str = Field(description="What sets it apart from the other side.")
    values: dict[str, Any] = Field(description="Its values of the fields in which the sides differ.")
    runs: OutcomeCounts
    selected_on: Literal["valid", "test"] | None = Field(
        description="With at = best: the part whose loss says which epoch is the best."
    )
    mean: Number = Field(description="The mean of the metric over its side of the pairs.")
    std: Number = Field(description="The standard deviation of it; null for a single pair.")


class LeftOut(Answer):
    """Replicates that are not among the pairs."""

    only_a: int = Field(description="Replicates of a whose seed and data seed b does not have.")
    only_b: int = Field(description="Replicates of b whose seed and data seed a does not have.")
    without_value: int = Field(
        description="Pairs of which a side failed, diverged, was cancelled, has not ended or is not a finite number."
    )
    repeated: int = Field(
        description="Pairs that train the same as another: on all of Fashion-MNIST a data seed changes nothing."
    )


class Difference(Answer):
    """a − b over the pairs."""

    mean: Number
    std: Number = Field(description="Of the differences; null for a single pair.")
    ci_low: Number = Field(description="The lower end of the 95 % confidence interval of the mean, by the paired t.")
    ci_high: Number = Field(description="The upper end of it.")
    effect_size: Number = Field(
        description="Cohen's d_z: mean / std of the differences. null where they have no spread."
    )


class SignFlipTest(Answer):
    """The sign-flip permutation test of the differences, two-sided."""

    p: float = Field(
        description="How often random signs of the differences give a mean as far from 0. Of many comparisons one in "
        "twenty comes out below 0.05 by chance alone."
    )
    exact: bool = Field(description="Whether all sign patterns were counted; beyond 32 pairs some are drawn.")
    flips: int = Field(description="How many sign patterns were counted or drawn.")
    standard_error: float = Field(description="Of p, from drawing; 0 when exact. The same request draws the same.")
    smallest_p: float = Field(description="The smallest p that so many pairs can give: 2/2ⁿ over those that differ.")


class PowerAnalysis(Answer):
    """How many pairs it takes to show a true effect of the size seen, with a power of 80 % at the 5 % level."""

    pairs_needed: int = Field(description="By the noncentral t; at least 6, below which no p can be under 0.05.")
    more_pairs_needed: int = Field(description="How many more than there are; 0 when there are enough.")


class Comparison(Answer):
    """Two configurations compared replicate by replicate."""

    metric: MetricName
    at: Literal["last", "best"]
    a: ComparedSide
    b: ComparedSide
    pairs: int = Field(description="Replicates with the same seed and data seed on both sides, folds averaged.")
    left_out: LeftOut
    difference: Difference
    test: SignFlipTest | None = Field(description="null without pairs.")
    power: PowerAnalysis | None = Field(
        description="null where there is no effect or no spread, and where more than a million pairs would be needed."
    )
    verdict: str = Field(description="What the pairs show, and what they cannot.")
    remarks: list[str] = Field(description="What is to be known of the pairs before believing in them.")
