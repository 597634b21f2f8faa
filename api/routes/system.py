"""What the service says of itself: alive, ready, its version, and what its problems mean."""

import html
import platform
import re
from functools import cache
from importlib.metadata import PackageNotFoundError, version

from fastapi import APIRouter, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from sqlalchemy.exc import OperationalError

from api import problem_kinds as kinds
from api.dependencies import DatabaseOf, MetricsOf, PublisherOf, SettingsOf
from api.problem_kinds import Kind
from api.problems import Problem
from api.responses import problems
from api.schemas import system
from api.version import VERSION
from store import workers
from store.engine import Database
from store.schema import is_current

router = APIRouter(tags=["service"])

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>body{{font:1rem/1.5 system-ui,sans-serif;max-width:40rem;margin:3rem auto;padding:0 1rem}}</style></head>
<body><h1>{title}</h1>{body}
<p><a href="/docs">All addresses</a> · <a href="/problems">All problems</a></p></body></html>
"""


@router.get("/healthz")
def get_health() -> system.Health:
    """Whether this process answers."""
    return system.Health()


@router.get("/readyz", responses=problems(kinds.not_ready))
def get_readiness(database: DatabaseOf, publisher: PublisherOf, settings: SettingsOf) -> system.Readiness:
    """Whether experiments are taken and trained; a 503 names what is missing."""
    missing, live = _missing(database, settings.worker_seen_seconds)
    if not publisher.is_broker_there():
        missing.append("the broker, which does not answer")
    if missing:
        raise Problem(kinds.not_ready, f"Missing: {'; '.join(missing)}.")
    return system.Readiness(workers=live)


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"content": {CONTENT_TYPE_LATEST: {"schema": {"type": "string"}}}}},
)
def get_metrics(metrics: MetricsOf) -> Response:
    """Requests, the queue, runs, epochs and workers, in the text format that Prometheus reads."""
    return Response(generate_latest(metrics.registry), headers={"Content-Type": CONTENT_TYPE_LATEST})


@router.get("/version")
def get_version() -> system.Version:
    """The version of epochd, of Python and of PyTorch."""
    return system.Version(version=VERSION, python=platform.python_version(), torch=_torch())


@router.get("/problems", include_in_schema=False)
def list_problems() -> HTMLResponse:
    """All kinds of problems there are."""
    rows = [f'<li><a href="/problems/{kind.slug}">{kind.status}: {kind.title}</a></li>' for kind in kinds.ALL]
    return _page("Problems", f"<ul>{''.join(rows)}</ul>")


@router.get("/problems/{slug}", include_in_schema=False)
def get_problem(slug: str) -> HTMLResponse:
    """What a kind of problem means: where the `type` of a problem document leads."""
    if slug not in kinds.BY_SLUG:
        raise Problem(kinds.not_found, "There is no such kind of problem; /problems lists them.")
    kind = kinds.BY_SLUG[slug]
    return _page(f"{kind.title} ({kind.status})", _explained(kind))


@router.get("/", include_in_schema=False)
def get_root() -> RedirectResponse:
    """Lead people who come by to the documentation."""
    return RedirectResponse("/docs")


def _missing(database: Database, worker_seconds: float) -> tuple[list[str], int]:
    """What is missing, one thing after the other: without a database there is no telling the rest."""
    try:
        if not is_current(database.engine):
            return ["the current schema in the database (its migrations have to be run)"], 0
        with database.read() as session:
            live = len(workers.live(session, worker_seconds))
    except OperationalError:
        return ["the database, which does not answer"], 0
    return ([] if live else ["a live worker"]), live


def _explained(kind: Kind) -> str:
    text = re.sub("`(.+?)`", r"<code>\1</code>", html.escape(kind.explanation))
    return f"<p>{text}</p><p><code>/problems/{kind.slug}</code></p>"


def _page(title: str, body: str) -> HTMLResponse:
    return HTMLResponse(_PAGE.format(title=html.escape(title), body=body))


@cache
def _torch() -> str:
    try:
        return version("torch")
    except PackageNotFoundError:
        return "not installed"
