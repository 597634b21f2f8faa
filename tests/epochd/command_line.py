"""`epochd` as it is called in a terminal."""

import os
import socket
import subprocess
from pathlib import Path

from tests.end_to_end.service import EPOCHD


def epochd(*words: str | Path, given: str = "", **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [EPOCHD, *words],
        env={**os.environ, **environment},
        input=given,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def nobodys_address() -> str:
    """The URL of a port of this machine where nobody listens."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{unused.getsockname()[1]}"
