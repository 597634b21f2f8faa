"""The queue and its workers over the wire."""

from uuid import UUID

from pydantic import Field

from api.schemas.common import Answer, Time, when
from store import tables
from store.jobs import Holding


class QueueState(Answer):
    """A queue: cpu, or gpu."""

    name: str
    queued_jobs: int = Field(description="Jobs that wait; runs of a job train together.")
    workers: int = Field(description="Live workers that take jobs from it.")


class Waiting(Answer):
    """An experiment that waits."""

    experiment_id: UUID
    name: str | None
    queue: str
    position: int = Field(description="1 is next.")
    eta_seconds: float | None = Field(description="Seconds until it starts; null when nobody can tell.")
    reason: str | None = Field(description="Why it does not start, if there is more to it than its turn.")
    href: str


class QueueOverview(Answer):
    """What waits, and why."""

    queues: list[QueueState]
    waiting: list[Waiting] = Field(description="By queue and position, the 50 oldest of your experiments.")


class Card(Answer):
    """A card that a worker trains on."""

    name: str
    memory_bytes: int = Field(description="What the worker may take of it: slots that share a card have a part each.")


class Work(Answer):
    """What a worker trains."""

    experiment_id: UUID
    job_id: UUID
    href: str


class Worker(Answer):
    """A live worker."""

    name: str
    hostname: str
    pid: int
    queues: list[str] = Field(description="The queues it takes jobs from, the preferred one first.")
    device: str = Field(description="cpu, or cuda and the card's name, as runs tell of where they were trained.")
    card: Card | None = Field(description="The card it trains on; null for the CPU.")
    threads: int = Field(description="CPU threads it trains with.")
    is_busy: bool = Field(description="Whether it trains.")
    work: Work | None = Field(description="What it trains, if that is yours.")
    started_at: Time
    heartbeat_at: Time = Field(description="When it last said that it lives.")


class WorkerList(Answer):
    """The live workers."""

    items: list[Worker] = Field(description="By name.")


def worker(row: tables.Worker, holding: Holding | None, sees: str | None) -> Worker:
    """A worker as the API shows it to somebody who sees what this owner has; None: what everybody has."""
    return Worker(
        name=row.name,
        hostname=row.hostname,
        pid=row.pid,
        queues=row.queues,
        device=row.device,
        card=_card(row),
        threads=row.threads,
        is_busy=holding is not None,
        work=None if holding is None or sees not in (None, holding.owner) else _work(holding),
        started_at=when(row.started_at),
        heartbeat_at=when(row.heartbeat_at),
    )


def _work(holding: Holding) -> Work:
    href = f"/v1/experiments/{holding.experiment_id}"
    return Work(experiment_id=holding.experiment_id, job_id=holding.job_id, href=href)


def _card(row: tables.Worker) -> Card | None:
    if row.card_memory is None:
        return None
    return Card(name=row.device.partition(" ")[2], memory_bytes=row.card_memory)
