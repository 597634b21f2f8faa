"""The tables, as SQLAlchemy classes. Times are seconds since 1970-01-01 UTC by the database's clock (store.clock)."""

from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Index,
    String,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from store.base import Base
from store.identifiers import new_id
from store.status import Status

Json = dict[str, Any]

RESULT_KEY_LENGTH = 64  # a sha256 in hexadecimal
_HAS_KEY = text("result_key IS NOT NULL")
_HAS_ENDED = text("finished_at IS NOT NULL")
_IS_DELETED = text("deleted_at IS NOT NULL")
_STATUS_IS_KNOWN = "status IN ('queued', 'running', 'succeeded', 'failed', 'cancelled')"


class Experiment(Base):
    """A submitted request, and how its runs stand: the counters are kept with every change of a run."""

    __tablename__ = "experiments"
    __table_args__ = (
        CheckConstraint(_STATUS_IS_KNOWN, name="status"),
        Index(None, "created_at", "id"),
        Index(None, "owner", "created_at", "id"),
        Index(None, "status", "created_at", "id"),
        Index(None, "deleted_at", sqlite_where=_IS_DELETED, postgresql_where=_IS_DELETED),
        Index(None, "finished_at", sqlite_where=text("ephemeral = 1"), postgresql_where=text("ephemeral")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    owner: Mapped[str] = mapped_column(String(200))
    request_id: Mapped[str | None] = mapped_column(String(128))  # of the HTTP request that submitted it, for logs
    name: Mapped[str | None]
    tags: Mapped[dict[str, str]]
    note: Mapped[str | None]
    request: Mapped[Json]  # as it was posted, so that it can be posted again
    variant: Mapped[str] = mapped_column(String(40))
    code_version: Mapped[str]
    priority: Mapped[int]
    ephemeral: Mapped[bool]

    status: Mapped[Status]
    cancel_requested: Mapped[bool] = mapped_column(default=False)
    queued: Mapped[int]
    running: Mapped[int] = mapped_column(default=0)
    succeeded: Mapped[int] = mapped_column(default=0)
    failed: Mapped[int] = mapped_column(default=0)
    cancelled: Mapped[int] = mapped_column(default=0)
    total_epochs: Mapped[int] = mapped_column(BigInteger)
    epochs_done: Mapped[int] = mapped_column(BigInteger, default=0)
    epochs_reused: Mapped[int] = mapped_column(BigInteger, default=0)  # of those done: copied, or there before a retry
    epochs_skipped: Mapped[int] = mapped_column(BigInteger, default=0)  # what runs that ended early have left out
    seq: Mapped[int] = mapped_column(BigInteger, default=0)  # grows with every flush and every change of status

    created_at: Mapped[float]
    started_at: Mapped[float | None]
    finished_at: Mapped[float | None]
    deleted_at: Mapped[float | None]  # since when nobody finds it; its rows go bit by bit (store.deleting)

    @property
    def total_runs(self) -> int:
        """How many runs it has, in whatever status."""
        return self.queued + self.running + self.succeeded + self.failed + self.cancelled

    @property
    def is_settled(self) -> bool:
        """Whether nothing will change its results: not training, and no retry."""
        return self.succeeded == self.total_runs

    @property
    def epochs_left(self) -> int:
        """How many epochs its unfinished runs have still to train."""
        return self.total_epochs - self.epochs_done - self.epochs_skipped


class Job(Base):
    """One unit of queue work: a stack of runs that train together. Who holds its lease under its fence may write."""

    __tablename__ = "jobs"
    __table_args__ = (
        CheckConstraint(_STATUS_IS_KNOWN, name="status"),
        # What a claim walks along; by its first column it also finds the few running jobs.
        Index(None, "status", "queue", "priority", "owner", "created_at", "id"),
        Index(None, "queue", "finished_at", sqlite_where=_HAS_ENDED, postgresql_where=_HAS_ENDED),
        Index(None, "owner", "started_at"),  # whose turn it is
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    experiment_id: Mapped[UUID] = mapped_column(ForeignKey("experiments.id", ondelete="CASCADE"), index=True)
    owner: Mapped[str] = mapped_column(String(200))
    queue: Mapped[str] = mapped_column(String(40))
    priority: Mapped[int]
    status: Mapped[Status]
    worker: Mapped[str | None] = mapped_column(String(200))  # who runs it, or ran it to its end
    lease_until: Mapped[float | None]
    fence: Mapped[int] = mapped_column(BigInteger, default=0)  # grows with every claim; every write names it
    claims: Mapped[int] = mapped_column(default=0)
    crashes: Mapped[int] = mapped_column(default=0)  # since it last made progress
    device: Mapped[str | None] = mapped_column(String(40))  # of the first claim, with threads: they decide the bits
    threads: Mapped[int | None]
    created_at: Mapped[float]
    started_at: Mapped[float | None]
    finished_at: Mapped[float | None]


class Run(Base):
    """One training: a grid point × seed × data seed × fold of an experiment, a column of its job's stack."""

    __tablename__ = "runs"
    __table_args__ = (
        CheckConstraint(_STATUS_IS_KNOWN, name="status"),
        UniqueConstraint("experiment_id", "number"),
        UniqueConstraint("job_id", "stack_index"),
        Index(None, "created_at", "id"),
        Index(None, "owner", "created_at", "id"),
        Index(None, "status", "created_at", "id"),
        # What a run's result is looked up by; most runs have no key for long, so they are not in it.
        Index(None, "owner", "result_key", "id", sqlite_where=_HAS_KEY, postgresql_where=_HAS_KEY),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    experiment_id: Mapped[UUID] = mapped_column(ForeignKey("experiments.id", ondelete="CASCADE"))
    job_id: Mapped[UUID] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    owner: Mapped[str] = mapped_column(String(200))
    number: Mapped[int]  # its place in the experiment, from 0
    stack_index: Mapped[int]  # its column in the job's stack, from 0
    variant: Mapped[str] = mapped_column(String(40))
    spec: Mapped[Json]  # resolved: every default filled in
    seed: Mapped[int | None] = mapped_column(BigInteger)
    data_seed: Mapped[int | None] = mapped_column(BigInteger)
    fold: Mapped[int | None]

    status: Mapped[Status]
    cancel_requested: Mapped[bool] = mapped_column(default=False)
    epochs: Mapped[int]
    epochs_done: Mapped[int] = mapped_column(default=0)  # the last stored epoch
    summary: Mapped[Json | None]
    error: Mapped[Json | None]  # {"kind", "detail"}
    result_key: Mapped[str | None] = mapped_column(String(RESULT_KEY_LENGTH))  # what a succeeded run is looked up by
    reused_from: Mapped[UUID | None]  # the run whose result this is a copy of; that one may be gone since

    created_at: Mapped[float]
    started_at: Mapped[float | None]
    finished_at: Mapped[float | None]


class CurveSegment(Base):
    """Consecutive evaluated epochs of one run in columns, packed as store.curves says."""

    __tablename__ = "curve_segments"

    run_id: Mapped[UUID] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    first_epoch: Mapped[int] = mapped_column(primary_key=True)
    last_epoch: Mapped[int]
    metrics: Mapped[list[str]]
    packed_epochs: Mapped[bytes]
    packed_values: Mapped[bytes]


class Flush(Base):
    """What one write stored: epochs `first_epoch` to `last_epoch` of the job's runs. The order a stream follows."""

    __tablename__ = "flushes"

    experiment_id: Mapped[UUID] = mapped_column(ForeignKey("experiments.id", ondelete="CASCADE"), primary_key=True)
    seq: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    job_id: Mapped[UUID]
    first_epoch: Mapped[int]
    last_epoch: Mapped[int]
    created_at: Mapped[float]


class Checkpoint(Base):
    """A run's weights at an epoch, or (kind "state", no run) what its job resumes from."""

    __tablename__ = "checkpoints"
    __table_args__ = (CheckConstraint("(run_id IS NULL) = (kind = 'state')", name="state_is_of_a_job"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    job_id: Mapped[UUID] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), index=True)
    run_id: Mapped[UUID | None] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), index=True)
    kind: Mapped[str] = mapped_column(String(16))
    epoch: Mapped[int]
    size: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[float]


class CheckpointChunk(Base):
    """A part of a checkpoint's bytes, of at most store.checkpoints.CHUNK_BYTES."""

    __tablename__ = "checkpoint_chunks"

    checkpoint_id: Mapped[UUID] = mapped_column(ForeignKey("checkpoints.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    data: Mapped[bytes]


class Event(Base):
    """Something that happened to an experiment, one of its jobs (job_id) or one of its runs (run_id), and why.

    `seq` is the experiment's at that moment; `number` orders what happened at once. An event of a job with `runs` tells
    of so many of its runs too: all that were not final yet became what the job became, together.
    """

    __tablename__ = "events"

    experiment_id: Mapped[UUID] = mapped_column(ForeignKey("experiments.id", ondelete="CASCADE"), primary_key=True)
    seq: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    job_id: Mapped[UUID | None]
    run_id: Mapped[UUID | None]
    runs: Mapped[int | None]
    kind: Mapped[str] = mapped_column(String(40))
    status: Mapped[Status | None]
    reason: Mapped[str | None]
    created_at: Mapped[float]


class Worker(Base):
    """A slot that lived when it last said so."""

    __tablename__ = "workers"

    name: Mapped[str] = mapped_column(String(200), primary_key=True)
    pid: Mapped[int]
    hostname: Mapped[str]
    queues: Mapped[list[str]]
    device: Mapped[str] = mapped_column(String(40))
    card_memory: Mapped[int | None] = mapped_column(BigInteger)  # bytes that it may take of its card; null: it has none
    threads: Mapped[int]
    started_at: Mapped[float]
    heartbeat_at: Mapped[float]


class IdempotencyKey(Base):
    """A submission's key and the experiment it made; without one only inside the transaction that makes it."""

    __tablename__ = "idempotency_keys"

    owner: Mapped[str] = mapped_column(String(200), primary_key=True)
    key: Mapped[str] = mapped_column(String(255), primary_key=True)
    body_sha256: Mapped[str] = mapped_column(String(64))
    experiment_id: Mapped[UUID | None] = mapped_column(ForeignKey("experiments.id", ondelete="CASCADE"), index=True)
    created_at: Mapped[float]


class ApiKey(Base):
    """An API key's hash; the key itself is nowhere."""

    __tablename__ = "api_keys"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    name: Mapped[str]
    owner: Mapped[str] = mapped_column(String(200))
    scopes: Mapped[list[str]]
    sha256: Mapped[str] = mapped_column(String(64), unique=True)
    created_at: Mapped[float]
    last_used_at: Mapped[float | None]
    revoked_at: Mapped[float | None]
