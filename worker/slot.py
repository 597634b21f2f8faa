"""A slot: one Celery worker with one training child. It trains one job at a time and holds nothing that cannot be lost.

The parent receives hints and says that it is alive; it never touches torch or, before the fork, the database. The child
trains. When either goes, so does the other, and whoever started the slot starts it again.
"""

import gc
import logging
import os
import socket
import time
from collections.abc import Callable
from threading import Event

from celery import Celery
from celery.worker import state
from sqlalchemy.exc import SQLAlchemyError

from store import jobs, workers
from store.engine import Database, make_engine
from worker import allocator
from worker.broker import TASK
from worker.lifeline import GONE, Tether, end_with
from worker.pulse import beat
from worker.settings import WorkerSettings

logger = logging.getLogger(__name__)

NICENESS = 10
"""Of the training: who asks the service something while all cores train is answered first."""

READY = b"ready"
HANG_LEASES = 3  # so many leases without a job make a child at work one that hangs; waiting for a claim takes less
CHILD_LOST = 70  # exit status of a slot that lost its child


class Slot:
    """The state of a slot on both sides of the fork."""

    def __init__(self, settings: WorkerSettings, app: Celery) -> None:
        self._settings = settings
        self._app = app
        self._hostname = socket.gethostname()
        self.name = f"{settings.slot or os.getpid()}@{self._hostname}"
        self._threads = settings.threads_or_cores
        self._tether = Tether()
        self._leaving = Event()  # set in the parent when it was told to stop, and then in the child
        self._database: Database | None = None
        self._held_at = time.monotonic()  # when the child last held a job, or had no reason to

    # before the fork

    def release_predecessor(self) -> None:
        """Give back the job that an earlier process of this name held, without waiting for its lease to run out."""
        if self._settings.slot is None:
            return
        database = Database(make_engine(self._settings.url))
        try:
            self._release(database, self._settings.predecessor)
        except SQLAlchemyError as problem:
            logger.warning("what %s held is given back when its lease runs out: %s", self.name, problem)
        finally:
            database.dispose()  # the child must not inherit a connection

    def _release(self, database: Database, reason: str) -> None:
        with database.write() as session:
            released = jobs.release_worker(session, self.name, reason, max_crashes=self._settings.max_crashes)
            workers.forget(session, self.name)  # until a child can train again
        for job in released:
            logger.warning("gave back job %s: %s", job, reason)

    # in the child

    def enter_child(self) -> None:
        """Make ready to train; a child that cannot ends, and the slot with it."""
        if self._tether.is_taken:
            os._exit(CHILD_LOST)  # Celery replaces a dead child, but the pipes of this pool may be in any state
        try:
            self._tether.enter_child(self._leaving.set)
            end_with(self._settings.lifeline)
            self._database = Database(make_engine(self._settings.url))
            start = time.perf_counter()
            allocator.keep_freed()
            os.nice(NICENESS)  # before there are threads, which inherit it
            from worker import execution  # torch comes with it, once and before the first claim

            execution.start(self._settings.card)
            gc.freeze()  # what has been imported stays: looking through it again and again cost a sweep a tenth
            seconds = time.perf_counter() - start
            logger.info("slot %s is ready to train on %s (%.1f s)", self.name, self._settings.trains_on, seconds)
            self._tether.tell_parent(READY)
        except BaseException:
            logger.exception("slot %s cannot train", self.name)
            os._exit(CHILD_LOST)

    def work(self) -> None:
        """Train what there is, in the child."""
        from worker.execution import Trainer

        if self._database is None:
            raise RuntimeError("a slot works in its child only")
        Trainer(self._database, self._settings, self.name, self._threads, self._leaving).work()
        allocator.give_back()  # who waits needs no memory

    # in the parent

    def leave(self) -> None:
        """Have the child put down its work and leave; called in a signal handler."""
        self._leaving.set()
        self._tether.ask_to_leave()

    def enter_parent(self) -> None:
        """Let go of the child's end of what ties the two together."""
        self._tether.enter_parent()

    def watch(self, how_it_ended: Callable[[], str]) -> None:
        """Say that the slot is alive once it can train and until its child is gone.

        Ends the process when the child should not have gone.
        """
        database = Database(make_engine(self._settings.url))
        is_ready = False
        while (word := self._tether.hear_child(self._settings.heartbeat_seconds)) != GONE:
            if word == READY:
                is_ready = True
                self._ask_for_work()
            if is_ready:
                self._heartbeat(database)
            if self._hangs(database):
                self._end(database, "gave no sign of life")
        if not self._leaving.is_set():
            self._end(database, how_it_ended())
        self._forget(database)

    def _ask_for_work(self) -> None:
        """Publish a hint: what was given back, or submitted while no slot was there, may have none."""
        for queue in self._settings.queues:
            try:
                self._app.send_task(TASK, queue=queue)
            except Exception as problem:
                logger.warning("no hint at the start, the janitor will publish one: %s", problem)

    def _heartbeat(self, database: Database) -> None:
        try:
            with database.write() as session:
                workers.heartbeat(
                    session,
                    name=self.name,
                    pid=os.getpid(),
                    hostname=self._hostname,
                    queues=self._settings.queues,
                    device=self._settings.trains_on,
                    card_memory=None if self._settings.card is None else self._settings.card.memory,
                    threads=self._threads,
                )
        except SQLAlchemyError as problem:
            logger.warning("slot %s could not say that it is alive: %s", self.name, problem)
        else:
            beat(self._settings.pulse)

    def _hangs(self, database: Database) -> bool:
        """Whether the child has long been at work without holding a job: its lease ran out, and it did not notice."""
        if not state.active_requests or self._holds_a_job(database):
            self._held_at = time.monotonic()
        return time.monotonic() - self._held_at > HANG_LEASES * self._settings.lease_seconds

    def _holds_a_job(self, database: Database) -> bool:
        try:
            with database.read() as session:
                return self.name in jobs.holders(session)
        except SQLAlchemyError:
            return True  # a child that waits for the database does not hang

    def _end(self, database: Database, end: str) -> None:
        reason = f"its training process {end}"
        logger.error("slot %s ends, to be started again: %s", self.name, reason)
        try:
            self._release(database, reason)
        except SQLAlchemyError as problem:
            logger.warning("the job is given back when its lease runs out: %s", problem)
        os._exit(CHILD_LOST)  # Celery's own way out would wait for a pool that may hang

    def _forget(self, database: Database) -> None:
        try:
            with database.write() as session:
                workers.forget(session, self.name)
        except SQLAlchemyError as problem:
            logger.warning("slot %s could not sign off: %s", self.name, problem)
        database.dispose()
