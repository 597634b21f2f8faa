"""How the processes of the service log: lines for people, or a JSON object per line for programs."""

import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, Final, Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

CHATTY: Final = ("celery", "kombu", "alembic", "httpx2")

_context: ContextVar[Mapping[str, str]] = ContextVar("log_context", default={})  # noqa: B039  never written to


class LogSettings(BaseSettings):
    """How to log."""

    model_config = SettingsConfigDict(env_prefix="EPOCHD_", extra="ignore")

    log_format: Literal["console", "json"] = Field("console", description="Lines for people, or JSON for programs.")


@contextmanager
def log_context(**fields: object) -> Iterator[None]:
    """Have every line that is logged in this block say these fields; None is left out."""
    told = {name: str(value) for name, value in fields.items() if value is not None}
    token = _context.set({**_context.get(), **told})
    try:
        yield
    finally:
        _context.reset(token)


class ConsoleFormatter(logging.Formatter):
    """A line with its time, the name of its process, and what it belongs to."""

    def __init__(self, process: str) -> None:
        super().__init__(f"%(asctime)s %(levelname)s {process}: %(message)s%(context)s")

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        record.context = "".join(f" {name}={value}" for name, value in _context.get().items())
        return super().format(record)


class JsonFormatter(logging.Formatter):
    """A JSON object; what was logged with `extra={"fields": {…}}` has fields of its own."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        said: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "process": self._process,
            "logger": record.name,
            "message": record.getMessage(),
            **_context.get(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            said["exception"] = self.formatException(record.exc_info)
        return json.dumps(said, ensure_ascii=False, default=str)


def configure_logging(process: str, settings: LogSettings | None = None) -> None:
    """Log to stderr under this name of the process; without settings, as the environment says."""
    chosen = settings or LogSettings()
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter(process) if chosen.log_format == "json" else ConsoleFormatter(process))
    logging.basicConfig(handlers=[handler], level=logging.INFO, force=True)
    for chatty in CHATTY:
        logging.getLogger(chatty).setLevel(logging.WARNING)
