"""The queue and its workers over the wire."""

from uuid import UUID

from pydantic import Field

from api.schemas.common import Answer, Time, when
from store import tables


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


class Worker(Answer):
    """A live worker."""

    name: str
    hostname: str
    pid: int
    queues: list[str] = Field(description="The queues it takes jobs from, the preferred one first.")
    device: str = Field(description="cpu, or cuda and the card's name, as runs tell of where they were trained.")
    card: Card | None = Field(description="The card it trains on; null for the CPU.")
    threads: int = Field(description="CPU threads it trains with.")
    started_at: Time
    heartbeat_at: Time = Field(description="When it last said that it lives.")


class WorkerList(Answer):
    """The live workers."""

    items: list[Worker] = Field(description="By name.")


def worker(row: tables.Worker) -> Worker:
    """A worker as the API shows it."""
    return Worker(
        name=row.name,
        hostname=row.hostname,
        pid=row.pid,
        queues=row.queues,
        device=row.device,
        card=_card(row),
        threads=row.threads,
        started_at=when(row.started_at),
        heartbeat_at=when(row.heartbeat_at),
    )


def _card(row: tables.Worker) -> Card | None:
    if row.card_memory is None:
        return None
    return Card(name=row.device.partition(" ")[2], memory_bytes=row.card_memory)
