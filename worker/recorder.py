"""Stores what a training yields: often enough to watch and stop it, seldom enough to cost next to nothing."""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, TypeVar
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.orm import Session

from mlcore.training import EpochReport
from store import checkpoints, curves, flushes, jobs, runs, splitting
from store.checkpoints import NewCheckpoint
from store.curves import Segment
from store.engine import Database
from store.jobs import Claim, ClaimedRun
from store.status import FINAL, Status
from worker.bell import ring
from worker.settings import WorkerSettings
from worker.summaries import Summaries

logger = logging.getLogger(__name__)

PATIENCE_SECONDS = 60.0  # how long a write that cannot wait is tried again while the database is away
RETRY_SECONDS = 0.2
USUAL_SPEED = 100e6  # bytes of a state packed and stored in a second, until it has been measured
USUAL_COST = 100e-6  # seconds to store a run's epochs, until it has been measured
LOWEST_SPEED = 10e6  # what a lease allows for
DatabaseAway = (OperationalError, InterfaceError)

T = TypeVar("T")


@dataclass(frozen=True)
class Kept:
    """Weights that stay readable; `kind` is "last", "best" or "epoch"."""

    run: ClaimedRun
    kind: checkpoints.Kind
    epoch: int
    data: bytes


@dataclass(frozen=True)
class Ended:
    """How a run ended."""

    run: ClaimedRun
    status: Status
    error: dict[str, Any] | None = None


@dataclass
class Recorder:
    """Keeps the reports of one claimed job until it is time for one short transaction.

    Every write raises LeaseLost when the job is held by somebody else by now, or by nobody. A database that is away
    costs nothing but time: reports are kept until it is back, while the training goes on.
    """

    database: Database
    claim: Claim
    settings: WorkerSettings
    live: dict[int, ClaimedRun] = field(init=False)
    _summaries: Summaries = field(init=False)
    _reports: list[EpochReport] = field(init=False, default_factory=list)
    _flush_at: float = field(init=False)
    _renew_at: float = field(init=False)
    _look_at: float = field(init=False)
    _state_epoch: int = field(init=False, default=0)
    _state_at: float = field(init=False, default_factory=time.monotonic)
    _state_cost: float = field(init=False, default=0.0)

    def __post_init__(self) -> None:
        self.live = {run.index: run for run in self.claim.runs if run.status not in FINAL}
        self._stored_epochs = np.array([run.stored_epoch for run in self.claim.runs])
        self._summaries = Summaries(len(self.claim.runs))
        just_stored = time.monotonic() - self.settings.flush_seconds  # few runs store their first epoch at once
        self._schedule(just_stored, len(self.claim.runs) * USUAL_COST)

    def take_up(self) -> None:
        """Take in what earlier claims stored; of many runs that takes long, so the lease is renewed meanwhile."""
        resumed = [run for run in self.live.values() if run.stored_epoch]
        for start in range(0, len(resumed), curves.CURVES_AT_ONCE):
            by_id = {run.run_id: run.index for run in resumed[start : start + curves.CURVES_AT_ONCE]}
            with self.database.read() as session:
                found = curves.tails(session, dict.fromkeys(by_id, 0))
            for run_id, curve in found.items():
                self._summaries.add_stored(by_id[run_id], curve)
            self.look()

    def add(self, report: EpochReport) -> list[ClaimedRun]:
        """Keep a report and store what there is when it is time; returns the live runs whose cancel was asked for."""
        if report.evaluated:
            self._reports.append(report)
        return self.look()

    def look(self) -> list[ClaimedRun]:
        """Store, renew the lease or look for cancels, whichever it is time for; returns the runs to cancel."""
        now = time.monotonic()
        try:
            if now >= (self._flush_at if self._reports else self._renew_at):
                return self._live(self._once(self._write))
            if now >= self._look_at:
                return self._live(self._cancels_asked())
        except DatabaseAway as problem:
            self._flush_at = self._renew_at = time.monotonic() + RETRY_SECONDS
            self._look_at = now + self.settings.contact_seconds
            logger.warning("job %s goes on while the database is away: %s", self.claim.job_id, problem.orig)
        return []

    def store(self, kept: Sequence[Kept] = (), ended: Sequence[Ended] = ()) -> list[ClaimedRun]:
        """Store all there is, checkpoints and ends of runs included, as one transaction; returns the runs to cancel."""

        def write(session: Session) -> set[UUID]:
            asked = self._write(session, sum(len(each.data) for each in kept))
            if kept:
                new = [NewCheckpoint(each.run.run_id, each.kind, each.epoch, each.data) for each in kept]
                checkpoints.put_all(session, self.claim, new)
            if ended:
                runs.finish_all(session, self.claim, [self._outcome(each) for each in ended])
            return asked

        asked = self._surely(write)
        for each in ended:
            del self.live[each.run.index]
        return self._live(asked)

    def expect_states_of(self, n_bytes: int) -> None:
        """Guess what a resume state of this size will cost."""
        self._state_cost = n_bytes / USUAL_SPEED

    def state_is_due(self) -> bool:
        """Whether the resume state of the job is old enough to be worth another."""
        age = time.monotonic() - self._state_at
        return age >= max(self.settings.checkpoint_seconds, self._state_cost / self.settings.checkpoint_share)

    def store_state(self, epoch: int, to_bytes: Callable[[], bytes]) -> list[ClaimedRun]:
        """Store the state to resume from after `epoch`, all epochs up to it before that; returns the runs to cancel."""
        if epoch == self._state_epoch:
            return []
        start = time.monotonic()

        def write(session: Session) -> set[UUID]:
            asked = self._write(session, len(data))
            checkpoints.put(session, self.claim, run_id=None, kind="state", epoch=epoch, data=data)
            return asked

        data = to_bytes()
        asked: set[UUID] = set()
        try:
            asked = self._once(write)
            self._state_epoch = epoch
        except DatabaseAway as problem:
            logger.warning("no resume state of job %s while the database is away: %s", self.claim.job_id, problem.orig)
        self._state_at = time.monotonic()
        self._state_cost = self._state_at - start
        return self._live(asked)

    def give_back(self, reason: str) -> None:
        """Store all there is and give the job back to the queue."""

        def write(session: Session) -> None:
            self._write(session)
            jobs.give_back(session, self.claim, reason)

        self._surely(write)

    def split(self, reason: str) -> None:
        """Store all there is and queue the unfinished runs again as two jobs."""

        def write(session: Session) -> None:
            self._write(session)
            splitting.split(session, self.claim, reason)

        self._surely(write)

    def _write(self, session: Session, n_bytes: int = 0) -> set[UUID]:
        """Store the reports, renew the lease for as long as `n_bytes` more may take to write, and learn of cancels."""
        lease_seconds = self.settings.lease_seconds + n_bytes / LOWEST_SPEED
        return flushes.write(session, self.claim, self._take_in(), lease_seconds)

    def _outcome(self, ended: Ended) -> runs.Outcome:
        summary = self._summaries.of(ended.run.index)
        result_key = ended.run.result_key if ended.status is Status.SUCCEEDED else None
        return runs.Outcome(ended.run.run_id, ended.status, summary, ended.error, result_key)

    def _cancels_asked(self) -> set[UUID]:
        with self.database.read() as session:
            asked = runs.cancels_asked(session, self.claim.job_id)
        self._look_at = time.monotonic() + self.settings.contact_seconds
        return asked

    def _live(self, asked: set[UUID]) -> list[ClaimedRun]:
        return [run for run in self.live.values() if run.run_id in asked]

    def _take_in(self) -> list[Segment]:
        """Turn the reports into segments and summarize them; doing so again, when a write failed, changes nothing."""
        if not self._reports:
            return []
        epochs = np.array([report.epoch for report in self._reports], np.int64)
        values = _by_run(self._reports, len(self.claim.runs))
        if self._stored_epochs.any():
            is_old = epochs <= self._stored_epochs[:, None]
            for matrix in values.values():
                matrix[is_old] = np.nan
        self._summaries.add(epochs, values)
        return [
            Segment(run.run_id, epochs, {name: matrix[run.index] for name, matrix in values.items()}).after(
                run.stored_epoch
            )
            for run in self.live.values()
        ]

    def _once(self, write: Callable[[Session], T]) -> T:
        """Run a write that includes `_write`; raises DatabaseAway."""
        start = time.monotonic()
        with self.database.write() as session:
            result = write(session)
        ring(self.settings.waiting_folder)
        self._reports.clear()
        end = time.monotonic()
        self._schedule(end, end - start)
        return result

    def _schedule(self, stored_at: float, cost: float) -> None:
        """Say when to store again, renew the lease and look for cancels, after a write that took so many seconds."""
        spacing = max(self.settings.flush_seconds, cost / self.settings.flush_share)
        self._renew_at = stored_at + self.settings.renewal_seconds
        self._flush_at = min(stored_at + spacing, self._renew_at)
        self._look_at = stored_at + self.settings.contact_seconds

    def _surely(self, write: Callable[[Session], T]) -> T:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                return self._once(write)
            except DatabaseAway as problem:
                if time.monotonic() > deadline:
                    raise
                logger.warning("job %s waits for the database: %s", self.claim.job_id, problem.orig)
            time.sleep(RETRY_SECONDS)


def _by_run(reports: Sequence[EpochReport], n_runs: int) -> dict[str, NDArray[np.float64]]:
    """Return each metric as [runs, epochs]; NaN where an epoch did not measure it."""
    metrics = [report.metrics for report in reports]
    absent = np.full(n_runs, np.nan)
    names = dict.fromkeys(chain.from_iterable(dict.fromkeys(map(tuple, metrics))))
    in_order = {name: np.concatenate([of_epoch.get(name, absent) for of_epoch in metrics]) for name in names}
    return {name: values.reshape(-1, n_runs).T.copy() for name, values in in_order.items()}
