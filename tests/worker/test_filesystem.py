"""Celery's filesystem transport, as epochd uses it."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from queue import Empty
from typing import Any

import pytest
from celery import Celery
from celery.worker import state

from tests.waiting import wait_until
from worker import filesystem
from worker.broker import make_app
from worker.settings import WorkerSettings

EXCHANGE = Path(__file__).with_name("exchange.py")


@pytest.fixture
def settings(tmp_path: Path) -> WorkerSettings:
    return WorkerSettings(data=tmp_path, broker_url=None)


@pytest.fixture
def channel(settings: WorkerSettings) -> Iterator[Any]:
    app: Celery = make_app(settings)
    with app.connection_for_read() as connection, connection.channel() as channel:
        yield channel


def start(role: str, folder: Path, name: str | Path, count: int) -> "subprocess.Popen[bytes]":
    folder.mkdir(exist_ok=True)
    return subprocess.Popen([sys.executable, EXCHANGE, role, folder, name, str(count)])


def test_many_producers_and_consumers_lose_nothing_and_get_nothing_twice(tmp_path: Path) -> None:
    folder, files = tmp_path / "broker", [tmp_path / f"got-{number}" for number in range(3)]
    consumers = [start("consume", folder, file, 0) for file in files]
    producers = [start("produce", folder, f"p{number}", 200) for number in range(3)]
    assert [producer.wait(60) for producer in producers] == [0, 0, 0]
    assert start("produce", folder, "stop", len(consumers)).wait(60) == 0
    assert [consumer.wait(60) for consumer in consumers] == [0, 0, 0]
    got = [line for file in files for line in file.read_text().splitlines()]
    assert sorted(got) == sorted(f"p{producer}-{number}" for producer in range(3) for number in range(200))


@pytest.mark.parametrize("content", ["", "{", '{"body": "YQ==", "prop', "[]", "{}", '{"properties": {}}', "\x00" * 64])
def test_a_damaged_message_is_dropped_and_the_next_one_arrives(
    channel: Any, settings: WorkerSettings, content: str
) -> None:
    damaged = settings.broker_folder / "00_damaged.cpu.msg"
    damaged.write_text(content)
    channel.basic_publish(channel.prepare_message("whole"), exchange="", routing_key="cpu")
    message = channel.basic_get("cpu")
    assert message.body == b"whole"
    assert not damaged.exists()


def test_a_message_that_is_still_being_written_is_not_seen(channel: Any, settings: WorkerSettings) -> None:
    (settings.broker_folder / ".1_unfinished.cpu.msg").write_text("{")
    assert channel.basic_get("cpu") is None


def test_queues_are_apart_and_messages_keep_their_order(channel: Any) -> None:
    for queue, body in (("cpu", "first"), ("gpu", "other"), ("cpu", "second")):
        channel.basic_publish(channel.prepare_message(body), exchange="", routing_key=queue)
    assert [channel.basic_get("cpu").body for _ in range(2)] == [b"first", b"second"]
    assert channel.basic_get("gpu").body == b"other"


def test_who_waits_gets_a_message_at_once(settings: WorkerSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filesystem, "DRAIN_SECONDS", 100.0)
    with make_app(settings).connection_for_read() as connection:
        channel: Any = connection.channel()
        received: list[Any] = []
        channel.basic_consume("cpu", no_ack=True, callback=received.append, consumer_tag="tag")
        waiting = threading.Thread(target=connection.drain_events)
        waiting.start()
        wait_until(lambda: list(settings.broker_folder.glob("*.bell")), what="it waits")
        with make_app(settings).connection_for_write() as other, other.channel() as sender:
            sender.basic_publish(sender.prepare_message("hint"), exchange="", routing_key="cpu")
        waiting.join(50)
        assert not waiting.is_alive()
        assert [message.body for message in received] == [b"hint"]
    assert not list(settings.broker_folder.iterdir())


def test_without_named_pipes_it_looks_again_and_again(
    settings: WorkerSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "mkfifo", refuse)
    with make_app(settings).connection_for_read() as connection:
        channel: Any = connection.channel()
        received: list[Any] = []
        channel.basic_consume("cpu", no_ack=True, callback=received.append, consumer_tag="tag")
        with pytest.raises(TimeoutError):
            connection.drain_events()
        channel.basic_publish(channel.prepare_message("hint"), exchange="", routing_key="cpu")
        connection.drain_events()
        assert [message.body for message in received] == [b"hint"]


def test_a_worker_that_is_busy_leaves_messages_to_idle_ones(channel: Any) -> None:
    class Request:
        """Stands in a set of weak references."""

    received: list[Any] = []
    channel.basic_consume("cpu", no_ack=True, callback=received.append, consumer_tag="tag")
    channel.basic_publish(channel.prepare_message("hint"), exchange="", routing_key="cpu")
    request = Request()
    state.reserved_requests.add(request)
    with pytest.raises(Empty):
        channel.drain_events()
    state.reserved_requests.discard(request)
    channel.drain_events()
    assert len(received) == 1
