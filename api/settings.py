"""What can be set about the API: environment variables with the prefix EPOCHD_."""

from typing import Annotated

from pydantic import BeforeValidator, Field
from pydantic_settings import NoDecode

from worker.settings import WorkerSettings


def _listed(value: object) -> object:
    return [name for part in value.split(",") if (name := part.strip())] if isinstance(value, str) else value


class ApiSettings(WorkerSettings):
    """Limits of the HTTP interface, beside where the data are and where hints go."""

    max_body_bytes: int = Field(1024 * 1024, ge=1024, description="Largest request body.")
    max_image_body_bytes: int = Field(2 * 1024 * 1024, ge=1024, description="Largest request body with images.")
    trusted_hosts: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_listed)] = Field(
        (), description="Host names to answer to, with commas, such as `lab.example.org,*.example.org`."
    )
    max_queued_runs: int = Field(100_000, ge=1, description="So many runs of one owner may wait at a time.")
    worker_seen_seconds: float = Field(15.0, gt=0, description="A worker counts as live this long after its heartbeat.")
