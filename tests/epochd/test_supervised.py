"""A process that is started again whenever it ends."""

import subprocess
import sys
from typing import Any

import pytest

from epochd.supervisor import Supervised
from tests.waiting import wait_until


def test_what_cannot_be_started_now_is_started_later(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    start, tries = subprocess.Popen, []

    def fail_at_first(*arguments: Any, **options: Any) -> "subprocess.Popen[bytes]":
        tries.append(arguments)
        if len(tries) < 3:
            raise BlockingIOError(11, "Resource temporarily unavailable")
        return start(*arguments, **options)

    monkeypatch.setattr(subprocess, "Popen", fail_at_first)
    process = Supervised("api", ["-c", "input()"], {}, ())

    def is_started() -> bool:
        process.look()
        return process.process is not None

    wait_until(is_started)
    assert len(tries) == 3
    assert process.process is not None
    assert process.process.args[0] == sys.executable  # type: ignore[index]
    assert "could not be started: [Errno 11]" in caplog.text
    process.process.wait(30)
