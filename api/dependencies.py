"""What routes ask for, as annotated types; everything comes from the state that the lifespan yields."""

from typing import Annotated, Any, TypedDict, cast

from fastapi import Depends, Request

from api.callers import Caller
from api.metrics import Metrics
from api.poller import Poller
from api.settings import ApiSettings
from api.writers import Writers
from store.engine import Database
from worker.broker import Publisher


class State(TypedDict):
    """What one running API holds from start to end."""

    database: Database
    publisher: Publisher
    poller: Poller
    metrics: Metrics
    writers: Writers
    settings: ApiSettings


async def _caller(request: Request) -> Caller:
    return cast("Caller", request.state.caller)


async def _owner(request: Request) -> str | None:
    return (await _caller(request)).sees


async def _database(request: Request) -> Database:
    return cast("Database", request.state.database)


async def _publisher(request: Request) -> Publisher:
    return cast("Publisher", request.state.publisher)


async def _poller(request: Request) -> Poller:
    return cast("Poller", request.state.poller)


async def _writers(request: Request) -> Writers:
    return cast("Writers", request.state.writers)


async def _metrics(request: Request) -> Metrics:
    return cast("Metrics", request.state.metrics)


async def _settings(request: Request) -> ApiSettings:
    return cast("ApiSettings", request.state.settings)


async def _posted(request: Request) -> dict[str, Any]:
    return cast("dict[str, Any]", await request.json()) if await request.body() else {}


CallerOf = Annotated[Caller, Depends(_caller)]
DatabaseOf = Annotated[Database, Depends(_database)]
PublisherOf = Annotated[Publisher, Depends(_publisher)]
PollerOf = Annotated[Poller, Depends(_poller)]
WritersOf = Annotated[Writers, Depends(_writers)]
MetricsOf = Annotated[Metrics, Depends(_metrics)]
SettingsOf = Annotated[ApiSettings, Depends(_settings)]
Owner = Annotated[str | None, Depends(_owner)]
"""Whose things this request may see; None: everybody's."""
Posted = Annotated[dict[str, Any], Depends(_posted)]
"""The body as it was posted, once it has been found valid."""
