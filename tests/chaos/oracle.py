"""A process of its own that reads tables and events: while the service suffers, and once more when all should be over.

`python -m tests.chaos.oracle ACCEPTED`: reads the database that EPOCHD_DATA or EPOCHD_DATABASE_URL names, until its
standard input ends; then prints what it found as one JSON document. ACCEPTED has a line for each accepted experiment:
its id and how many runs were asked for.
"""

import json
import select
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from uuid import UUID

from sqlalchemy import func
from sqlalchemy import select as query
from sqlalchemy.orm import Session

from store import curves
from store.engine import Database, make_engine
from store.history import CRASHED
from store.settings import StoreSettings
from store.status import FINAL, Status
from store.tables import Checkpoint, Event, Job, Run
from tests.store.samples import check_all_adds_up

LOOK_SECONDS = 0.5
STILL_SECONDS = 60.0
"""When no job has ended for so long, what has not ended is lost."""


@dataclass
class Verdict:
    """How many runs became what, and whatever must never be, by what it is of."""

    accepted: int = 0
    succeeded: int = 0
    lost: int = 0  # accepted, but not final
    finished_twice: int = 0
    went_back: list[str] = field(default_factory=list)  # jobs whose fence or final status changed back
    broken_curves: list[str] = field(default_factory=list)  # runs whose epochs are not 1, 2, … without a gap
    wrong_counts: list[str] = field(default_factory=list)  # the first status, counter or event that does not add up
    other_bits: list[str] = field(default_factory=list)  # runs whose weights are not those of the same spec elsewhere
    crashes: int = 0  # events of jobs that lost their worker


class Watch:
    """What it saw of each job so far: fences only grow, and what is final stays."""

    def __init__(self, database: Database, verdict: Verdict) -> None:
        self._database = database
        self._verdict = verdict
        self._seen: dict[UUID, tuple[int, Status]] = {}

    def look(self) -> None:
        """Compare every job with what it was."""
        with self._database.read() as session:
            for job, fence, status in session.execute(query(Job.id, Job.fence, Job.status)):
                fence_before, before = self._seen.get(job, (0, Status.QUEUED))
                if fence < fence_before or (before in FINAL and status != before):
                    self._verdict.went_back.append(f"{job}: {before} under {fence_before}, then {status} under {fence}")
                self._seen[job] = fence, status


def main() -> int:
    """Watch until standard input ends, wait until all is over, judge."""
    accepted, verdict = Path(sys.argv[1]), Verdict()
    database = Database(make_engine(StoreSettings().url))
    watch = Watch(database, verdict)
    while not select.select([sys.stdin], [], [], LOOK_SECONDS)[0]:
        watch.look()
    _wait_for_the_end(database)
    watch.look()
    judge(database, dict(_lines(accepted)), verdict)
    database.dispose()
    sys.stdout.write(json.dumps(asdict(verdict)) + "\n")
    return 0


def judge(database: Database, accepted: dict[UUID, int], verdict: Verdict) -> None:
    """Read the whole database against what was accepted."""
    with database.read() as session:
        runs = list(session.scalars(query(Run)))
        ended = Counter(run.experiment_id for run in runs if run.status in FINAL)
        verdict.accepted = sum(accepted.values())
        verdict.succeeded = sum(run.status == Status.SUCCEEDED for run in runs)
        verdict.lost = sum(count - ended[experiment] for experiment, count in accepted.items())
        verdict.finished_twice = _finished_twice(session)
        verdict.broken_curves = list(_broken_curves(session, runs))
        verdict.other_bits = list(_other_bits(session, runs))
        verdict.crashes = session.scalar(query(func.count()).select_from(Event).where(Event.kind == CRASHED)) or 0
    verdict.wrong_counts = _wrong_counts(database)


def _finished_twice(session: Session) -> int:
    """Count the ends of runs beyond the first: an event tells of one run's end, or of that of `runs` of a job's."""
    of_one = query(Event.run_id, func.count() - 1).where(Event.run_id.is_not(None), Event.status.in_(FINAL))
    twice = sum(more for _, more in session.execute(of_one.group_by(Event.run_id)))
    members = Counter(session.scalars(query(Run.job_id)))
    told = func.sum(func.coalesce(Event.runs, 1))
    of_job = query(Event.job_id, told).where(
        Event.status.in_(FINAL), Event.job_id.is_not(None), Event.run_id.is_not(None) | Event.runs.is_not(None)
    )
    ends = session.execute(of_job.group_by(Event.job_id))
    return twice + sum(max(0, count - members[job]) for job, count in ends if job is not None)


def _broken_curves(session: Session, runs: list[Run]) -> Iterator[str]:
    for run in runs:
        epochs = curves.read(session, run.id).epochs.tolist()
        if epochs != list(range(1, run.epochs_done + 1)) or (
            run.status == Status.SUCCEEDED and len(epochs) != run.epochs
        ):
            yield f"{run.id}: {len(epochs)} epochs stored, {run.epochs_done} of {run.epochs} counted"


def _wrong_counts(database: Database) -> list[str]:
    try:
        check_all_adds_up(database)
    except AssertionError:
        return [traceback.format_exc()]
    return []


def _other_bits(session: Session, runs: list[Run]) -> Iterator[str]:
    """Find succeeded runs whose final weights are not those of the first run of the same spec in a like job."""
    weights = dict(session.execute(query(Checkpoint.run_id, Checkpoint.sha256).where(Checkpoint.kind == "last")).all())
    jobs = {job: (device, threads) for job, device, threads in session.execute(query(Job.id, Job.device, Job.threads))}
    stacks = Counter(run.job_id for run in runs)
    first: dict[tuple[object, ...], str | None] = {}
    for run in runs:
        if run.status != Status.SUCCEEDED:
            continue
        alike = (json.dumps(run.spec, sort_keys=True), run.stack_index, stacks[run.job_id], *jobs[run.job_id])
        if first.setdefault(alike, weights.get(run.id)) != weights.get(run.id) or run.id not in weights:
            yield str(run.id)


def _wait_for_the_end(database: Database) -> None:
    """Return when all jobs have ended, or none does any more."""
    left, changed = _unfinished(database), time.monotonic()
    while left and time.monotonic() - changed < STILL_SECONDS:
        time.sleep(LOOK_SECONDS)
        if (now := _unfinished(database)) != left:
            left, changed = now, time.monotonic()


def _unfinished(database: Database) -> int:
    with database.read() as session:
        return session.scalar(query(func.count()).select_from(Job).where(Job.status.not_in(FINAL))) or 0


def _lines(accepted: Path) -> Iterator[tuple[UUID, int]]:
    for line in accepted.read_text(encoding="utf-8").splitlines():
        experiment, runs = line.split()
        yield UUID(experiment), int(runs)


if __name__ == "__main__":
    sys.exit(main())
