"""Processes that do something to one database at the same moment."""

import json
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from store.engine import Database

ROOT = Path(__file__).parents[2]


class Crew:
    """Processes that wait for tasks; they are started once, for a start takes longer than what they do."""

    def __init__(self, size: int) -> None:
        self._stack = ExitStack()
        self._processes = [self._stack.enter_context(_start()) for _ in range(size)]

    def do(self, database: Database, *tasks: tuple[str, ...]) -> list[Any]:
        """Do the tasks of tests.store.process, each in a process of its own; returns their results in order."""
        url = database.engine.url.render_as_string(hide_password=False)
        busy = self._processes[: len(tasks)]
        for process, (name, *arguments) in zip(busy, tasks, strict=True):
            assert process.stdin is not None
            process.stdin.write(json.dumps([name, url, *arguments]) + "\n")
            process.stdin.flush()
        return [json.loads(process.stdout.readline()) for process in busy if process.stdout is not None]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stack.__exit__(kind, error, at)


def _start() -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "tests.store.process"]
    return subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
