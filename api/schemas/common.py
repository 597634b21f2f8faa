"""What the answers have in common."""

from datetime import UTC, datetime
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

Time = Annotated[datetime, Field(description="RFC 3339, in UTC.")]
Number = Annotated[float | None, Field(description="null when it was not measured, or is not a finite number.")]


class Answer(BaseModel):
    """A model that goes out; NaN and infinity become null."""

    model_config = ConfigDict(frozen=True, ser_json_inf_nan="null")


class Query(BaseModel):
    """Parameters after the question mark; unknown ones are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Progress(Answer):
    """How far the training has come."""

    epochs_done: int = Field(description="Epochs whose results are stored, over all runs.")
    epochs: int = Field(description="Epochs there are to do, over all runs.")
    fraction: float = Field(ge=0, le=1)
    eta_seconds: float | None = Field(None, description="Seconds left at the pace so far; null when nobody can tell.")

    @classmethod
    def of(cls, done: int, epochs: int, left: int, seconds: float | None) -> Self:
        """Progress after `done` of `epochs` in so many seconds (None: it does not train), with `left` still to come."""
        eta = round(max(seconds, 0.0) / done * left, 1) if seconds is not None and done > 0 else None
        return cls(epochs_done=done, epochs=epochs, fraction=done / epochs if epochs else 1.0, eta_seconds=eta)


class Problem(BaseModel):
    """What went wrong (RFC 9457)."""

    type: str = Field(description="A path that leads to an explanation of this kind of problem.")
    title: str
    status: int
    detail: str = Field(description="What is wrong with this request.")
    instance: str = Field(description="The path that was asked for.")
    request_id: str = Field(description="Also in the X-Request-ID header and in the server's log.")
    errors: list["ProblemError"] = Field([], description="With status 422: every value that is not possible.")


class ProblemError(BaseModel):
    """One value that is not possible."""

    place: Literal["body", "query", "header", "path", "cookie"] = Field(alias="in")
    pointer: str = Field(description="JSON Pointer (RFC 6901) into the posted document, or to the query parameter.")
    detail: str = Field(description="What is wrong with it, and what would be right.")


def when(seconds: float | None) -> datetime | None:
    """Stored seconds since the epoch as a time in UTC."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def dump(answer: BaseModel) -> bytes:
    """The answer as JSON bytes, the same ones for the same content."""
    return answer.model_dump_json(by_alias=True).encode()
