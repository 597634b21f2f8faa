"""Submitting experiments, reading them, naming them, cancelling them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Select, bindparam, insert, select, update
from sqlalchemy.orm import Session
from sqlalchemy.sql.schema import ScalarElementColumnDefault

from store import runs
from store.bulk import insert_columns
from store.clock import read_clock
from store.errors import AlreadyFinal, NotFound
from store.filtering import narrowed
from store.history import CANCEL_REQUESTED, STATUS_CHANGED, Note, record, write_events
from store.identifiers import new_id
from store.paging import NO_FILTERS, Filters, Page, PageKey, read_page
from store.statements import change, fresh, rows
from store.status import FINAL, UNFINISHED, Status
from store.tables import Experiment, Job, Json, Run

ROWS_AT_ONCE = 1000
"""A sweep is stored so many rows at a time: what is made of them is not held for all of 100,000."""

_COLUMNS = [column.name for column in Experiment.__table__.columns]
_AT_FIRST = {  # what a new experiment has where nothing is said
    column.name: column.default.arg
    for column in Experiment.__table__.columns
    if isinstance(column.default, ScalarElementColumnDefault)
}

# Built once: that takes as long as executing them.
_INSERT = insert(Experiment)
_STANDINGS = select(Experiment.id, Experiment.seq, Experiment.status).where(
    Experiment.id.in_(bindparam("experiment_ids", expanding=True)), Experiment.deleted_at.is_(None)
)
_BY_ID = select(Experiment).where(Experiment.id == bindparam("experiment_id"), Experiment.deleted_at.is_(None))


class Standing(NamedTuple):
    """How far an experiment is; `seq` grows with everything that happens to it."""

    seq: int
    status: Status


@dataclass(frozen=True)
class NewJob:
    """A stack to be trained together: its queue, and the resolved spec of each run in the order of the columns.

    A spec holds at least `variant` and `epochs`, which all of a stack share; `seed`, `data_seed` and `fold` get columns
    of their own when there. `numbers` are the runs' places in the experiment, from 0, when grouping into stacks has
    changed their order, `device` binds the job to one. Jobs and specs are looked at one after the other: they may be
    made as it goes (mlcore.lazy).
    """

    queue: str
    specs: Sequence[dict[str, Any]]
    numbers: Sequence[int] | None = None
    device: str | None = None


def create(
    session: Session,
    *,
    request: Mapping[str, Any],
    owner: str,
    jobs: Sequence[NewJob],
    code_version: str,
    name: str | None = None,
    tags: Mapping[str, str] | None = None,
    note: str | None = None,
    priority: int = 0,
    ephemeral: bool = False,
    request_id: str | None = None,
) -> Experiment:
    """Submit an experiment: itself, its jobs and their runs, all queued.

    Runs without numbers of their own are numbered through the jobs in their order. A greater `priority` is claimed
    first; `request_id` names the HTTP request in the logs of whoever trains it. Raises ValueError when there is no run,
    or a job without one (nobody would ever end it), and when the runs' numbers are not 0, 1, … each once.
    """
    if not jobs or not all(job.specs for job in jobs):
        raise ValueError("an experiment needs at least one job, and every job at least one run")
    numbers = _numbers(jobs)
    now = read_clock(session)
    experiment = Experiment(
        id=new_id(),
        owner=owner,
        request_id=request_id,
        name=name,
        tags=dict(tags or {}),
        note=note,
        request=dict(request),
        variant=jobs[0].specs[0]["variant"],
        code_version=code_version,
        priority=priority,
        ephemeral=ephemeral,
        status=Status.QUEUED,
        queued=len(numbers),
        total_epochs=sum(len(job.specs) * job.specs[0]["epochs"] for job in jobs),
        created_at=now,
        **(_AT_FIRST | {"seq": 1}),
    )
    change(session, _INSERT, {name: getattr(experiment, name) for name in _COLUMNS})
    shared = {"experiment_id": experiment.id, "owner": owner, "status": Status.QUEUED, "created_at": now}
    job_ids = [new_id() for _ in jobs]
    _insert_jobs(session, {**shared, "priority": priority}, job_ids, jobs)
    _insert_runs(session, shared, job_ids, jobs, numbers)
    write_events(session, experiment.id, 1, [Note(STATUS_CHANGED, "submitted", status=Status.QUEUED)])
    return experiment


def _numbers(jobs: Sequence[NewJob]) -> list[int]:
    numbers: list[int] = []
    for job in jobs:
        through = range(len(numbers), len(numbers) + len(job.specs))
        numbers += through if job.numbers is None else job.numbers
    if sorted(numbers) != list(range(sum(len(job.specs) for job in jobs))):
        raise ValueError("the numbers of an experiment's runs are 0, 1, … each once")
    return numbers


def _insert_jobs(session: Session, shared: dict[str, Any], job_ids: Sequence[UUID], jobs: Sequence[NewJob]) -> None:
    for start in range(0, len(jobs), ROWS_AT_ONCE):
        batch = slice(start, start + ROWS_AT_ONCE)
        columns = {
            "id": job_ids[batch],
            "queue": [job.queue for job in jobs[batch]],
            "device": [job.device for job in jobs[batch]],
        }
        insert_columns(session, Job, {**shared, "fence": 0, "claims": 0, "crashes": 0}, columns)


def _insert_runs(
    session: Session, shared: dict[str, Any], job_ids: Sequence[UUID], jobs: Sequence[NewJob], numbers: Iterable[int]
) -> None:
    placed = (
        (job_id, column, spec)
        for job_id, job in zip(job_ids, jobs, strict=True)
        for column, spec in enumerate(job.specs)
    )
    rows = ((number, *row) for number, row in zip(numbers, placed, strict=True))
    while batch := list(islice(rows, ROWS_AT_ONCE)):
        _insert_batch(session, shared, batch)


def _insert_batch(session: Session, shared: dict[str, Any], batch: Sequence[tuple[int, UUID, int, Json]]) -> None:
    numbers, job_ids, columns, specs = zip(*batch, strict=True)
    own = {
        "id": [new_id() for _ in specs],
        "job_id": job_ids,
        "number": numbers,
        "stack_index": columns,
        "variant": [spec["variant"] for spec in specs],
        "spec": specs,
        "seed": [spec.get("seed") for spec in specs],
        "data_seed": [spec.get("data_seed") for spec in specs],
        "fold": [spec.get("fold") for spec in specs],
        "epochs": [spec["epochs"] for spec in specs],
    }
    insert_columns(session, Run, {**shared, "cancel_requested": False, "epochs_done": 0}, own)


def get(session: Session, experiment_id: UUID, owner: str | None = None) -> Experiment:
    """Return the experiment as it is now; raises NotFound, also when it is not this owner's (None: anybody's)."""
    found = fresh(session, _BY_ID, {"experiment_id": experiment_id})
    if not found or owner not in (None, found[0].owner):
        raise NotFound(f"There is no experiment {experiment_id}.")
    return found[0]


def standings(session: Session, experiment_ids: Iterable[UUID]) -> dict[UUID, Standing]:
    """Return how many experiments stand, in one look; those that are not there are left out."""
    found = rows(session, _STANDINGS, {"experiment_ids": list(experiment_ids)})
    return {experiment_id: Standing(seq, status) for experiment_id, seq, status in found}


def page(
    session: Session,
    *,
    owner: str | None,
    limit: int,
    after: PageKey | None = None,
    filters: Filters = NO_FILTERS,
    newest_first: bool = True,
) -> Page[Experiment, PageKey]:
    """Return a page of this owner's experiments (None: everybody's); ephemeral ones are not listed."""
    return read_page(
        session,
        narrowed(_listed(owner), Experiment, filters),
        Experiment,
        limit=limit,
        after=after,
        newest_first=newest_first,
    )


def waiting(session: Session, *, owner: str | None, limit: int) -> list[Experiment]:
    """Return the oldest of this owner's experiments (None: everybody's) with queued jobs, whether or not others run."""
    query = _listed(owner).where(Experiment.status.in_(UNFINISHED), Experiment.queued > 0)
    return read_page(session, query, Experiment, limit=limit, after=None, newest_first=False).items


def _listed(owner: str | None) -> Select[Experiment]:
    query = select(Experiment).where(~Experiment.ephemeral, Experiment.deleted_at.is_(None))
    return query if owner is None else query.where(Experiment.owner == owner)


def lock(session: Session, experiment_id: UUID, owner: str | None = None) -> tuple[Experiment, Sequence[UUID]]:
    """Return the experiment and its jobs' ids, which stand still until the transaction ends; raises NotFound."""
    get(session, experiment_id, owner)
    by_id = select(Job.id).where(Job.experiment_id == experiment_id).order_by(Job.id).with_for_update()
    job_ids = session.scalars(by_id).all()
    return get(session, experiment_id), job_ids  # with its jobs held its runs stand still


def annotate(session: Session, experiment_id: UUID, owner: str | None = None, **told: object) -> Experiment:
    """Write the experiment's name, tags or note, those that are given; return it as it is then. Raises NotFound."""
    get(session, experiment_id, owner)
    if told:
        change(session, update(Experiment).where(Experiment.id == experiment_id).values(**told))
    return get(session, experiment_id)


def cancel(session: Session, experiment_id: UUID, owner: str | None = None) -> Experiment:
    """Cancel its queued runs at once, ask the workers of its running ones to; return it as it is then.

    Asking twice is asking once. Raises NotFound, and AlreadyFinal when the experiment has ended.
    """
    experiment, job_ids = lock(session, experiment_id, owner)
    if experiment.status in FINAL:
        raise AlreadyFinal(f"Experiment {experiment_id} has already ended: it is {experiment.status}.")
    notes = [] if experiment.cancel_requested else [Note(CANCEL_REQUESTED)]
    change(session, update(Experiment).where(Experiment.id == experiment_id).values(cancel_requested=True))
    for job_id in job_ids:
        notes += runs.request_cancel(session, job_id)
    if notes:
        record(session, experiment_id, notes)
    return get(session, experiment_id)
