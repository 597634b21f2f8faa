"""Hints are lost, damaged, held up and repeated: the database knows what waits, so every run is trained, once."""

import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
import redis

from store import experiments
from store.engine import Database, make_engine
from store.experiments import NewJob
from tests.end_to_end.conftest import make_data
from tests.end_to_end.history import assert_told_once
from tests.end_to_end.service import OFTEN, PAUSE, Service, serving
from tests.end_to_end.specs import POLYNOMIAL, QUICK
from tests.servers import Server, fresh_database
from tests.stacks import Stack
from tests.waiting import wait_until
from worker.broker import TASK, make_app

QUICKLY = 0.5  # seconds that a POST may take whatever the broker does
DAMAGED = ("", '{"body": "W10', "[]", "{}")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def on_redis(
    mortal_redis: Server,
    postgresql: str,
    postgresql_template: str,
    tmp_path_factory: pytest.TempPathFactory,
    sample_root: Path,
) -> Iterator[Service]:
    """A service whose Redis may be killed and frozen."""
    data = make_data(tmp_path_factory.mktemp("service"), sample_root)
    with (
        fresh_database(postgresql, postgresql_template) as url,
        serving(data, stack=Stack(url, mortal_redis.url), settings=OFTEN) as service,
    ):
        yield service


def submit_quickly(service: Service) -> str:
    took = []
    for _ in range(3):  # the quickest counts: this machine does other things too
        start = time.monotonic()
        experiment = service.submit(QUICK)
        took.append(time.monotonic() - start)
        if took[-1] < QUICKLY:
            return experiment
    raise AssertionError(f"a submission took {min(took):.1f} s")


def assert_the_broker_is_missing(service: Service) -> None:
    answer = service.http.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["detail"] == "Missing: the broker, which does not answer."


def assert_trained(service: Service, *ids: str) -> None:
    for experiment in ids:
        run = service.wait_for_end(experiment)
        assert (run["status"], run["claims"]) == ("succeeded", 1)
        assert_told_once(service, experiment)
    assert service.get("/readyz")["status"] == "ready"


def test_redis_killed_and_restarted_empty_loses_no_queued_run(on_redis: Service, mortal_redis: Server) -> None:
    running = on_redis.submit(POLYNOMIAL)
    on_redis.wait_for_epoch(running, 1)
    queued = [on_redis.submit(QUICK) for _ in range(3)]
    mortal_redis.kill()
    mortal_redis.start()
    assert_trained(on_redis, running, *queued)


def test_flushall_loses_no_queued_run(on_redis: Service, mortal_redis: Server) -> None:
    running = on_redis.submit(POLYNOMIAL)
    on_redis.wait_for_epoch(running, 1)
    queued = [on_redis.submit(QUICK) for _ in range(3)]
    with redis.Redis.from_url(mortal_redis.url) as client:
        client.flushall()
    assert_trained(on_redis, running, *queued)


def test_redis_down_at_submit_holds_nobody_up(on_redis: Service, mortal_redis: Server) -> None:
    mortal_redis.kill()
    submitted = [submit_quickly(on_redis) for _ in range(5)]
    assert_the_broker_is_missing(on_redis)
    mortal_redis.start()
    assert_trained(on_redis, *submitted)


def test_redis_frozen_at_submit_holds_nobody_up(on_redis: Service, mortal_redis: Server) -> None:
    mortal_redis.freeze()
    try:
        submitted = [submit_quickly(on_redis) for _ in range(5)]
        assert_the_broker_is_missing(on_redis)
    finally:
        mortal_redis.thaw()
    assert_trained(on_redis, *submitted)


def test_an_api_killed_between_commit_and_publish_leaves_the_hint_to_the_janitor(
    on_redis: Service, mortal_redis: Server
) -> None:
    mortal_redis.freeze()
    try:
        submitted = submit_quickly(on_redis)
        api = on_redis.api()
        api.kill()
        api.wait(5)
    finally:
        mortal_redis.thaw()
    assert httpx2.get(f"{on_redis.url}/healthz", timeout=20).status_code == 200  # it was started again
    on_redis.reconnect()
    assert_trained(on_redis, submitted)


def test_what_was_committed_and_never_published_is_trained(either: Service) -> None:
    database = Database(make_engine(either.stack.settings(either.data).url))
    spec = either.run_of(either.submit(QUICK))["spec"]
    with database.write() as session:
        made = experiments.create(
            session, request={"spec": QUICK}, owner="local", jobs=[NewJob("cpu", [spec])], code_version="test"
        )
    database.dispose()
    assert_trained(either, str(made.id))


def test_the_same_hint_delivered_ten_times_makes_one_claim(either: Service) -> None:
    app = make_app(either.stack.settings(either.data))
    either.child().suspend()
    try:
        experiment = either.submit(QUICK)
        for _ in range(10):
            app.send_task(TASK, queue="cpu")
    finally:
        either.child().resume()
        app.close()
    assert_trained(either, experiment)
    assert_trained(either, either.submit(QUICK))


def test_a_half_written_or_empty_message_stops_nobody(either: Service) -> None:
    slot = either.slot()
    if either.stack.broker_url is None:
        broken = [either.data / "broker" / f"00_damaged_{number}.cpu.msg" for number in range(len(DAMAGED))]
        for file, content in zip(broken, DAMAGED, strict=True):
            file.write_text(content)
        wait_until(lambda: not any(file.exists() for file in broken), what="they are dropped", pause=PAUSE)
    else:
        with redis.Redis.from_url(either.stack.broker_url) as client:
            client.lpush("cpu", *DAMAGED)
            wait_until(lambda: not client.exists("cpu"), what="they are dropped", pause=PAUSE)
    assert_trained(either, either.submit(QUICK))
    assert slot.is_running()
    assert either.log().count("dropped a damaged message") >= len(DAMAGED)
