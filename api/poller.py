"""Waiting for experiments to change: one look at the database for everybody who waits in this process."""

import asyncio
import logging
import math
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, closing, contextmanager, suppress
from uuid import UUID

from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool

from store import experiments
from store.changes import Changes
from store.engine import Database
from store.experiments import Standing
from store.status import FINAL

LOOK_SECONDS = 0.1
SOONEST_SECONDS = 0.003
WAITED_SHARE = 0.02  # of how long the newest has waited: what is short is seen soon, what is long is not disturbed
AWAY_SECONDS = 1.0

log = logging.getLogger("epochd.api")


class Watch:
    """What one who waits knows of an experiment: how it stood at the last look."""

    def __init__(self) -> None:
        self.standing: Standing | None = None
        """None before the first look, and when there is no such experiment any more."""
        self.is_over = False
        """Whether nothing more is to be waited for: it has ended, is gone, or the service stops."""
        self.is_stopping = False
        self._told = asyncio.Event()

    def tell(self, standing: Standing | None, *, is_stopping: bool) -> None:
        """Wake whoever waits if something has changed."""
        is_over = is_stopping or standing is None or standing.status in FINAL
        if (standing, is_over, is_stopping) != (self.standing, self.is_over, self.is_stopping):
            self.standing, self.is_over, self.is_stopping = standing, is_over, is_stopping
            self._told.set()

    async def changed(self, seconds: float) -> bool:
        """Wait until something has changed since the last call, at most so long; return whether it has."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._told.wait()
        has_changed = self._told.is_set()
        self._told.clear()
        return has_changed


class Poller:
    """Looks at the experiments that are watched, all in one query, and rests while there are none.

    It belongs to the event loop it runs in. `is_stopping` says when everybody is to be sent home.
    """

    def __init__(self, database: Database, is_stopping: Callable[[], bool]) -> None:
        self._database = database
        self._is_stopping = is_stopping
        self._watches: defaultdict[UUID, set[Watch]] = defaultdict(set)
        self._somebody_waits = asyncio.Event()
        self._joined_at = -math.inf
        self._must_look = False

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Look for as long as the block lasts."""
        with closing(Changes(self._database)) as changes:
            looking = asyncio.create_task(self._run(changes), name="poller")
            try:
                yield
            finally:
                looking.cancel()

    @contextmanager
    def watch(self, experiment_id: UUID) -> Iterator[Watch]:
        """Watch an experiment for as long as the block lasts."""
        watch = Watch()
        self._watches[experiment_id].add(watch)
        self._joined_at = time.monotonic()
        self._must_look = True
        self._somebody_waits.set()
        try:
            yield watch
        finally:
            self._watches[experiment_id].discard(watch)
            if not self._watches[experiment_id]:
                del self._watches[experiment_id]

    async def until_over(self, experiment_id: UUID, seconds: float) -> None:
        """Wait until the experiment has ended or is gone, or the service stops, at most so long."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        with self.watch(experiment_id) as watch:
            while not watch.is_over and (left := deadline - loop.time()) > 0:
                await watch.changed(left)

    @property
    def watched(self) -> int:
        """How many wait."""
        return sum(map(len, self._watches.values()))

    async def _run(self, changes: Changes) -> None:
        while True:
            await self._somebody_waits.wait()
            if not self._watches:
                self._somebody_waits.clear()
                continue
            try:
                if changes.are_possible() or self._must_look or self._is_stopping():
                    await self._look()
            except SQLAlchemyError as problem:
                log.warning("the database did not answer those who wait: %s", problem)
                self._must_look = True
                await asyncio.sleep(AWAY_SECONDS)
            await asyncio.sleep(self._pause() if changes.is_cheap else LOOK_SECONDS)

    def _pause(self) -> float:
        """Return the seconds until the next look, where looking costs next to nothing."""
        waited = time.monotonic() - self._joined_at
        return min(max(SOONEST_SECONDS, WAITED_SHARE * waited), LOOK_SECONDS)

    async def _look(self) -> None:
        self._must_look = False
        wanted = {experiment_id: list(watches) for experiment_id, watches in self._watches.items()}
        found = await run_in_threadpool(self._read, wanted)
        is_stopping = self._is_stopping()
        for experiment_id, watches in wanted.items():
            for watch in watches:
                watch.tell(found.get(experiment_id), is_stopping=is_stopping)

    def _read(self, wanted: Iterable[UUID]) -> dict[UUID, Standing]:
        with self._database.read() as session:
            return experiments.standings(session, wanted)
