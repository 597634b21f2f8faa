"""How far experiments have come, shown until all are final: bars on a terminal, lines in a log."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Protocol

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from epochd.client import FINAL, Client
from epochd.transport import Json

LOOK_SECONDS: Final = 0.2


class Display(Protocol):
    """Shows how far the experiments have come."""

    def update(self, index: int, experiment: Json) -> None:
        """Take in the news of one experiment."""


class Bars:
    """A progress bar per experiment, on a terminal."""

    def __init__(self, progress: Progress, experiments: list[Json]) -> None:
        self._progress = progress
        self._tasks: list[TaskID] = [
            progress.add_task(
                escape(each["name"]), start=False, total=each["progress"]["epochs"], status=each["status"]
            )
            for each in experiments
        ]

    def update(self, index: int, experiment: Json) -> None:
        """Move the bar; the clock runs from the first epoch to the last."""
        task = self._tasks[index]
        if experiment["started_at"] is not None and not self._progress.tasks[index].started:
            self._progress.start_task(task)
        self._progress.update(task, completed=experiment["progress"]["epochs_done"], status=experiment["status"])
        if experiment["status"] in FINAL:
            self._progress.stop_task(task)


class Lines:
    """A line at each quarter of an experiment, in a log."""

    def __init__(self, console: Console, experiments: list[Json]) -> None:
        self._console = console
        self._shown = [-1] * len(experiments)

    def update(self, index: int, experiment: Json) -> None:
        """Print a line when another quarter is done."""
        progress = experiment["progress"]
        quarter = 5 if experiment["status"] in FINAL else int(4 * progress["fraction"])
        if quarter > self._shown[index]:
            self._shown[index] = quarter
            place = f"{progress['epochs_done']}/{progress['epochs']} epochs"
            self._console.print(f"{experiment['name']}: {experiment['status']}, {place}", highlight=False, markup=False)


@contextmanager
def _display(experiments: list[Json], console: Console) -> Iterator[Display]:
    if not console.is_terminal:
        yield Lines(console, experiments)
        return
    text, status = TextColumn("{task.description}"), TextColumn("{task.fields[status]}")
    with Progress(text, BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), status, console=console) as progress:
        yield Bars(progress, experiments)


def watch(client: Client, tag: str, experiments: list[Json], console: Console) -> list[Json]:
    """Look at all experiments, with one request, until each is final; returns them in the order of `experiments`."""
    with _display(experiments, console) as display:
        while True:
            found = {each["id"]: each for each in client.experiments(tag=tag)}
            latest = [found[each["id"]] for each in experiments]
            for index, experiment in enumerate(latest):
                display.update(index, experiment)
            if all(each["status"] in FINAL for each in latest):
                return latest
            time.sleep(LOOK_SECONDS)
