"""What the service says of itself."""

from typing import Literal

from pydantic import Field

from api.schemas.common import Answer


class Health(Answer):
    """The process answers."""

    status: Literal["ok"] = Field("ok", description="Always ok.")


class Readiness(Answer):
    """Everything needed to take and train experiments is there."""

    status: Literal["ready"] = Field("ready", description="Always ready: what is missing is a problem with status 503.")
    workers: int


class Version(Answer):
    """Which epochd this is, and what it stands on."""

    version: str
    python: str
    torch: str
