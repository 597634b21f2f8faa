"""The application: built by a factory, with nothing opened before its lifespan begins."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

from fastapi import FastAPI
from fastapi_offline import FastAPIOffline

from api import openapi, problems
from api.callers import Callers
from api.dependencies import State
from api.head import HeadAsGet
from api.metrics import Measured, Metrics
from api.poller import Poller
from api.request_ids import RequestIds
from api.routes import (
    compare,
    concepts,
    events,
    experiments,
    predictions,
    presets,
    queue,
    results,
    runs,
    session,
    system,
    variants,
)
from api.security_headers import SecurityHeaders
from api.settings import ApiSettings
from api.trusted_hosts import TrustedHosts
from api.version import VERSION
from api.writers import Writers
from store.engine import Database, make_engine
from worker.broker import Publisher, make_app

ROUTES: Final = (
    experiments,
    events,
    presets,
    runs,
    results,
    predictions,
    compare,
    variants,
    concepts,
    queue,
    session,
    system,
)
"""In the order of the document."""


def create_app(settings: ApiSettings | None = None, is_stopping: Callable[[], bool] = lambda: False) -> FastAPI:
    """Build the API; without settings, those of the environment. The database is opened when the app starts.

    `is_stopping` is asked now and then; once it says so, those who wait get their answer, and streams end.
    """
    chosen = settings or ApiSettings()

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[State]:
        database = Database(make_engine(chosen.url))
        publisher = Publisher(make_app(chosen))
        poller = Poller(database, is_stopping, chosen.waiting_folder)
        try:
            async with poller.running():
                metrics = Metrics(database, lambda: poller.watched)
                yield State(
                    database=database,
                    publisher=publisher,
                    poller=poller,
                    metrics=metrics,
                    writers=Writers(database),
                    settings=chosen,
                )
        finally:
            publisher.close()
            database.dispose()

    app = FastAPIOffline(
        redoc_url=None,
        redirect_slashes=False,  # one address for one thing
        title=openapi.TITLE,
        summary=openapi.SUMMARY,
        description=openapi.DESCRIPTION,
        version=VERSION,
        openapi_tags=openapi.TAGS,
        generate_unique_id_function=openapi.operation_id,
        lifespan=lifespan,
    )
    problems.install(app)
    app.add_middleware(Callers)  # the innermost: what is added later is passed first
    app.add_middleware(TrustedHosts, names=chosen.trusted_hosts)
    app.add_middleware(Measured)
    app.add_middleware(HeadAsGet)
    app.add_middleware(SecurityHeaders)
    app.add_middleware(RequestIds)
    for module in ROUTES:
        app.include_router(module.router)
    openapi.install(app)
    return app
