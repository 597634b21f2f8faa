"""An API behind a real server, in a thread of the test: what streams need, and what a stop and a start show."""

import socket
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx2
import uvicorn

from api.app import create_app
from api.settings import ApiSettings
from tests.waiting import wait_until

GRACE_SECONDS = 3


@dataclass
class Live:
    """A server at an address that stays, however often it is stopped and started."""

    settings: ApiSettings
    address: str = ""
    _port: int = 0
    _server: uvicorn.Server | None = field(default=None, repr=False)
    _thread: threading.Thread | None = field(default=None, repr=False)

    def start(self) -> None:
        listening = socket.create_server(("127.0.0.1", self._port))
        self._port = listening.getsockname()[1]
        self.address = f"http://127.0.0.1:{self._port}"
        app = create_app(self.settings, is_stopping=lambda: server.should_exit)
        config = uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=GRACE_SECONDS)
        self._server = server = uvicorn.Server(config)
        self._thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        self._thread.start()
        wait_until(lambda: server.started, what="the server has started")

    def stop(self) -> None:
        assert self._server is not None
        assert self._thread is not None
        self._server.should_exit = True
        self._thread.join(10 * GRACE_SECONDS)
        assert not self._thread.is_alive()

    def client(self) -> httpx2.Client:
        return httpx2.Client(base_url=self.address, timeout=20)

    def waiting(self) -> int:
        """How many streams and waits there are, as the server's own metrics say."""
        for line in httpx2.get(f"{self.address}/metrics").text.splitlines():
            if line.startswith("epochd_waiting_requests "):
                return int(float(line.split()[1]))
        raise AssertionError("no such metric")


@contextmanager
def serving(settings: ApiSettings) -> Iterator[Live]:
    live = Live(settings)
    live.start()
    try:
        yield live
    finally:
        live.stop()


def follow(client: httpx2.Client, path: str, last_id: str | None = None, **params: Any) -> Generator[Any, None, None]:
    """Yield the events of a stream as they come, until it ends."""
    headers = {} if last_id is None else {"Last-Event-ID": last_id}
    with client.sse(path, params=params, headers=headers) as source:
        assert source.response.status_code == 200, source.response.read()
        yield from source
