"""What is made sure of before anything starts to work."""

import logging
import os
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from store.errors import DatabaseUnreachable, SchemaOutdated
from store.settings import StoreSettings
from store.startup import prepare, require_database
from tests.conftest import migrate
from tests.servers import Server, fresh_database
from tests.stacks import STACKS

NOBODY = "postgresql://epochd:secret@127.0.0.1:9/epochd"


@pytest.fixture(params=STACKS)
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[StoreSettings]:
    """Settings of a database without tables."""
    if request.param == "embedded":
        yield StoreSettings(data=tmp_path, database_url=None)
    else:
        with fresh_database(request.getfixturevalue("postgresql")) as url:
            yield StoreSettings(data=tmp_path, database_url=url)


def test_a_database_with_todays_tables_is_fine(settings: StoreSettings) -> None:
    migrate(settings.url)
    require_database(settings)


@pytest.mark.parametrize("revision", [None, "0001"], ids=["empty", "old"])
def test_other_tables_are_refused_with_the_way_out(settings: StoreSettings, revision: str | None) -> None:
    if revision is not None:
        migrate(settings.url, revision)
    with pytest.raises(SchemaOutdated, match=r"python -m store\.schema"):
        require_database(settings)


def test_where_there_are_no_tables_they_are_made(settings: StoreSettings) -> None:
    prepare(settings)
    require_database(settings)


def test_nobody_else_may_read_the_data(tmp_path: Path) -> None:
    settings = StoreSettings(data=tmp_path / "new", database_url=None)
    prepare(settings)
    with closing(sqlite3.connect(settings.file)) as connection:
        connection.execute(
            "INSERT INTO api_keys (id, name, owner, scopes, sha256, created_at) VALUES (1, 1, 1, 1, 1, 1)"
        )
        files = [file for file in settings.data.iterdir() if file.name.startswith("epochd.db")]
        assert len(files) == 3
        assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


def test_old_tables_are_migrated_in_the_data_folder_and_left_alone_elsewhere(settings: StoreSettings) -> None:
    migrate(settings.url, "0001")
    if settings.database_url is None:
        prepare(settings)
    else:
        with pytest.raises(SchemaOutdated):
            prepare(settings)
        environment = os.environ | {"EPOCHD_DATABASE_URL": settings.database_url}
        subprocess.run([sys.executable, "-m", "store.schema"], env=environment, check=True, capture_output=True)
    require_database(settings)


def test_a_database_that_does_not_answer_is_named_without_its_password(tmp_path: Path) -> None:
    settings = StoreSettings(data=tmp_path, database_url=NOBODY, start_seconds=0.1)
    with pytest.raises(DatabaseUnreachable, match=r"127\.0\.0\.1:9/epochd.*EPOCHD_DATABASE_URL") as refused:
        require_database(settings)
    assert "secret" not in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_folder_that_is_not_there_is_not_waited_for(tmp_path: Path) -> None:
    start = time.monotonic()
    with pytest.raises(DatabaseUnreachable, match=r"nowhere.*`python -m store\.schema`.*EPOCHD_DATA\."):
        require_database(StoreSettings(data=tmp_path / "nowhere", database_url=None))
    named = f"sqlite:///{tmp_path / 'nowhere' / 'named.db'}"
    with pytest.raises(DatabaseUnreachable, match=r"named\.db.*Make its folder.*EPOCHD_DATABASE_URL"):
        require_database(StoreSettings(data=tmp_path, database_url=named))
    assert time.monotonic() - start < 20


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DatabaseUnreachable, match=r"cannot be made: Not a directory\. .*EPOCHD_DATA"):
        prepare(StoreSettings(data=tmp_path / "file" / "data", database_url=None))


def test_a_server_that_comes_up_late_is_waited_for(
    mortal_postgresql: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with fresh_database(mortal_postgresql.url) as url:
        settings = StoreSettings(data=tmp_path, database_url=url)
        migrate(settings.url)
        mortal_postgresql.end(signal.SIGINT)
        start = threading.Timer(1.0, mortal_postgresql.start)
        start.start()
        with caplog.at_level(logging.WARNING):
            require_database(settings)
        start.join()
    said = [record.getMessage() for record in caplog.records if "waiting for the database" in record.getMessage()]
    assert len(said) == 1
