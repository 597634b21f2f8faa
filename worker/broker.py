"""The Celery app and the publisher of hints: messages that say no more than "there is work in this queue"."""

import logging
import queue
import ssl
import threading
from typing import Any

from celery import Celery

from worker.settings import WorkerSettings

logger = logging.getLogger(__name__)

TASK = "epochd.work"
MOST_WAITING = 256  # hints a publisher holds while its broker is away; the janitor publishes again what is dropped
CLOSE_SECONDS = 5.0
LOOK_SECONDS = 0.2  # how late the thread notices that it was closed


def make_app(settings: WorkerSettings) -> Celery:
    """Build the app that publishes and receives hints.

    Hints are acknowledged before they are worked on and their tasks return nothing: what is to be done, and what came
    of it, is known to the database alone.
    """
    app = Celery("epochd", set_as_current=False)
    app.conf.update(
        task_serializer="json",
        accept_content=["json"],
        result_backend=None,
        task_ignore_result=True,
        task_acks_late=False,
        task_publish_retry_policy={"max_retries": 1, "interval_start": 0, "interval_step": 0.1, "interval_max": 0.1},
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,  # a broker may be away for hours
        worker_pool="prefork",
        worker_concurrency=1,
        worker_prefetch_multiplier=1,
        worker_proc_alive_timeout=120.0,  # a child imports torch before it says that it is up
        worker_enable_remote_control=False,  # the workers table tells who lives, on every broker
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
    )
    app.conf.update(_filesystem(settings) if settings.broker_url is None else _server(settings.broker_url))
    return app


def _filesystem(settings: WorkerSettings) -> dict[str, Any]:
    folder = settings.broker_folder
    folder.mkdir(parents=True, exist_ok=True)
    return {
        "broker_url": "filesystem://localhost",
        "broker_transport": "worker.filesystem:Transport",
        "broker_transport_options": {"data_folder_in": str(folder), "data_folder_out": str(folder)},
    }


def _server(url: str) -> dict[str, Any]:
    shared = {"broker_url": url, "broker_connection_timeout": 2.0}
    if not url.startswith(("redis://", "rediss://")):
        return shared
    return {
        **shared,
        # The URL's own ssl_… parameters come first; the transport by itself would trust any certificate.
        "broker_use_ssl": {"ssl_cert_reqs": ssl.CERT_REQUIRED} if url.startswith("rediss:") else None,
        "broker_transport": "worker.redis_transport:Transport",
        "broker_transport_options": {"socket_timeout": 2.0, "socket_connect_timeout": 2.0, "socket_keepalive": True},
        "worker_disable_prefetch": True,  # Celery has it for Redis only
    }


class Publisher:
    """Publishes hints from a thread of its own, so that a broker that is down or frozen never holds up its caller."""

    def __init__(self, app: Celery) -> None:
        self._app = app
        self._waiting: queue.Queue[str] = queue.Queue(MOST_WAITING)
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="publisher", daemon=True)
        self._thread.start()

    def publish(self, queue_name: str) -> None:
        """Say that there is work in a queue; returns at once and never raises."""
        try:
            self._waiting.put_nowait(queue_name)
        except queue.Full:
            logger.warning("the broker is slow: a hint was dropped, the janitor will publish it again")

    def publish_for(self, queue_name: str, jobs: int, workers: int) -> None:
        """Publish a hint for each of so many new jobs, but not more than there are workers: each goes on by itself."""
        for _ in range(min(jobs, max(workers, 1))):
            self.publish(queue_name)

    def is_broker_there(self) -> bool:
        """Return whether the broker answers; one that is frozen takes some seconds to say no."""
        try:
            with self._app.connection_for_write() as connection:
                connection.connect()
        except Exception as problem:  # whatever a broker raises
            logger.warning("the broker does not answer: %s", problem)
            return False
        return True

    def close(self) -> None:
        """Publish what waits, for at most some seconds, and end the thread."""
        self._closed.set()
        self._thread.join(CLOSE_SECONDS)

    def _run(self) -> None:
        with self._app.connection_for_write() as connection:  # Celery's pool would be shared with other publishers
            producer = self._app.amqp.Producer(connection, auto_declare=False)
            while (name := self._next()) is not None:
                try:
                    self._app.send_task(TASK, queue=name, producer=producer)
                except Exception as problem:  # whatever a broker raises, later hints get their chance
                    self._drop_waiting(problem)

    def _next(self) -> str | None:
        """Wait for the next queue to publish to; None when there is none and the publisher was closed."""
        while True:
            try:
                return self._waiting.get(timeout=LOOK_SECONDS)
            except queue.Empty:
                if self._closed.is_set():
                    return None

    def _drop_waiting(self, problem: Exception) -> None:
        """Forget the hints that wait too: each would have to wait for the broker as long as the first one did."""
        dropped = 1
        while not self._waiting.empty():
            self._waiting.get_nowait()
            dropped += 1
        logger.warning("%d hints were not published, the janitor will do it again: %s", dropped, problem)
