"""A service that a command starts for itself, in a data folder of its own, and stops however the command ends."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http import HTTPStatus
from pathlib import Path
from typing import Final

from rich.console import Console

from epochd.folders import why_unusable
from epochd.transport import EpochdError, with_way_out
from worker.stopping import end_signals

START_SECONDS: Final = 60.0
STOP_SECONDS: Final = 20.0  # a little more than `epochd up` gives its own processes
LOOK_SECONDS: Final = 0.2
PLAIN_WIDTH: Final = 150  # of a log
READY: Final = re.compile(r"ready at (http://\S+)")


class CannotGoOn(Exception):
    """The command cannot do what it is for; str() says why."""


def exit_status(work: Callable[[], bool]) -> int:
    """Do the work of a command that starts processes: 0 when it succeeded, 128 and the number of a signal that came.

    A signal leaves the work by SystemExit, so that what was started is stopped.
    """
    received: list[int] = []

    def stop(number: int, _frame: object) -> None:
        received.append(number)  # an exception raised while Python cleans up is lost; this is not
        sys.exit(128 + number)

    for number in end_signals():
        signal.signal(number, stop)
    try:
        succeeded = work()
    except (CannotGoOn, EpochdError) as problem:
        Console(stderr=True).print(_told(problem), markup=False)
        succeeded = False
    return 128 + received[0] if received else int(not succeeded)


def _told(problem: CannotGoOn | EpochdError) -> str:
    if isinstance(problem, EpochdError) and problem.status == HTTPStatus.UNAUTHORIZED:
        return with_way_out(problem, "EPOCHD_KEY gives the key.")
    return str(problem)


def make_console() -> Console:
    """Return the terminal, or a log that is wide enough for tables."""
    console = Console()
    return console if console.is_terminal else Console(width=PLAIN_WIDTH)


def home() -> Path:
    """Return the data folder that is meant where none is named; the images are fetched once, there."""
    return Path(os.environ.get("EPOCHD_DATA") or "var")


def make_folder(folder: Path, name: str, option: str) -> None:
    """Make the folder if need be; raises CannotGoOn where it cannot be made, or not be written to."""
    problem = why_unusable(folder, name, option)
    if problem is not None:
        raise CannotGoOn(problem)


def data_folder(data: Path | None, purpose: str) -> Path:
    """Return the folder for the service, with the images in it or, for a fresh folder, linked from beside it.

    Raises CannotGoOn where it cannot be written to, or the images cannot be had.
    """
    make_folder(data or home(), "data folder", "--data")
    _fetch_images(data or home(), purpose)
    if data is not None:
        return data.absolute()
    fresh = home().absolute() / purpose / time.strftime("%Y%m%d-%H%M%S")
    fresh.mkdir(parents=True, exist_ok=True)
    link = fresh / "FashionMNIST"
    if not link.is_symlink():
        link.symlink_to(os.path.relpath(home() / "FashionMNIST", fresh))
    return fresh


def _fetch_images(folder: Path, purpose: str) -> None:
    command = [sys.executable, "-P", "-m", "mlcore.data.fashion_mnist", "--root", str(folder)]
    if subprocess.run(command, check=False).returncode != 0:  # noqa: S603 - our own module
        raise CannotGoOn(f"`epochd {purpose}` needs Fashion-MNIST.")


@contextmanager
def serving(folder: Path, console: Console) -> Iterator[str]:
    """Run `epochd up` on a free port and yield its address; it has ended when the block ends, however that ends.

    Raises CannotGoOn where it does not start.
    """
    log = folder / "service.log"
    command = [sys.executable, "-P", "-m", "epochd", "up", "--port", "0", "--data", str(folder)]
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)  # noqa: S603
    try:
        url = _wait_until_ready(process, log)
        console.print(f"epochd serves at {url}; its log is {relative(log)}", highlight=False, soft_wrap=True)
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
            raise CannotGoOn(f"The service did not start:\n{text[-2000:]}")
        if ready is not None:
            return ready[1]
        time.sleep(LOOK_SECONDS)
    raise CannotGoOn(f"The service was not ready after {START_SECONDS:g} s:\n{text[-2000:]}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        with suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)
    finally:
        process.kill()  # does nothing to a process that has ended; what it started ends with it
        process.wait()


def relative(path: Path) -> str:
    """Return the path as seen from here."""
    return os.path.relpath(path)
