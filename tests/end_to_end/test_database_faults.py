"""The database goes away for a while: training goes on, and nothing is lost."""

import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import text

from store.engine import make_engine
from tests.conftest import migrate
from tests.end_to_end.conftest import make_data
from tests.end_to_end.history import assert_told_once, crashes
from tests.end_to_end.service import OFTEN, PAUSE, Service, serving
from tests.end_to_end.specs import POLYNOMIAL, QUICK
from tests.servers import Server, fresh_database
from tests.stacks import Stack
from tests.waiting import wait_until

LONG = {**POLYNOMIAL, "epochs": 10_000}
OUTAGE_SECONDS = 3.0  # shorter than the lease, and than training LONG takes
LOCKED_SECONDS = 5.0

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def on_postgresql(
    mortal_postgresql: Server, redis: Iterator[str], tmp_path_factory: pytest.TempPathFactory, sample_root: Path
) -> Iterator[Service]:
    """A service whose PostgreSQL may be restarted."""
    data = make_data(tmp_path_factory.mktemp("service"), sample_root)
    with fresh_database(mortal_postgresql.url) as url:
        migrate(url)
        with serving(data, stack=Stack(url, next(redis)), settings=OFTEN) as service:
            yield service


def restart(service: Service, server: Server) -> None:
    server.end(signal.SIGINT)
    time.sleep(OUTAGE_SECONDS)
    server.start()


def kill_and_recover(service: Service, server: Server) -> None:
    server.end(signal.SIGQUIT)  # as after a crash: it recovers from its log
    server.start()


def terminate_connections(service: Service, server: Server) -> None:
    engine = make_engine(server.url)
    terminate = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
    cut = 0
    for _ in range(3):
        with engine.connect() as connection:
            cut += connection.scalar(text(f"{terminate} AND backend_type = 'client backend'")) or 0
        time.sleep(0.3)
    engine.dispose()
    assert cut


@pytest.mark.parametrize("fault", [restart, kill_and_recover, terminate_connections])
def test_training_goes_on_while_postgresql_is_away_and_the_lease_survives(
    on_postgresql: Service, mortal_postgresql: Server, fault: Callable[[Service, Server], None]
) -> None:
    experiment = on_postgresql.submit(LONG)
    on_postgresql.wait_for_epoch(experiment, 200)
    fault(on_postgresql, mortal_postgresql)
    wait_until(lambda: on_postgresql.http.get("/healthz").status_code == 200, what="the API answers", pause=PAUSE)
    run = on_postgresql.wait_for_end(experiment)
    assert (run["status"], run["claims"]) == ("succeeded", 1)
    assert crashes(assert_told_once(on_postgresql, experiment)) == []
    assert on_postgresql.wait_for_end(on_postgresql.submit(QUICK))["status"] == "succeeded"


def test_requests_are_told_that_postgresql_is_away(on_postgresql: Service, mortal_postgresql: Server) -> None:
    mortal_postgresql.end(signal.SIGINT)
    try:
        answers = [on_postgresql.http.get("/v1/experiments"), on_postgresql.http.get("/readyz")]
        answers.append(on_postgresql.http.post("/v1/experiments", json={"spec": QUICK}))
    finally:
        mortal_postgresql.start()
    assert [answer.status_code for answer in answers] == [503] * 3
    assert "database" in answers[0].json()["detail"]
    assert on_postgresql.wait_for_end(on_postgresql.submit(QUICK))["status"] == "succeeded"


def test_sqlite_locked_five_seconds_by_another_writer_fails_nobody(service: Service) -> None:
    experiment = service.submit(LONG)
    service.wait_for_epoch(experiment, 200)
    other = sqlite3.connect(service.data / "epochd.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with ThreadPoolExecutor(1) as pool:
        posted = pool.submit(service.submit, QUICK)
        held_until = time.monotonic() + LOCKED_SECONDS
        while time.monotonic() < held_until:
            assert service.get(f"/v1/experiments/{experiment}")["status"] == "running"  # who reads need not wait
            time.sleep(PAUSE)
        assert not posted.done()
        other.execute("COMMIT")
        other.close()
        queued = posted.result(20)
    for each in (experiment, queued):
        run = service.wait_for_end(each)
        assert (run["status"], run["claims"]) == ("succeeded", 1)
        assert crashes(assert_told_once(service, each)) == []
