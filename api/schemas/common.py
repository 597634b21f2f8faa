"""What the answers have in common."""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

Time = Annotated[datetime, Field(description="RFC 3339, in UTC.")]
Number = Annotated[float | None, Field(description="null when it was not measured, or is not a finite number.")]


class Answer(BaseModel):
    """A model that goes out; NaN and infinity become null."""

    model_config = ConfigDict(frozen=True, ser_json_inf_nan="null")


class Query(BaseModel):
    """Parameters after the question mark; unknown ones are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def _apart(given: Any) -> Any:  # noqa: ANN401  whatever a query holds
    """Take `a,b` for `a` and `b`, beside the parameter repeated."""
    if not isinstance(given, list):
        return given
    parts = [part.strip() for one in given for part in (one.split(",") if isinstance(one, str) else [one])]
    if "" in parts:
        raise ValueError("has an empty name; separate names by single commas, or leave the parameter out")
    return parts


def _once(names: list[str]) -> list[str]:
    repeated = next((name for name in names if names.count(name) > 1), None)
    if repeated is not None:
        raise ValueError(f"names {repeated} twice")
    return names


Apart = BeforeValidator(_apart)
"""A list in a query whose entries may be separated by commas."""
Once = AfterValidator(_once)
"""A list that names nothing twice."""


class Progress(Answer):
    """How far the training has come."""

    epochs_done: int = Field(description="Epochs whose results are stored, over all runs; reused ones too.")
    epochs: int = Field(description="Epochs there are to do, over all runs.")
    fraction: float = Field(ge=0, le=1)
    eta_seconds: float | None = Field(None, description="Seconds left at the pace so far; null when nobody can tell.")


class Problem(BaseModel):
    """What went wrong (RFC 9457)."""

    type: str = Field(description="A path that leads to an explanation of this kind of problem.")
    title: str
    status: int = Field(description="The HTTP status of the answer.")
    detail: str = Field(description="What is wrong with this request.")
    instance: str = Field(description="The path that was asked for.")
    request_id: str = Field(description="Also in the X-Request-ID header and in the server's log.")
    errors: list["ProblemError"] = Field([], description="With status 422: every value that is not possible.")


class ProblemError(BaseModel):
    """One value that is not possible."""

    place: Literal["body", "query", "header", "path", "cookie"] = Field(alias="in")
    pointer: str = Field(description="JSON Pointer (RFC 6901) into the posted document, or to the query parameter.")
    detail: str = Field(description="What is wrong with it, and what would be right.")


def eta_seconds(left: int, trained: int, seconds: float) -> float | None:
    """How long the epochs left take at the pace of those trained in so many seconds; None before the first."""
    return round(max(seconds, 0.0) / trained * left, 1) if trained else None


def when(seconds: float | None) -> datetime | None:
    """Stored seconds since the epoch as a time in UTC."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def dump(answer: BaseModel) -> bytes:
    """The answer as JSON bytes, the same ones for the same content."""
    return answer.model_dump_json(by_alias=True).encode()
