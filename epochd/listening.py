"""The socket that the service listens at: opened on loopback addresses freely, on others once there is a key."""

import ipaddress
import socket

from epochd.starting import CannotStart
from store import keys
from store.engine import Database, make_engine

BACKLOG = 2048


class CannotServe(CannotStart):
    """The service cannot be started."""


def listen(host: str, port: int, database_url: str) -> socket.socket:
    """Open the socket; raises CannotServe, as where others would reach it and the database has no key."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        if not ipaddress.ip_address(address[0]).is_loopback:
            _require_key(host, database_url)
        return socket.create_server(address[:2], family=family, backlog=BACKLOG)
    except OSError as problem:
        raise CannotServe(
            f"Cannot serve at {host}, port {port}: {problem.strerror or problem}. "
            "Choose another with --host and --port; --port 0 takes any free one."
        ) from None


def reachable(listening: socket.socket) -> tuple[str, int]:
    """Return an address under which this machine reaches the socket."""
    host, port = listening.getsockname()[:2]
    everywhere = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared, not served at
    return everywhere.get(host, host), port


def url(listening: socket.socket) -> str:
    """Return the URL under which this machine reaches the socket."""
    host, port = reachable(listening)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _require_key(host: str, database_url: str) -> None:
    database = Database(make_engine(database_url))
    try:
        with database.read() as session:
            has_key = keys.is_any_valid(session)
    finally:
        database.dispose()
    if not has_key:
        raise CannotServe(
            f"Other machines reach {host}, and there is no API key yet: make one with `epochd keys create`, "
            "for the same data folder and database, and start again."
        )
