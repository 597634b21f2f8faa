"""An experiment as the API answers with it, wherever it was submitted, looked at or changed."""

from collections.abc import Mapping
from typing import Final

from fastapi import Response
from sqlalchemy.orm import Session

from api.schemas import common
from api.schemas.experiments import Experiment, full
from api.settings import ApiSettings
from store import tables
from store.clock import read_clock
from store.queue import place

POLL_SECONDS: Final = "1"
"""When to look again, for clients that do."""


def shown(session: Session, row: tables.Experiment, settings: ApiSettings) -> Experiment:
    """The experiment as it is now, and while something of it waits, where in the queue and why."""
    waiting = place(session, row.id, worker_seconds=settings.worker_seen_seconds) if row.queued else None
    return full(row, read_clock(session), waiting)


def answered(experiment: Experiment, status: int, headers: Mapping[str, str] | None = None) -> Response:
    """An experiment that was made or changed, with where to follow it."""
    again = {"Retry-After": POLL_SECONDS} if status == 202 else {}
    said = {"Location": experiment.links.self, **again, **(headers or {})}
    return Response(common.dump(experiment), status, said, "application/json")
