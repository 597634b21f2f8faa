"""`epochd demo`: train the chapter's examples through a service of its own, over HTTP as any client would."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Protocol
from uuid import uuid4

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from epochd.client import FINAL, Client
from epochd.transport import EpochdError, Json

HOME: Final = Path("var")  # the images are fetched once, here
START_SECONDS: Final = 60.0
STOP_SECONDS: Final = 20.0  # a little more than `epochd up` gives its own processes
LOOK_SECONDS: Final = 0.2
PLAIN_WIDTH: Final = 150  # of a log
SHOWN_WEIGHTS: Final = 4
READY: Final = re.compile(r"ready at (http://\S+)")


class DemoFailed(Exception):
    """The demo cannot go on; str() says why."""


@dataclass(frozen=True)
class Example:
    """One experiment of the demo."""

    slug: str
    title: str
    spec: dict[str, Any]

    def request(self, demo: str) -> Json:
        """What is posted; the tag tells this demo's experiments from others in the same data folder."""
        return {"name": self.title, "tags": {"demo": demo}, "spec": {**self.spec, "seed": 0, "data_seed": 0}}


EXAMPLES: Final = (
    Example("mlp", "4.2 MLP, 60,000 images", {"variant": "mlp", "epochs": 10}),
    Example("polynomial-3", "4.4 polynomial, degree 3", {"variant": "polynomial", "degree": 3, "epochs": 400}),
    Example("polynomial-1", "4.4 polynomial, degree 1", {"variant": "polynomial", "degree": 1, "epochs": 400}),
    Example("polynomial-19", "4.4 polynomial, degree 19", {"variant": "polynomial", "degree": 19, "epochs": 1500}),
    Example("linear-0", "4.5 linear, λ = 0", {"variant": "linear", "weight_decay": 0}),
    Example("linear-3", "4.5 linear, λ = 3", {"variant": "linear", "weight_decay": 3}),
)


def demo(
    data: Annotated[
        Path | None, typer.Option(help="Data folder of the service; by default a fresh one.", file_okay=False)
    ] = None,
) -> None:
    """Start a service, train the chapter's examples through it, show what came out, and stop it."""
    received: list[int] = []

    def stop(number: int, _frame: object) -> None:
        received.append(number)  # an exception raised while Python cleans up is lost; this is not
        sys.exit(128 + number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)  # so that what was started is stopped
    try:
        succeeded = _demonstrate(data, _console())
    except (DemoFailed, EpochdError) as problem:
        Console(stderr=True).print(str(problem), markup=False)
        succeeded = False
    raise typer.Exit(128 + received[0] if received else int(not succeeded))


def _console() -> Console:
    console = Console()
    return console if console.is_terminal else Console(width=PLAIN_WIDTH)


def _demonstrate(data: Path | None, console: Console) -> bool:
    folder = _data_folder(data)
    with _service(folder, console) as url, Client(url) as client:
        name = str(uuid4())
        experiments = [client.submit(example.request(name)) for example in EXAMPLES]
        finished = _watch(client, f"demo:{name}", experiments, console)
        outcomes = [client.run(client.runs(experiment["id"])[0]["id"]) for experiment in finished]
        _show(client, outcomes, console)
        _save_pictures(client, outcomes, folder / "pictures", console)
    return all(run["status"] == "succeeded" for run in outcomes)


def _data_folder(data: Path | None) -> Path:
    """Return the folder for the service, with the images in it or, for a fresh folder, linked from beside it."""
    _fetch_images(data or HOME)
    if data is not None:
        return data.absolute()
    fresh = HOME.absolute() / "demo" / time.strftime("%Y%m%d-%H%M%S")
    fresh.mkdir(parents=True, exist_ok=True)
    link = fresh / "FashionMNIST"
    if not link.is_symlink():
        link.symlink_to(os.path.relpath(HOME / "FashionMNIST", fresh))
    return fresh


def _fetch_images(folder: Path) -> None:
    command = [sys.executable, "-P", "-m", "mlcore.data.fashion_mnist", "--root", str(folder)]
    if subprocess.run(command, check=False).returncode != 0:  # noqa: S603 - our own module
        raise DemoFailed("The demo needs Fashion-MNIST.")


@contextmanager
def _service(folder: Path, console: Console) -> Iterator[str]:
    """Run `epochd up` on a free port and yield its address; it has ended when the block ends, however that ends."""
    log = folder / "service.log"
    command = [sys.executable, "-P", "-m", "epochd", "up", "--port", "0", "--data", str(folder)]
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)  # noqa: S603
    try:
        url = _wait_until_ready(process, log)
        console.print(f"epochd serves at {url}; its log is {_relative(log)}", highlight=False, soft_wrap=True)
        yield url
    finally:
        _stop(process)


def _wait_until_ready(process: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        has_ended = process.poll() is not None
        text = log.read_text(encoding="utf-8", errors="replace")
        ready = READY.search(text)
        if has_ended:
            raise DemoFailed(f"The service did not start:\n{text[-2000:]}")
        if ready is not None:
            return ready[1]
        time.sleep(LOOK_SECONDS)
    raise DemoFailed(f"The service was not ready after {START_SECONDS:g} s:\n{text[-2000:]}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        with suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)
    finally:
        process.kill()  # does nothing to a process that has ended; what it started ends with it
        process.wait()


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


def _watch(client: Client, tag: str, experiments: list[Json], console: Console) -> list[Json]:
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


def _show(client: Client, runs: list[Json], console: Console) -> None:
    table = Table(title="After the last epoch (seed 0, data seed 0)", title_justify="left")
    table.add_column("experiment")
    for name in ("train loss", "test loss", "test accuracy", "‖w‖₂"):
        table.add_column(name, justify="right")
    table.add_column("learned weights", overflow="fold")
    for example, run in zip(EXAMPLES, runs, strict=True):
        table.add_row(example.title, *_figures(run), _weights(client, run))
    console.print(table)
    for example, run in zip(EXAMPLES, runs, strict=True):
        if run["error"]:
            console.print(f"{example.title} {run['status']}: {run['error']['detail']}", markup=False)


def _figures(run: Json) -> list[str]:
    last = {name: metric["last"] for name, metric in run["metrics"].items()}
    return [
        _number(last.get("train_loss")),
        _number(last.get("test_loss")),
        _number(last.get("test_accuracy"), ".4f"),
        _number(last.get("weight_l2_norm")),
    ]


def _weights(client: Client, run: Json) -> str:
    if run["status"] != "succeeded":
        return "–"
    if run["variant"] == "mlp":
        return "in its checkpoints"
    learned = client.weights(run["id"])
    shown = ", ".join(_number(weight, ".3g") for weight in learned["weights"][:SHOWN_WEIGHTS])
    more = len(learned["weights"]) - SHOWN_WEIGHTS
    bias = "" if learned["bias"] is None else f"; bias {_number(learned['bias'], '.3g')}"
    return shown + (f", and {more} more" if more > 0 else "") + bias


def _number(value: float | None, form: str = ".4g") -> str:
    return "–" if value is None else format(value, form)


def _relative(path: Path) -> str:
    return os.path.relpath(path)


def _save_pictures(client: Client, runs: list[Json], folder: Path, console: Console) -> None:
    folder.mkdir(exist_ok=True)
    for example, run in zip(EXAMPLES, runs, strict=True):
        file = folder / f"{example.slug}.png"
        file.write_bytes(client.experiment_picture(run["experiment_id"]))
        console.print(f"curves: {_relative(file)}", highlight=False, soft_wrap=True)
