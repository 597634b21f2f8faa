"""`epochd up` as its users have it: real processes, a real folder, HTTP."""

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx2
import psutil

from tests.stacks import EMBEDDED, Stack
from tests.waiting import wait_until

Json = dict[str, Any]

OFTEN = {"EPOCHD_CHECKPOINT_SECONDS": "0.2"}  # so that a resumed run has something to resume from
PAUSE = 0.05  # between two questions: they compete with the training for the cores
FINAL = {"succeeded", "failed", "cancelled"}
EPOCHD = Path(sys.executable).with_name("epochd")


class Service:
    """One `epochd up`, and what its processes are."""

    def __init__(
        self,
        data: Path,
        *,
        stack: Stack = EMBEDDED,
        slots: int = 1,
        host: str = "127.0.0.1",
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self.data = data
        self.stack = stack
        self._runs: dict[str, str] = {}
        self._log = data.with_name(f"{data.name}-{id(self)}.log")
        with self._log.open("w") as log:
            self.supervisor = psutil.Popen(
                [EPOCHD, "up", "--host", host, "--port", "0", "--data", data, "--slots", str(slots)],
                env={**os.environ, **stack.environment, **(settings or {})},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.http = httpx2.Client(timeout=30)
        self.url = ""

    def wait_until_ready(self) -> None:
        wait_until(lambda: self._ready_url() or self.supervisor.poll() is not None, 60, "epochd is ready", pause=PAUSE)
        self.url = self._ready_url() or ""
        assert self.url, "it ended"
        self.reconnect()

    def reconnect(self) -> None:
        """Drop connections that the API has closed."""
        self.http.close()
        self.http = httpx2.Client(base_url=self.url, timeout=30)

    def _ready_url(self) -> str | None:
        found = re.search(r"^epochd is ready at (\S+)$", self.log(), re.MULTILINE)
        return found.group(1) if found else None

    def log(self) -> str:
        return self._log.read_text()

    # processes

    def started(self) -> list[psutil.Process]:
        """Every process on this machine that was started, by whichever process, for this data folder."""
        return [process for process in psutil.process_iter() if _setting(process, "EPOCHD_DATA") == str(self.data)]

    def slot(self, number: int = 1) -> psutil.Process:
        """The parent process of a slot."""
        return wait_until(lambda: self._slot(f"slot-{number}"), what=f"slot {number} runs")

    def child(self, number: int = 1) -> psutil.Process:
        """The training process of a slot."""
        return wait_until(lambda: next(iter(_children(self.slot(number))), None), what=f"slot {number} has a child")

    def slot_processes(self, number: int) -> list[psutil.Process]:
        """The parent of a slot and its children, if all are there now; else nothing."""
        parent = self._slot(f"slot-{number}")
        children = _children(parent) if parent else []
        return [parent, *children] if parent and children else []

    def api(self) -> psutil.Process:
        """The process that answers requests."""
        return wait_until(lambda: next(iter(self.running("epochd.serve")), None), what="the API runs")

    def running(self, module: str) -> list[psutil.Process]:
        """The processes that run this module now."""
        return [process for process in self.supervisor.children() if module in _command(process)]

    def _slot(self, name: str) -> psutil.Process | None:
        parents = [process for process in self.supervisor.children() if _setting(process, "EPOCHD_SLOT") == name]
        return parents[0] if parents else None

    def stop(self, number: int = signal.SIGTERM, seconds: float = 30.0) -> int:
        """Stop the service as Ctrl-C or a service manager does; returns the exit status."""
        self.supervisor.send_signal(number)
        status = self.supervisor.wait(seconds)
        self.assert_no_orphans()
        return int(status)

    def kill_everything(self) -> None:
        """SIGKILL to every process at once."""
        for process in [self.supervisor, *self.started()]:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self.supervisor.wait(10)
        self.assert_no_orphans()

    def kill_supervisor(self) -> None:
        """SIGKILL to the supervisor alone; what it started has to notice."""
        self.supervisor.kill()
        self.supervisor.wait(10)
        self.assert_no_orphans()

    def assert_no_orphans(self) -> None:
        """Assert that nothing that was started is left, or will be in a moment."""
        wait_until(lambda: not self.started(), what="no process is left behind")

    def close(self) -> None:
        self.http.close()
        if self.supervisor.poll() is None:
            self.kill_everything()

    # HTTP

    def submit(self, spec: Json, **request: object) -> str:
        answer = self.http.post("/v1/experiments", json={"spec": {"reuse": False, **spec}, **request})
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    def get(self, path: str) -> Json:
        answer = self.http.get(path)
        assert answer.status_code == 200, answer.text
        document: Json = answer.json()
        return document

    def runs_of(self, experiment: str) -> list[Json]:
        """The runs of a small experiment, in the order of their numbers."""
        runs: list[Json] = self.get(f"/v1/experiments/{experiment}/runs")["items"]
        return runs

    def run_of(self, experiment: str) -> Json:
        """The only run of an experiment."""
        if experiment not in self._runs:
            (run,) = self.runs_of(experiment)
            self._runs[experiment] = run["id"]
        return self.get(f"/v1/runs/{self._runs[experiment]}")

    def wait_for_epoch(self, experiment: str, epoch: int, seconds: float = 60) -> Json:
        return wait_until(
            lambda: run if (run := self.run_of(experiment))["progress"]["epoch"] >= epoch else None,
            seconds,
            f"epoch {epoch}",
            pause=PAUSE,
        )

    def wait_for_end(self, experiment: str, seconds: float = 60) -> Json:
        return wait_until(
            lambda: run if (run := self.run_of(experiment))["status"] in FINAL else None,
            seconds,
            "the end of the run",
            pause=PAUSE,
        )

    def series(self, run: Json) -> dict[str, list[float | None]]:
        """The run's curves, by metric."""
        series: dict[str, list[float | None]] = self.get(f"/v1/runs/{run['id']}/curves")["series"]
        return series

    def wait_for_experiment(self, experiment: str, seconds: float = 60) -> Json:
        return wait_until(
            lambda: found if (found := self.get(f"/v1/experiments/{experiment}"))["status"] in FINAL else None,
            seconds,
            "the end of the experiment",
            pause=PAUSE,
        )

    def weights(self, run: Json) -> dict[str, str]:
        """The sha256 of the run's checkpoints, by name."""
        items = self.get(f"/v1/runs/{run['id']}/checkpoints")["items"]
        return {item["name"]: item["sha256"] for item in items}


def _children(process: psutil.Process) -> list[psutil.Process]:
    with contextlib.suppress(psutil.NoSuchProcess):
        return [child for child in process.children() if child.status() != psutil.STATUS_ZOMBIE]
    return []


def _command(process: psutil.Process) -> list[str]:
    with contextlib.suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
        return process.cmdline()
    return []


def _setting(process: psutil.Process, name: str) -> str | None:
    with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
        return process.environ().get(name)
    return None


@contextlib.contextmanager
def serving(
    data: Path,
    *,
    stack: Stack = EMBEDDED,
    slots: int = 1,
    host: str = "127.0.0.1",
    settings: Mapping[str, str] | None = None,
) -> Iterator[Service]:
    """Run a service until the end of the block, and leave nothing of it."""
    service = Service(data, stack=stack, slots=slots, host=host, settings=settings)
    try:
        service.wait_until_ready()
        yield service
    except BaseException:
        print(service.log()[-8000:])
        raise
    finally:
        service.close()
