"""Publishing hints."""

import socket
import time
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from tests.servers import Server
from tests.waiting import wait_until
from worker.broker import TASK, Publisher, make_app
from worker.settings import WorkerSettings


@pytest.fixture(params=["filesystem", "redis"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> WorkerSettings:
    """Settings of either broker."""
    url = next(request.getfixturevalue("redis")) if request.param == "redis" else None
    return WorkerSettings(data=tmp_path, broker_url=url)


@pytest.mark.parametrize("url", ["redis://:secret@host:6379/0", "rediss://host", "memory://", None])
def test_addresses_of_brokers(url: str | None) -> None:
    assert WorkerSettings(broker_url=url).broker_url == url


@pytest.mark.parametrize("url", ["", "nonsense", "redis", "amqp://somebody:secret@host"])
def test_what_is_no_address_of_a_broker_is_refused_and_not_shown(url: str) -> None:
    with pytest.raises(ValidationError, match="redis://:password@host") as refused:
        WorkerSettings(broker_url=url)
    assert "secret" not in str(refused.value)


def hints(settings: WorkerSettings, queue: str) -> list[Any]:
    app = make_app(settings)
    with app.connection_for_read() as connection, connection.channel() as channel:
        messages = iter(lambda: channel.basic_get(queue, no_ack=True), None)
        return [message.headers["task"] for message in messages]


def published(publisher: Publisher, settings: WorkerSettings) -> list[Any]:
    """Publish another hint; return those that have arrived."""
    publisher.publish("gpu")
    return hints(settings, "gpu")


def test_what_was_published_before_closing_arrives(settings: WorkerSettings) -> None:
    publisher = Publisher(make_app(settings))
    for queue in ("cpu", "gpu", "cpu"):
        publisher.publish(queue)
    publisher.close()
    assert hints(settings, "cpu") == [TASK, TASK]
    assert hints(settings, "gpu") == [TASK]


def test_a_silent_broker_holds_nobody_up(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts connections, and says nothing
        url = f"redis://127.0.0.1:{silent.getsockname()[1]}/0"
        publisher = Publisher(make_app(WorkerSettings(data=tmp_path, broker_url=url)))
        start = time.monotonic()
        for _ in range(1000):
            publisher.publish("cpu")
        assert time.monotonic() - start < 5
        publisher.close()
        assert time.monotonic() - start < 20


def test_a_broker_that_freezes_holds_nobody_up_and_is_published_to_again(tmp_path: Path, mortal_redis: Server) -> None:
    settings = WorkerSettings(data=tmp_path, broker_url=mortal_redis.url)
    publisher = Publisher(make_app(settings))
    publisher.publish("gpu")
    wait_until(lambda: hints(settings, "gpu"))
    mortal_redis.freeze()
    start = time.monotonic()
    for _ in range(1000):
        publisher.publish("cpu")
    assert time.monotonic() - start < 5
    mortal_redis.thaw()
    wait_until(lambda: published(publisher, settings), pause=0.1)
    publisher.close()


def test_a_publisher_goes_on_after_its_broker_was_killed(tmp_path: Path, mortal_redis: Server) -> None:
    settings = WorkerSettings(data=tmp_path, broker_url=mortal_redis.url)
    publisher = Publisher(make_app(settings))
    publisher.publish("gpu")
    wait_until(lambda: hints(settings, "gpu"))
    mortal_redis.kill()
    publisher.publish("cpu")
    mortal_redis.start()
    wait_until(lambda: published(publisher, settings), pause=0.1)
    publisher.close()


def test_a_publisher_goes_on_after_its_folder_was_away(tmp_path: Path) -> None:
    settings = WorkerSettings(data=tmp_path, broker_url=None)
    publisher = Publisher(make_app(settings))
    settings.broker_folder.rmdir()
    publisher.publish("cpu")
    publisher.close()
    again = Publisher(make_app(settings))
    again.publish("cpu")
    again.close()
    assert hints(settings, "cpu") == [TASK]


def test_closing_twice_is_closing_once(settings: WorkerSettings) -> None:
    publisher = Publisher(make_app(settings))
    publisher.close()
    publisher.close()
