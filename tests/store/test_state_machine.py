"""A model of what may happen to the queue, and what must hold after every step of it."""

from collections.abc import Callable
from typing import Any, TypeVar
from uuid import UUID

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from store import checkpoints, curves, experiments, jobs, runs
from store.engine import Database
from store.errors import AlreadyFinal, LeaseLost, NothingToRetry
from store.jobs import Claim
from store.retrying import DIVERGED, retry
from store.reuse import reuse_earlier
from store.status import FINAL, Status
from store.tables import Checkpoint, CheckpointChunk, Experiment, Job, Run
from tests.store.processes import Crew
from tests.store.samples import SPEC, check_all_adds_up, finish, store_epochs, submit, try_claim

T = TypeVar("T")
WORKERS = st.sampled_from(["slot-1", "slot-2"])
KEYS = st.sampled_from(["k", "l", None])
KINDS = st.sampled_from([DIVERGED, "internal"])
EPOCHS = SPEC["epochs"]


class AnyOrder(RuleBasedStateMachine):
    """Whatever users, workers (also those that lost their lease) and janitors do, in any order."""

    def __init__(self, database: Database) -> None:
        super().__init__()
        self.database = database
        self.ends: dict[UUID, tuple[Status, float | None]] = {}
        self.fences: dict[UUID, int] = {}
        self.newest: dict[UUID, int] = {}
        self.accepted: dict[UUID, int] = {}

    submitted: Bundle[UUID] = Bundle("submitted")
    claims: Bundle[Claim] = Bundle("claims")

    @initialize()
    def start_empty(self) -> None:
        with self.database.write() as session:
            session.execute(delete(Experiment))

    @rule(target=submitted, stacks=st.lists(st.integers(1, 3), min_size=1, max_size=2), owner=st.sampled_from("ab"))
    def submit(self, stacks: list[int], owner: str) -> UUID:
        submitted = submit(self.database, *stacks, owner=owner).id
        self.accepted[submitted] = sum(stacks)
        return submitted

    @rule(target=claims, worker=WORKERS)
    def claim(self, worker: str) -> Any:
        claimed = try_claim(self.database, worker)
        if claimed is None:
            with self.database.read() as session:
                assert session.scalar(select(Job).where(Job.status == Status.QUEUED)) is None
            return multiple()
        return self.noted(claimed)

    @rule(target=claims)
    def deliver_twice(self) -> Any:
        """Two workers are woken by the same hint: no two hold the same job."""
        both = [try_claim(self.database, worker) for worker in ("slot-1", "slot-2")]
        claimed = [claim for claim in both if claim is not None]
        assert len({claim.job_id for claim in claimed}) == len(claimed)
        return multiple(*map(self.noted, claimed))

    def noted(self, claimed: Claim) -> Claim:
        assert claimed.fence > self.newest.get(claimed.job_id, 0)
        self.newest[claimed.job_id] = claimed.fence
        return claimed

    @rule(held=claims)
    def heartbeat(self, held: Claim) -> None:
        self.under_fence(held, lambda: self.write(lambda session: jobs.renew(session, held, 60)))

    @rule(held=claims, again=st.integers(0, 3), lease_seconds=st.sampled_from([-1.0, 60.0]))
    def flush(self, held: Claim, again: int, lease_seconds: float) -> None:
        """Store two epochs more, and some of those before again: a worker that took over trains them again."""
        done = self.epochs_done(held)
        epochs = max(1, done + 1 - again), min(done + 2, EPOCHS)
        self.under_fence(held, lambda: store_epochs(self.database, held, *epochs, lease_seconds))

    @rule(held=claims)
    def store_state(self, held: Claim) -> None:
        epoch = self.epochs_done(held)
        state = checkpoints.NewCheckpoint(None, "state", epoch, b"state")
        self.under_fence(held, lambda: self.write(lambda session: checkpoints.put_all(session, held, [state])))

    @rule(held=claims, which=st.integers(0, 2), status=st.sampled_from(sorted(FINAL)), key=KEYS, kind=KINDS)
    def finish(self, held: Claim, which: int, status: Status, key: str | None, kind: str) -> None:
        member = held.runs[which % len(held.runs)].run_id
        ended = self.under_fence(held, lambda: finish(self.database, held, member, status, key, kind))
        if ended is not None:
            assert ended == (member not in self.ends)

    @rule(held=claims, key=st.sampled_from("kl"))
    def reuse(self, held: Claim, key: str) -> None:
        keys = {member.run_id: key for member in held.runs}
        answered = self.under_fence(held, lambda: self.write(lambda session: reuse_earlier(session, held, keys)))
        assert not self.ends.keys() & (answered or set())

    @rule(held=claims)
    def give_back(self, held: Claim) -> None:
        self.under_fence(held, lambda: self.write(lambda session: jobs.give_back(session, held, "shut down")))

    @rule()
    def expire(self) -> None:
        self.write(jobs.expire)

    @rule(worker=WORKERS)
    def release_worker(self, worker: str) -> None:
        self.write(lambda session: jobs.release_worker(session, worker, "killed by SIGKILL"))

    @rule(experiment_id=submitted)
    def cancel_experiment(self, experiment_id: UUID) -> None:
        self.cancel(lambda session: experiments.cancel(session, experiment_id))

    @rule(experiment_id=submitted, which=st.integers(0, 5))
    def cancel_run(self, experiment_id: UUID, which: int) -> None:
        with self.database.read() as session:
            members = runs.of_experiment(session, experiment_id, limit=6).items
        self.cancel(lambda session: runs.cancel(session, members[which % len(members)].id))

    @rule(experiment_id=submitted)
    def retry(self, experiment_id: UUID) -> None:
        ended = select(Run).where(Run.experiment_id == experiment_id, Run.status.in_([Status.FAILED, Status.CANCELLED]))
        with self.database.read() as session:
            expected = {run.id for run in session.scalars(ended) if (run.error or {}).get("kind") != DIVERGED}
        try:
            self.write(lambda session: retry(session, experiment_id))
        except NothingToRetry:
            assert not expected
            return
        assert expected
        for run_id in expected:
            del self.ends[run_id]
        with self.database.read() as session:
            again = [runs.get(session, run_id) for run_id in expected]
        assert {(run.status, run.epochs_done, run.cancel_requested) for run in again} == {(Status.QUEUED, 0, False)}

    @invariant()
    def everything_adds_up(self) -> None:
        check_all_adds_up(self.database)

    @invariant()
    def nothing_accepted_is_lost_or_half_written(self) -> None:
        with self.database.read() as session:
            known = {found.id: found.total_runs for found in session.scalars(select(Experiment))}
            stored, whole = (session.scalar(select(func.count()).select_from(t)) for t in (Checkpoint, CheckpointChunk))
        assert known == self.accepted
        assert stored == whole

    @invariant()
    def ends_are_for_ever_and_fences_grow(self) -> None:
        with self.database.read() as session:
            ends = {
                run.id: (run.status, run.finished_at) for run in session.scalars(select(Run)) if run.status in FINAL
            }
            ends |= {
                job.id: (job.status, job.finished_at) for job in session.scalars(select(Job)) if job.status in FINAL
            }
            fences = {job.id: job.fence for job in session.scalars(select(Job))}
        assert self.ends.items() <= ends.items()
        assert all(fences[job_id] >= fence for job_id, fence in self.fences.items())
        self.ends, self.fences = ends, fences

    @invariant()
    def epochs_are_unique_and_have_no_gaps(self) -> None:
        with self.database.read() as session:
            for run in session.scalars(select(Run)):
                epochs = curves.read(session, run.id).epochs.tolist()
                assert epochs == list(range(1, run.epochs_done + 1))

    def epochs_done(self, held: Claim) -> int:
        """How many epochs are stored of those of the job's runs that train: of all the same."""
        with self.database.read() as session:
            members = runs.of_job(session, held.job_id)
        return max((run.epochs_done for run in members if run.status is Status.RUNNING), default=0)

    def write(self, change: Callable[[Session], T]) -> T:
        with self.database.write() as session:
            return change(session)

    def under_fence(self, held: Claim, change: Callable[[], T]) -> T | None:
        """Make the change; it must be refused if, and only if, the claim is not the newest of a running job."""
        with self.database.read() as session:
            job = jobs.get(session, held.job_id)
        valid = job.status is Status.RUNNING and job.fence == held.fence
        try:
            result = change()
        except LeaseLost:
            assert not valid
            return None
        assert valid
        return result

    def cancel(self, change: Callable[[Session], Run | Experiment]) -> None:
        try:
            now = self.write(change)
        except AlreadyFinal:
            return
        assert now.cancel_requested or now.status is Status.CANCELLED


def test_whatever_happens_in_whatever_order(database: Database) -> None:
    checks = [HealthCheck.too_slow, HealthCheck.data_too_large]
    run_state_machine_as_test(
        lambda: AnyOrder(database),  # type: ignore[arg-type]  # any maker of a machine will do
        settings=settings(max_examples=15, stateful_step_count=25, deadline=None, suppress_health_check=checks),
    )


def test_whatever_happens_at_once(database: Database, crew: Crew) -> None:
    for number in range(8):
        submit(database, *[2, 1] * 4, owner=f"owner-{number % 3}")
    crew.do(database, *[("stir", str(seed), "60") for seed in range(4)])
    check_all_adds_up(database)
