"""Publishing hints."""

import socket
import time
from pathlib import Path
from typing import Any

from worker.broker import TASK, Publisher, make_app
from worker.settings import WorkerSettings


def hints(settings: WorkerSettings, queue: str) -> list[Any]:
    app = make_app(settings)
    with app.connection_for_read() as connection, connection.channel() as channel:
        messages = iter(lambda: channel.basic_get(queue, no_ack=True), None)
        return [message.headers["task"] for message in messages]


def test_what_was_published_before_closing_arrives(tmp_path: Path) -> None:
    settings = WorkerSettings(data=tmp_path, broker_url=None)
    publisher = Publisher(make_app(settings))
    for queue in ("cpu", "gpu", "cpu"):
        publisher.publish(queue)
    publisher.close()
    assert hints(settings, "cpu") == [TASK, TASK]
    assert hints(settings, "gpu") == [TASK]


def test_a_frozen_broker_holds_nobody_up(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as frozen:  # accepts connections, and says nothing
        url = f"redis://127.0.0.1:{frozen.getsockname()[1]}/0"
        publisher = Publisher(make_app(WorkerSettings(data=tmp_path, broker_url=url)))
        start = time.monotonic()
        for _ in range(1000):
            publisher.publish("cpu")
        assert time.monotonic() - start < 0.5
        publisher.close()
        assert time.monotonic() - start < 6


def test_a_publisher_goes_on_after_its_broker_was_away(tmp_path: Path) -> None:
    settings = WorkerSettings(data=tmp_path, broker_url=None)
    publisher = Publisher(make_app(settings))
    settings.broker_folder.rmdir()
    publisher.publish("cpu")
    publisher.close()
    again = Publisher(make_app(settings))
    again.publish("cpu")
    again.close()
    assert hints(settings, "cpu") == [TASK]


def test_closing_twice_is_closing_once(tmp_path: Path) -> None:
    publisher = Publisher(make_app(WorkerSettings(data=tmp_path, broker_url=None)))
    publisher.close()
    publisher.close()
