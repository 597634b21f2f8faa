"""Reading runs, ending them, cancelling them."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnExpressionArgument, Select, bindparam, select, update
from sqlalchemy.orm import Session

from store.clock import database_now
from store.errors import AlreadyFinal, NotFound
from store.filtering import narrowed
from store.history import CANCEL_REQUESTED, Note, record
from store.paging import NO_FILTERS, AnyRow, Filters, Page, PageKey, by_number, read_page
from store.statements import change, fresh
from store.status import FINAL, Status
from store.tables import Experiment, Job, Run
from store.transitions import CANCELLED_ON_REQUEST, Held, end_job_if_done, end_runs, end_runs_as, lock_held
from store.transitions import Outcome as Outcome

RESULTS_AT_ONCE = 1000

# Built once: that takes as long as executing them.
_BY_ID = (
    select(Run)
    .join(Experiment, Experiment.id == Run.experiment_id)
    .where(Run.id == bindparam("run_id"), Experiment.deleted_at.is_(None))
)
_WITH_JOB = _BY_ID.add_columns(Job, database_now()).join(Job, Job.id == Run.job_id)
_WITH_NAME = _BY_ID.add_columns(Experiment.name)


@dataclass(frozen=True, slots=True)
class RunResult:
    """What a table of an experiment's results is made of."""

    id: UUID
    number: int
    spec: dict[str, Any]
    seed: int | None
    data_seed: int | None
    fold: int | None
    status: Status
    summary: dict[str, Any] | None
    error: dict[str, Any] | None
    reused_from: UUID | None


def get(session: Session, run_id: UUID, owner: str | None = None) -> Run:
    """Return the run as it is now; raises NotFound, also when it is not this owner's (None: anybody's)."""
    run: Run = _one(session, _BY_ID, run_id, owner)[0]
    return run


def get_with_job(session: Session, run_id: UUID, owner: str | None = None) -> tuple[Run, Job, float]:
    """Return the run, its job and the database's time; raises NotFound as `get` does."""
    run, job, now = _one(session, _WITH_JOB, run_id, owner)
    return run, job, now


def get_with_name(session: Session, run_id: UUID, owner: str | None = None) -> tuple[Run, str | None]:
    """Return the run and its experiment's name; raises NotFound as `get` does."""
    run, name = _one(session, _WITH_NAME, run_id, owner)
    return run, name


def _one(session: Session, query: Select[*tuple[Any, ...]], run_id: UUID, owner: str | None) -> AnyRow:
    options = {"populate_existing": True}
    row = session.execute(query, {"run_id": run_id}, execution_options=options).one_or_none()
    if row is None or owner not in (None, row.Run.owner):
        raise NotFound(f"There is no run {run_id}.")
    return row


def of_job(session: Session, job_id: UUID) -> list[Run]:
    """Return the job's runs in the order of the stack's columns."""
    return fresh(session, select(Run).where(Run.job_id == job_id).order_by(Run.stack_index))


def results(session: Session, experiment_id: UUID, numbers: range | None = None) -> Iterator[RunResult]:
    """Yield how each run of the experiment stands, in order of number, holding 1,000 at a time.

    Only those with these numbers, where given. The session has to stay open until the last. On SQLite all are of one
    moment; on PostgreSQL those of later batches are as they are when their turn comes.
    """
    columns: list[Any] = [getattr(Run, field.name) for field in fields(RunResult)]
    query = select(*columns).where(Run.experiment_id == experiment_id)
    if numbers is not None:
        query = query.where(Run.number >= numbers.start, Run.number < numbers.stop)
        query = query.where((Run.number - numbers.start) % numbers.step == 0)
    for batch in by_number(session, query, RESULTS_AT_ONCE):
        yield from (RunResult(*row) for row in batch)


def of_experiment(
    session: Session, experiment_id: UUID, *, limit: int, after: int | None = None, status: Status | None = None
) -> Page[Run, int]:
    """Return a page of the experiment's runs in order of number, those in `status` if given; `after` is a number."""
    query = select(Run).where(Run.experiment_id == experiment_id)
    query = query if after is None else query.where(Run.number > after)
    query = query if status is None else query.where(Run.status == status)
    rows = fresh(session, query.order_by(Run.number).limit(limit + 1))
    return Page(rows[:limit], rows[limit - 1].number if len(rows) > limit else None)


def page(
    session: Session,
    *,
    owner: str | None,
    limit: int,
    after: PageKey | None = None,
    filters: Filters = NO_FILTERS,
    newest_first: bool = True,
) -> Page[Run, PageKey]:
    """Return a page of this owner's runs (None: everybody's); those of ephemeral experiments are not listed."""
    query = select(Run).join(Experiment, Experiment.id == Run.experiment_id)
    query = query.where(~Experiment.ephemeral, Experiment.deleted_at.is_(None))
    query = query if owner is None else query.where(Run.owner == owner)
    query = narrowed(query, Run, filters)
    return read_page(session, query, Run, limit=limit, after=after, newest_first=newest_first)


def finish(
    session: Session,
    claim: Held,
    run_id: UUID,
    status: Status,
    summary: Mapping[str, Any],
    error: Mapping[str, Any] | None = None,
    result_key: str | None = None,
) -> bool:
    """End a running run of the claimed job; return False when it was final already, which changes nothing.

    The job ends by itself with its last run, the experiment with its last job. Numbers that are not finite become null
    in summary and error. Raises LeaseLost, and ValueError as Outcome does.
    """
    return run_id in finish_all(session, claim, [Outcome(run_id, status, summary, error, result_key)])


def finish_all(session: Session, claim: Held, outcomes: Iterable[Outcome]) -> set[UUID]:
    """End many runs of the claimed job at once, as `finish` does for one; return those that this call ended.

    Raises LeaseLost.
    """
    lock_held(session, claim)
    notes = end_runs(session, claim.job_id, outcomes)
    ended = {note.run_id for note in notes if note.run_id is not None}
    if notes:
        record(session, claim.experiment_id, notes + end_job_if_done(session, claim.job_id))
    return ended


def cancels_asked(session: Session, job_id: UUID) -> set[UUID]:
    """Return the job's running runs whose cancel was asked for."""
    query = select(Run.id).where(Run.job_id == job_id, Run.status == Status.RUNNING, Run.cancel_requested)
    return set(session.scalars(query))


def cancel(session: Session, run_id: UUID, owner: str | None = None) -> Run:
    """Cancel a queued run at once, or ask the worker of a running one to; return it as it is then.

    Asking twice is asking once. Raises NotFound, and AlreadyFinal when the run has ended.
    """
    run = get(session, run_id, owner)
    session.execute(select(Job.id).where(Job.id == run.job_id).with_for_update())
    notes = request_cancel(session, run.job_id, Run.id == run_id)
    if notes:
        record(session, run.experiment_id, notes)
    run = get(session, run_id)
    if not notes and run.status in FINAL:
        raise AlreadyFinal(f"Run {run_id} has already {_ended_as(run.status)}.")
    return run


def request_cancel(session: Session, job_id: UUID, *conditions: ColumnExpressionArgument[bool]) -> list[Note]:
    """Cancel the job's queued runs that meet the conditions, mark its running ones; the caller holds the job."""
    notes = end_runs_as(session, job_id, Status.QUEUED, Status.CANCELLED, CANCELLED_ON_REQUEST, *conditions)
    if notes:
        notes += end_job_if_done(session, job_id)
    asked = (
        update(Run)
        .where(Run.job_id == job_id, Run.status == Status.RUNNING, ~Run.cancel_requested, *conditions)
        .values(cancel_requested=True)
        .returning(Run.id)
    )
    return notes + [Note(CANCEL_REQUESTED, None, job_id, run_id) for run_id in change(session, asked).scalars()]


def _ended_as(status: Status) -> str:
    return "been cancelled" if status is Status.CANCELLED else str(status)
