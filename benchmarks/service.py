"""A service of its own for a benchmark: `epochd up` as its users start it, spoken to over HTTP."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import httpx2
import psutil

from benchmarks.images import HOME
from benchmarks.machine import peak_resident_mib, resident_mib

Json = dict[str, Any]

FINAL: Final = frozenset({"succeeded", "failed", "cancelled"})
READY: Final = re.compile(r"ready at (http://\S+)")
START_SECONDS: Final = 90.0
STOP_SECONDS: Final = 20.0
LONGEST_SECONDS: Final = 1200.0
LARGEST_PARSED: Final = 200_000_000  # bytes of an answer whose every curve is looked at
QUIET_SECONDS: Final = 0.3
"""How long to leave the service alone before a measurement that is to find it idle."""
TINY: Final[Json] = {"variant": "polynomial", "epochs": 1, "n_train": 10, "n_test": 10, "reuse": False}


@dataclass(frozen=True)
class Finished:
    """An experiment that was posted and trained, with the seconds since the POST began."""

    experiment: Json
    answered: float
    finished: float
    read: float
    """Until the answer with all curves of all runs was there."""
    answer_bytes: int


class Service:
    """One `epochd up` that is ready, and a client of it."""

    def __init__(self, url: str, data: Path, process: subprocess.Popen[bytes]) -> None:
        self.url = url
        self.data = data
        self.http = httpx2.Client(base_url=url, timeout=300)
        self._supervisor = psutil.Process(process.pid)

    def get(self, path: str) -> Json:
        """Return the document at a path."""
        return self._document(self.http.get(path))

    def submit(self, request: Json, wait: int | None = None) -> Json:
        """Post an experiment; return it as it was taken, or as it is when it has ended or so many seconds are over."""
        headers = {} if wait is None else {"Prefer": f"wait={wait}"}
        return self._document(self.http.post("/v1/experiments", json=request, headers=headers))

    def wait(self, experiment_id: str, pause: float) -> Json:
        """Look at an experiment, with pauses of so many seconds, until it is final; it must have succeeded."""
        deadline = time.monotonic() + LONGEST_SECONDS
        while (experiment := self.get(f"/v1/experiments/{experiment_id}"))["status"] not in FINAL:
            if time.monotonic() > deadline:
                raise TimeoutError(f"an experiment was {experiment['status']} after {LONGEST_SECONDS:g} s")
            time.sleep(pause)
        if experiment["status"] != "succeeded" or experiment["runs"]["succeeded"] != experiment["runs"]["total"]:
            raise RuntimeError(f"an experiment did not succeed: {experiment}")
        return experiment

    def train(self, request: Json, *, runs: int, pause: float = 0.005, wait: int | None = None) -> Finished:
        """Post an experiment and follow it until all its curves, one for each of its `runs`, have been read.

        With `wait` it is not looked at for so many seconds: the answer to the POST comes when it has ended.
        """
        start = time.perf_counter()
        experiment = self.submit(request, wait)
        answered = time.perf_counter() - start
        experiment = self.wait(experiment["id"], pause)
        finished = time.perf_counter() - start
        content = self.curves(experiment["id"])
        read = time.perf_counter() - start
        _check_curves(content, experiment, runs)
        return Finished(experiment, answered, finished, read, len(content))

    def curves(self, experiment_id: str) -> bytes:
        """Return the answer with the curves of all runs of an experiment."""
        answer = self.http.get(f"/v1/experiments/{experiment_id}/curves", params={"format": "json"})
        answer.raise_for_status()
        return answer.content

    def draw(self, request: Json) -> bytes:
        """Post an experiment and follow it until there is a picture of its curves."""
        experiment = self.wait(self.submit(request)["id"], 0.005)
        answer = self.http.get(f"/v1/experiments/{experiment['id']}/curves", params={"format": "png"})
        answer.raise_for_status()
        return answer.content

    def only_run(self, experiment_id: str) -> Json:
        """Return the run of an experiment that has one."""
        (run,) = self.get(f"/v1/experiments/{experiment_id}/runs")["items"]
        return self.get(f"/v1/runs/{run['id']}")

    def warm_up(self) -> None:
        """Have every slot train once, so that no measurement pays for a first time, and leave it alone a moment."""
        for _ in range(2 * len(self.workers())):
            self.wait(self.submit({"spec": TINY})["id"], 0.01)
        self.rest()

    def rest(self) -> None:
        """Leave the service alone until it is idle."""
        time.sleep(QUIET_SECONDS)

    def workers(self) -> list[Json]:
        """Return the slots that are ready to train."""
        workers: list[Json] = self.get("/v1/workers")["items"]
        return workers

    def worker_peak_mib(self) -> float:
        """Return the most memory that any process of a slot has held."""
        return max(peak_resident_mib(process) for process in self._processes("worker"))

    def api_mib(self) -> float:
        """Return the memory that the API holds now."""
        (process,) = self._processes("epochd.serve")
        return resident_mib(process)

    def api_peak_mib(self) -> float:
        """Return the most memory that the API has held."""
        (process,) = self._processes("epochd.serve")
        return peak_resident_mib(process)

    def api_cpu_seconds(self) -> float:
        """Return the CPU time that the API has taken so far."""
        (process,) = self._processes("epochd.serve")
        used = process.cpu_times()
        return float(used.user + used.system)

    def _processes(self, module: str) -> list[psutil.Process]:
        """Return the processes that were started as `python -m module`, and their children."""
        started = [one for one in self._supervisor.children() if module in one.cmdline()]
        return [*started, *(child for one in started for child in one.children(recursive=True))]

    @staticmethod
    def _document(answer: httpx2.Response) -> Json:
        if answer.is_error:
            raise RuntimeError(f"{answer.request.method} {answer.request.url.path}: {answer.text[:1000]}")
        document: Json = answer.json()
        return document


@contextmanager
def serving(*, slots: int | None = None, database_url: str | None = None) -> Iterator[Service]:
    """Run a service with a fresh data folder and as many slots as it takes by itself; nothing of it is left."""
    with TemporaryDirectory(prefix="epochd-benchmark-") as folder:
        data = Path(folder) / "data"
        data.mkdir()
        if (HOME / "FashionMNIST").is_dir():
            (data / "FashionMNIST").symlink_to((HOME / "FashionMNIST").resolve())
        settings = {} if database_url is None else {"EPOCHD_DATABASE_URL": database_url}
        command = [sys.executable, "-P", "-m", "epochd", "up", "--port", "0", "--data", str(data)]
        command += [] if slots is None else ["--slots", str(slots)]
        with started(command, Path(folder) / "service.log", settings) as (process, log):
            service = Service(ready_url(process, log, READY), data, process)
            with service.http:
                _wait_for_slots(service, slots)
                yield service


@contextmanager
def started(command: list[str], log: Path, settings: Json) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """Run a server of this machine for the length of the block; what it says goes into a file."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            env={**os.environ, **settings},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=log.parent,
        )
    try:
        yield process, log
    except BaseException:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
        sys.stderr.write("\n".join(line for line in lines[-60:] if " INFO " not in line) + "\n")
        raise
    finally:
        _stop(process)


def ready_url(process: subprocess.Popen[bytes], log: Path, ready: re.Pattern[str]) -> str:
    """Wait until a server says in its log where it listens."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        found = ready.search(log.read_text(encoding="utf-8", errors="replace"))
        if found is not None:
            return found[1]
        time.sleep(0.05)
    raise RuntimeError("a server did not start")


def job_seconds(experiment: Json) -> float:
    """Return how long an experiment ran, from the first claim to the end, by the database's clock."""
    started_at, finished_at = (datetime.fromisoformat(experiment[name]) for name in ("started_at", "finished_at"))
    return (finished_at - started_at).total_seconds()


def _wait_for_slots(service: Service, slots: int | None) -> None:
    deadline = time.monotonic() + START_SECONDS
    expected = slots or min(os.cpu_count() or 1, 4)  # what `epochd up` takes by itself
    while len(service.workers()) < expected:
        if time.monotonic() > deadline:
            raise RuntimeError(f"the service has no {expected} slots after {START_SECONDS:g} s")
        time.sleep(0.05)


def _check_curves(content: bytes, experiment: Json, runs: int) -> None:
    """Assert that nothing is missing: it is all runs that are compared, with all their epochs."""
    assert experiment["runs"]["total"] == runs, f"{experiment['runs']['total']} runs, not {runs}"
    assert content.count(b'"run_id"') == runs, f"{content.count(b'run_id')} curves of {runs} runs"
    if len(content) < LARGEST_PARSED:
        for curve in json.loads(content)["runs"]:
            assert curve["epochs"][-1] == curve["total_epochs"], "a curve ends early"


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        for child in psutil.Process(process.pid).children(recursive=True):
            child.kill()
        process.kill()
        process.wait()
