"""The API as a process of the supervisor: it serves on a socket that was opened for it, and ends with its starter."""

import argparse
import socket
import sys

import uvicorn

from worker.lifeline import end_with
from worker.logs import configure_logging
from worker.settings import WorkerSettings

GRACE_SECONDS = 3  # for requests in flight and open streams


def main() -> int:
    """Serve until told to stop."""
    parser = argparse.ArgumentParser(prog="python -m epochd.serve", description=main.__doc__)
    parser.add_argument("--socket", type=int, required=True, help="file descriptor of a listening socket")
    listening = socket.socket(fileno=parser.parse_args().socket)
    configure_logging("api")
    end_with(WorkerSettings().lifeline)
    config = uvicorn.Config(
        "api.app:create_app", factory=True, log_config=None, access_log=False, timeout_graceful_shutdown=GRACE_SECONDS
    )
    server = uvicorn.Server(config)
    server.run(sockets=[listening])
    return 0 if server.started else 1


if __name__ == "__main__":
    sys.exit(main())
