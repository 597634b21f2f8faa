"""What the service says of itself."""

from typing import Literal

from api.schemas.common import Answer


class Health(Answer):
    """The process answers."""

    status: Literal["ok"] = "ok"


class Readiness(Answer):
    """Everything needed to take and train experiments is there."""

    status: Literal["ready"] = "ready"
    workers: int


class Version(Answer):
    """Which epochd this is, and what it stands on."""

    version: str
    python: str
    torch: str
