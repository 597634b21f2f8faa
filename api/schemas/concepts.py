"""Concepts over the wire."""

import math
from decimal import ROUND_CEILING, Context, Decimal

from pydantic import Field, ValidationInfo, field_validator

from api.schemas.common import Answer, Query
from api.schemas.results import Format
from mlcore.spec import Probability, Seed

MOST_POINTS = 10_000
MOST_CELLS = 10_000


class ActivationQuery(Query):
    """At which x to look at an activation function, and in which format."""

    format: Format = Field(None, description="json, csv, png or svg; wins over the Accept header.")
    start: float = Field(-8.0, ge=-1e6, le=1e6, description="The first x.")
    stop: float = Field(
        8.0, ge=-1e6, le=1e6, validate_default=True, description="Where to end: x stays below it. Above start."
    )
    step: float = Field(
        0.1,
        ge=1e-9,
        le=1e6,
        validate_default=True,
        description=f"From one x to the next; so large that there are at most {MOST_POINTS}.",
    )

    @property
    def x(self) -> list[float]:
        """start, start + step, … below stop; each is the double nearest to the decimal number that is meant."""
        start, stop, step = map(_meant, (self.start, self.stop, self.step))
        return [float(start + step * index) for index in range(_count(start, stop, step))]

    @field_validator("stop")
    @classmethod
    def _above_start(cls, stop: float, info: ValidationInfo) -> float:
        start = info.data.get("start")
        if start is not None and stop <= start:
            raise ValueError(f"must be greater than start, {start:g}")
        return stop

    @field_validator("step")
    @classmethod
    def _few_enough(cls, step: float, info: ValidationInfo) -> float:
        if not {"start", "stop"} <= info.data.keys():
            return step
        start, stop = _meant(info.data["start"]), _meant(info.data["stop"])
        if (count := _count(start, stop, _meant(step))) > MOST_POINTS:
            least = Context(prec=4, rounding=ROUND_CEILING).divide(stop - start, MOST_POINTS)
            raise ValueError(f"makes {count} points; there may be {MOST_POINTS}: take at least {least:f}")
        return step


def _meant(number: float) -> Decimal:
    """The decimal number that somebody wrote: 0.1 itself, not the double beside it, of which 10 are not 1."""
    return Decimal(str(number))


def _count(start: Decimal, stop: Decimal, step: Decimal) -> int:
    return math.ceil((stop - start) / step)


class Activation(Answer):
    """An activation function over x."""

    name: str
    formula: str
    derivative: str = Field(description="The closed form; `dy_dx` is calculated by autograd.")
    x: list[float]
    y: list[float] = Field(description="The function at each x.")
    dy_dx: list[float] = Field(description="Its derivative at each x. That of relu at 0 is 0.")


class DropoutQuery(Query):
    """What to drop out of, and how much."""

    rows: int = Field(2, ge=1, le=MOST_CELLS, description="Examples in the batch.")
    cols: int = Field(
        8,
        ge=1,
        le=MOST_CELLS,
        validate_default=True,
        description=f"Units of the layer; rows × cols is at most {MOST_CELLS}.",
    )
    p: Probability = Field(0.5, description="The probability to drop a unit.")
    seed: Seed = Field(0, description="Which mask; that of a run with this seed.")

    @field_validator("cols")
    @classmethod
    def _few_enough(cls, cols: int, info: ValidationInfo) -> int:
        rows = info.data.get("rows", 1)
        if rows * cols > MOST_CELLS:
            raise ValueError(f"makes {rows * cols} cells; with {rows} rows take at most {MOST_CELLS // rows}")
        return cols


class Dropout(Answer):
    """A tensor before and after dropout."""

    rows: int
    cols: int
    p: float
    seed: int = Field(description="Which mask it is.")
    x: list[list[float]] = Field(description="The tensor, 0, 1, 2, … row by row.")
    mask: list[list[float]] = Field(
        description="What each unit is multiplied with: 0, or 1/(1 − p) with p rounded to a multiple of 2⁻¹⁶, so that "
        "the expectation stays what it was. The first a run with this seed draws for a layer of so many units."
    )
    output: list[list[float]] = Field(description="x · mask.")
    dropped: int = Field(description="How many units the mask drops.")
    mean_before: float = Field(description="Of x.")
    mean_after: float = Field(description="Of the output; over many masks its mean is mean_before, unless p is 1.")


class Concept(Answer):
    """Something of the chapter to look at."""

    name: str
    section: str = Field(description="The section of Dive into Deep Learning.")
    description: str
    href: str


class ConceptList(Answer):
    """The concepts there are."""

    items: list[Concept] = Field(description="One per concept.")
