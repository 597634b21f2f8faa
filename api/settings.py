"""What can be set about the API: environment variables with the prefix EPOCHD_."""

from pydantic import Field

from worker.settings import WorkerSettings


class ApiSettings(WorkerSettings):
    """Limits of the HTTP interface, beside where the data are and where hints go."""

    max_body_bytes: int = Field(1024 * 1024, ge=1024, description="Largest request body.")
    worker_seen_seconds: float = Field(15.0, gt=0, description="A worker counts as live this long after its heartbeat.")
