"""Starting while the servers are not there yet, or are not what they should be."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.conftest import migrate
from tests.end_to_end.service import EPOCHD, serving
from tests.end_to_end.specs import QUICK
from tests.servers import Server, fresh_database
from tests.stacks import Stack

UP = [EPOCHD, "up", "--port", "0", "--slots", "1"]
WORKER = [sys.executable, "-m", "worker"]
JANITOR = [sys.executable, "-m", "worker.janitor"]
ALL = pytest.mark.parametrize("command", [UP, WORKER, JANITOR], ids=["up", "worker", "janitor"])


def start(command: list[str], data: Path, **settings: str) -> "subprocess.CompletedProcess[str]":
    """Start what is expected to refuse."""
    environment = {**os.environ, "EPOCHD_DATA": str(data), **settings}
    command = [*command, "--data", str(data)] if "up" in command else command
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


@ALL
def test_tables_of_another_version_are_refused_with_the_command_that_migrates(
    command: list[str], postgresql: str, tmp_path: Path
) -> None:
    with fresh_database(postgresql) as url:
        migrate(url, "0001")
        refused = start(command, tmp_path, EPOCHD_DATABASE_URL=url)
    assert refused.returncode == 1
    assert "python -m store.schema" in refused.stderr
    assert "Traceback" not in refused.stderr


@ALL
def test_a_database_that_never_answers_is_given_up_with_a_message(command: list[str], tmp_path: Path) -> None:
    url = "postgresql://epochd:secret@127.0.0.1:9/epochd"
    refused = start(command, tmp_path, EPOCHD_DATABASE_URL=url, EPOCHD_START_SECONDS="1")
    assert refused.returncode == 1
    assert "waiting for the database" in refused.stderr
    assert "127.0.0.1:9/epochd does not answer" in refused.stderr
    assert "secret" not in refused.stderr
    assert "Traceback" not in refused.stderr


def test_servers_that_come_up_late_are_waited_for(mortal_postgresql: Server, mortal_redis: Server, data: Path) -> None:
    with fresh_database(mortal_postgresql.url) as url:
        migrate(url)
        mortal_postgresql.end(signal.SIGINT)
        mortal_redis.kill()
        late = [threading.Timer(3.0, server.start) for server in (mortal_postgresql, mortal_redis)]
        for timer in late:
            timer.start()
        with serving(data, stack=Stack(url, mortal_redis.url)) as service:
            assert "waiting for the database" in service.log()
            assert service.wait_for_end(service.submit(QUICK))["status"] == "succeeded"
        for timer in late:
            timer.join()
