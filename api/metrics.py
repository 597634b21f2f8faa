"""What Prometheus is told: requests as this process counts them, the rest as the database has it when it is asked."""

import threading
import time
from collections.abc import Callable, Iterator
from uuid import UUID

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session
from starlette.types import ASGIApp, Receive, Scope, Send

from api.middleware import at_start
from store import statistics
from store.clock import read_clock
from store.engine import Database

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
OVERLAP_SECONDS = 60.0
"""So long after its end an experiment is still looked at: what is committed late is not missed."""
UNKNOWN = "unknown"
"""The route of what leads nowhere: paths that people make up must not become labels."""


class Metrics:
    """Everything that one API process has to tell."""

    def __init__(self, database: Database, waiting: Callable[[], int]) -> None:
        self.registry = CollectorRegistry()
        labels = ("method", "route", "status")
        self._requests = Counter("epochd_http_requests", "Requests that were answered.", labels, registry=self.registry)
        self._seconds = Histogram(
            "epochd_http_request_duration_seconds",
            "From a request to the beginning of its answer.",
            ("method", "route"),
            registry=self.registry,
            buckets=BUCKETS,
        )
        self.registry.register(_Service(database, waiting))
        ProcessCollector(registry=self.registry)

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request."""
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(method, route).observe(seconds)


class Measured:
    """ASGI middleware that counts every answer by its route."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: D102  ASGI
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started, has_begun = time.perf_counter(), False

        def count(status: int) -> None:
            nonlocal has_begun
            has_begun = True
            metrics: Metrics = scope["state"]["metrics"]
            route = getattr(scope.get("route"), "path", UNKNOWN)
            metrics.answered(scope["method"], route, status, time.perf_counter() - started)

        try:
            await self.app(scope, receive, at_start(send, lambda message: count(message["status"])))
        except Exception:
            if not has_begun:
                count(500)
            raise


class _Service(Collector):
    """Reads the database when it is asked; one that does not answer is told of too."""

    def __init__(self, database: Database, waiting: Callable[[], int]) -> None:
        self._database = database
        self._waiting = waiting
        self._epochs = EpochCounter()

    def describe(self) -> list[Metric]:
        """Return nothing: that spares reading the database when the collector is registered."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Yield what there is to tell now."""
        yield _gauge("waiting_requests", "Event streams, and submissions that wait for the end.", self._waiting())
        try:
            with self._database.read() as session:
                read = [*_queues(session), _runs(session), *_workers(session), self._epochs.read(session)]
        except SQLAlchemyError:
            read = []
        yield _gauge("database_up", "Whether the database answers.", bool(read))
        yield from read


class EpochCounter:
    """Counts the epochs that were trained since it was made, whoever trained them, and whatever is deleted since."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._total = 0
        self._known: dict[UUID, int] | None = None
        self._read_at = 0.0

    def read(self, session: Session) -> Metric:
        """Add what is new since the last time; the first time nothing is."""
        with self._lock:
            now, since = read_clock(session), self._read_at - OVERLAP_SECONDS
            rows = statistics.trained(session, since if self._known is not None else now)
            if self._known is not None:
                self._total += sum(self._new(row, since) for row in rows)
            self._known = {row.experiment_id: row.epochs for row in rows}
            self._read_at = now
            return CounterMetricFamily("epochd_epochs", "Epochs that were trained, over all runs.", self._total)

    def _new(self, row: statistics.Trained, since: float) -> int:
        known = (self._known or {}).get(row.experiment_id, 0 if row.started_at >= since else row.epochs)
        return max(row.epochs - known, 0)


def _queues(session: Session) -> Iterator[Metric]:
    depth = GaugeMetricFamily("epochd_queue_jobs", "Jobs that wait.", labels=["queue"])
    age = GaugeMetricFamily("epochd_queue_oldest_seconds", "How long the oldest of them has waited.", labels=["queue"])
    found = statistics.queues(session)
    for queue in sorted({"cpu", "gpu", *found}):
        one = found.get(queue, statistics.QueueDepth(0, 0.0))
        depth.add_metric([queue], one.jobs)
        age.add_metric([queue], one.oldest_seconds)
    yield from (depth, age)


def _runs(session: Session) -> Metric:
    runs = GaugeMetricFamily("epochd_runs", "Runs there are, by status.", labels=["status"])
    for status, count in statistics.runs_by_status(session).items():
        runs.add_metric([status], count)
    return runs


def _workers(session: Session) -> Iterator[Metric]:
    labels = ["worker", "device"]
    silent = GaugeMetricFamily(
        "epochd_worker_heartbeat_age_seconds", "Since it last said that it lives.", labels=labels
    )
    busy = GaugeMetricFamily("epochd_worker_busy", "Whether it trains a job.", labels=labels)
    for worker in statistics.workers(session):
        silent.add_metric([worker.name, worker.device], worker.silent_seconds)
        busy.add_metric([worker.name, worker.device], worker.is_busy)
    yield from (silent, busy)


def _gauge(name: str, about: str, value: float) -> Metric:
    return GaugeMetricFamily(f"epochd_{name}", about, value)
