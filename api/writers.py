"""The threads that write: a few, so that many who submit at once leave those who only read the other threads."""

from collections.abc import Callable
from typing import Final, ParamSpec, TypeVar

from anyio import CapacityLimiter, to_thread
from sqlalchemy.orm import Session

from store.engine import Database

P = ParamSpec("P")
T = TypeVar("T")

THREADS: Final = 4
"""A database file has one writer at a time; the others would only wait for it, each in a thread of the 40 there are."""


class Writers:
    """Runs what writes to a database, so much at a time and the rest in the order in which it came."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._limiter = CapacityLimiter(THREADS)

    async def write(self, change: Callable[[Session], T]) -> T:
        """Make a change as one transaction; what it returns is returned once it is committed."""
        return await self.run(self._write, change)

    def _write(self, change: Callable[[Session], T]) -> T:
        with self._database.write() as session:
            return change(session)

    async def run(self, write: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run it in a thread once there is one."""
        return await to_thread.run_sync(lambda: write(*args, **kwargs), limiter=self._limiter)
