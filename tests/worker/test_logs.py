"""What log lines look like, and what they carry."""

import json
import logging
import sys
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from worker.logs import ConsoleFormatter, JsonFormatter, LogSettings, configure_logging, log_context

logger = logging.getLogger("epochd.test")


@pytest.fixture
def as_it_was() -> Iterator[None]:
    """The root logger, as it was before."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level


def record(message: str, *arguments: object, **more: Any) -> logging.LogRecord:
    made = logging.makeLogRecord({"name": "epochd.test", "levelname": "INFO", "msg": message, "args": arguments})
    made.__dict__.update(more)
    return made


def test_a_line_for_people_says_what_it_belongs_to() -> None:
    with log_context(request_id="abc", experiment_id=None), log_context(job_id=7):
        line = ConsoleFormatter("slot-1").format(record("%d runs", 3))
    assert line.endswith("INFO slot-1: 3 runs request_id=abc job_id=7")
    assert ConsoleFormatter("slot-1").format(record("done")).endswith("INFO slot-1: done")


def test_a_line_for_programs_is_one_json_object() -> None:
    with log_context(request_id="abc"):
        line = JsonFormatter("api").format(record("%s\nλ", "two lines", fields={"status": 200}))
    assert "\n" not in line
    said = json.loads(line)
    assert (said["message"], said["level"], said["process"], said["logger"]) == (
        "two lines\nλ",
        "info",
        "api",
        "epochd.test",
    )
    assert (said["request_id"], said["status"]) == ("abc", 200)
    assert datetime.fromisoformat(said["time"]).tzinfo is not None


def test_an_exception_stays_in_its_line() -> None:
    try:
        raise ZeroDivisionError("nothing")
    except ZeroDivisionError:
        line = JsonFormatter("api").format(record("failed", exc_info=sys.exc_info()))
    assert "ZeroDivisionError: nothing" in json.loads(line)["exception"]
    assert "\n" not in line


@pytest.mark.usefixtures("as_it_was")
def test_the_environment_chooses_the_format(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("EPOCHD_LOG_FORMAT", "json")
    configure_logging("janitor")
    logger.info("hello")
    assert json.loads(capsys.readouterr().err)["message"] == "hello"
    configure_logging("janitor", LogSettings(log_format="console"))
    logger.info("hello")
    assert capsys.readouterr().err.endswith("INFO janitor: hello\n")
