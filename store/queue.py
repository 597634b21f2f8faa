"""Where an experiment stands in the queue, when its turn comes, and why it waits."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from uuid import UUID

import numpy as np
from sqlalchemy import bindparam, func, select
from sqlalchemy.orm import Session

from store import jobs, workers
from store.clock import database_now
from store.paging import AnyRow
from store.positions import position_query
from store.statements import rows
from store.status import Status
from store.tables import Job, Run

MEASURED_JOBS = 20
SHORTEST_SECONDS = 0.001

# Built once: that takes as long as executing it.
_RUNNING = (
    select(
        Job.worker,
        Job.claims,
        (database_now() - Job.started_at).label("seconds"),
        func.max(Run.epochs_done).label("epochs_done"),
        func.max(Run.epochs).label("epochs"),
    )
    .join(Run, Run.job_id == Job.id)
    .where(Job.status == Status.RUNNING, Run.status == Status.RUNNING)
    .group_by(Job.id, Job.worker, Job.claims, Job.started_at)
)
"""Of each running job: its worker, claims, the seconds since it started, and the epochs of its stack."""
_TOOK = (
    select(Job.finished_at - Job.started_at)
    .where(
        Job.queue == bindparam("queue"),
        Job.finished_at.is_not(None),
        Job.status == Status.SUCCEEDED,
        Job.claims == 1,
    )
    .order_by(Job.finished_at.desc())
    .limit(MEASURED_JOBS)
)
"""How long the last jobs of a queue took that were not interrupted: what was, has the waiting in its time."""


@dataclass(frozen=True)
class QueuePlace:
    """The place of a queued job: position 1 is claimed next.

    `workers` live ones take jobs from its queue, and `idle` of them hold none now. `eta_seconds` is how long it still
    waits; None when nobody can tell.
    """

    queue: str
    position: int
    workers: int
    idle: int
    eta_seconds: float | None

    @property
    def reason(self) -> str | None:
        """Why no worker takes it at once."""
        if not self.workers:
            needs = " It needs a worker on a machine with a card that torch can use." if self.queue == "gpu" else ""
            return f"No live worker takes jobs from the queue {self.queue}.{needs}"
        ahead = "1 job goes" if self.position == 2 else f"{self.position - 1} jobs go"
        if self.idle:
            return None if self.position <= self.idle else f"{ahead} before it."
        are_busy = "its only worker is" if self.workers == 1 else f"all {self.workers} workers of its queue are"
        return f"{are_busy} busy".capitalize() + ("." if self.position == 1 else f", and {ahead} before it.")


def place(session: Session, experiment_id: UUID, *, worker_seconds: float = 15) -> QueuePlace | None:
    """Return the place of the experiment's best queued job, or None when none is queued.

    The position counts the jobs of its queue that would be claimed before it. A worker that was not heard of for
    `worker_seconds` is not counted on.
    """
    found = rows(session, position_query(), {"experiment_id": experiment_id}).one_or_none()
    if found is None:
        return None
    position = found.ahead + 1
    live = workers.live_names(session, found.queue, worker_seconds)
    idle = len(live - jobs.holders(session).keys()) if live else 0
    eta = 0.0 if position <= idle else _eta(session, found.queue, position, live, idle)
    return QueuePlace(found.queue, position, len(live), idle, eta)


def _eta(session: Session, queue: str, position: int, live: set[str], idle: int) -> float | None:
    """Return when the job at this position starts, were all that go before it to take what is usual."""
    if not live:
        return None
    running = [job for job in rows(session, _RUNNING) if job.worker in live]
    usual = _usual_seconds(session, queue, running)
    if usual is None or not (idle or running):
        return None
    left = [0.0] * idle + [_seconds_left(job, usual) for job in running]
    return round(_turn(left, max(usual, SHORTEST_SECONDS), position), 1)


def _usual_seconds(session: Session, queue: str, running: Sequence[AnyRow]) -> float | None:
    """Return how long the last jobs of the queue took; before any has ended, how long those will take that run."""
    took = [seconds for seconds in rows(session, _TOOK, {"queue": queue}).scalars() if seconds is not None]
    took = took or [_seconds(job) for job in running if _tells(job)]
    return fmean(took) if took else None


def _tells(job: AnyRow) -> bool:
    return bool(job.claims == 1 and job.epochs_done)


def _seconds(job: AnyRow) -> float:
    return float(job.seconds / job.epochs_done * job.epochs)


def _seconds_left(job: AnyRow, usual: float) -> float:
    return max((_seconds(job) if _tells(job) else usual) - float(job.seconds), 0.0)


def _turn(left: Sequence[float], usual: float, position: int) -> float:
    """Return when the position-th job starts on workers that are busy for `left` seconds, and `usual` with each job."""
    rounds = min(position, math.ceil(position / len(left) + (max(left) - min(left)) / usual))
    starts = np.add.outer(np.array(left), usual * np.arange(rounds)).ravel()
    return float(np.partition(starts, position - 1)[position - 1])
