"""The API as a process: on a socket that its supervisor opened for it and with which it ends, or on one of its own."""

import argparse
import gc
import socket
import sys

import uvicorn

from api.app import create_app
from api.settings import ApiSettings
from epochd.listening import listen
from epochd.starting import CannotStart, database_explained, settings_explained
from store.errors import StoreError
from store.startup import require_database
from worker.lifeline import end_with
from worker.logs import configure_logging

LAST_PORT = 65535
GRACE_SECONDS = 3  # for requests in flight and open streams
SWITCH_SECONDS = 0.0005
"""How long a thread that computes an answer keeps the event loop, and so everybody else, from going on."""
GARBAGE = 10_000
"""Objects to be made before garbage is looked for; with Python's 700 a class of sixty waited for that at every turn."""


def main() -> int:
    """Serve until told to stop."""
    parser = argparse.ArgumentParser(prog="python -m epochd.serve", description=main.__doc__)
    parser.add_argument("--socket", type=int, help="file descriptor of a listening socket, instead of an address")
    parser.add_argument("--host", default="127.0.0.1", help="address to serve at (127.0.0.1)")
    parser.add_argument("--port", type=_port, default=8000, help="port to serve at (8000)")
    asked = parser.parse_args()
    try:
        with settings_explained():
            settings = ApiSettings()
            configure_logging("api")
        end_with(settings.lifeline)
        with database_explained(settings):
            listening = _listening(asked, settings)
    except (CannotStart, StoreError) as problem:
        sys.stderr.write(f"{problem}\n")
        return 1
    sys.setswitchinterval(SWITCH_SECONDS)
    gc.freeze()  # what has been imported stays
    gc.set_threshold(GARBAGE)
    app = create_app(settings, is_stopping=lambda: server.should_exit)
    config = uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=GRACE_SECONDS)
    server = uvicorn.Server(config)
    server.run(sockets=[listening])
    return 0 if server.started else 1


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > LAST_PORT:
        raise argparse.ArgumentTypeError(f"{text} is no port: they are 0, which takes any free one, to {LAST_PORT}")
    return int(text)


def _listening(asked: argparse.Namespace, settings: ApiSettings) -> socket.socket:
    if asked.socket is not None:
        return socket.socket(fileno=asked.socket)
    require_database(settings)
    return listen(asked.host, asked.port, settings.url)


if __name__ == "__main__":
    sys.exit(main())
