"""Waiting for experiments to change: one look at the database for everybody who waits in this process."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, closing, contextmanager, nullcontext, suppress
from pathlib import Path
from uuid import UUID

from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool

from store import experiments
from store.changes import Changes
from store.engine import Database
from store.experiments import Standing
from store.status import FINAL
from worker.bell import Bell

LOOK_SECONDS = 0.1
APART_SECONDS = 0.005  # one look from the next, however often somebody writes
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

    It belongs to the event loop it runs in. `is_stopping` says when everybody is to be sent home. With the embedded
    database it looks when somebody rings the bell that it has in `folder`, and in case a ring was lost now and then.
    """

    def __init__(self, database: Database, is_stopping: Callable[[], bool], folder: Path) -> None:
        self._database = database
        self._is_stopping = is_stopping
        self._folder = folder
        self._watches: defaultdict[UUID, set[Watch]] = defaultdict(set)
        self._wake = asyncio.Event()
        self._must_look = False

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Look for as long as the block lasts."""
        with closing(Changes(self._database)) as changes, self._listening() if changes.is_cheap else nullcontext():
            looking = asyncio.create_task(self._run(changes), name="poller")
            try:
                yield
            finally:
                looking.cancel()

    @contextmanager
    def _listening(self) -> Iterator[None]:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            bell = Bell(self._folder)
        except OSError as problem:
            log.warning("no bell in %s: who waits is told up to %g s late: %s", self._folder, LOOK_SECONDS, problem)
            yield
            return
        loop = asyncio.get_running_loop()
        loop.add_reader(bell.fileno(), self._hear, bell)
        try:
            yield
        finally:
            loop.remove_reader(bell.fileno())
            bell.close()

    def _hear(self, bell: Bell) -> None:
        bell.wait(0)
        self._wake.set()

    @contextmanager
    def watch(self, experiment_id: UUID) -> Iterator[Watch]:
        """Watch an experiment for as long as the block lasts."""
        watch = Watch()
        self._watches[experiment_id].add(watch)
        self._must_look = True
        self._wake.set()
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
            await self._woken()
            if not self._watches:
                continue
            try:
                if changes.are_possible() or self._must_look or self._is_stopping():
                    await self._look()
            except SQLAlchemyError as problem:
                log.warning("the database did not answer those who wait: %s", problem)
                self._must_look = True
                await asyncio.sleep(AWAY_SECONDS)
            await asyncio.sleep(APART_SECONDS)

    async def _woken(self) -> None:
        """Wait until somebody has come or rung, and while somebody waits not for long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(LOOK_SECONDS if self._watches else None):
                await self._wake.wait()
        self._wake.clear()

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
