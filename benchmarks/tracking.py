"""Keeping track of runs: MLflow's tracking server through its REST API against epochd.

Both on SQLite, each a server of its own on this machine, the same HTTP client, one connection that is kept. A run
that is created at epochd is trained too, a moment later and outside of what is timed. Values are stored in the way
each system has: MLflow is sent them over HTTP (runs/log-batch, at most 1,000 a call), while epochd's worker writes what
it trained into the database itself. So this compares HTTP with none, which is the difference in design.
"""

import re
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import httpx2
import numpy as np

from benchmarks import harness
from benchmarks.harness import Bar, Benchmark, Findings, Options, Ratio, Series
from benchmarks.service import TINY, Service, ready_url, serving, started
from mlcore.training import EpochReport
from store import experiments, jobs, schema
from store.engine import Database, make_engine
from worker.recorder import Recorder
from worker.settings import WorkerSettings

Json = dict[str, Any]
Side = Callable[[], object]

NAME: Final = "tracking"
EPOCHS: Final = 1500
LOGGED_AT_ONCE: Final = 1000
"""The most values that runs/log-batch takes in a call."""
LOGGED_CALLS: Final = 10
SWEEP: Final = 1000
SWEEP_EPOCHS: Final = 400
METRICS: Final = ("train_loss", "test_loss", "weight_l2_norm", "weight_l1_norm")
PROCESSES: Final = 4
"""How many the server starts by itself."""
READY: Final = re.compile(
    rf"Uvicorn running on (http://\S+)(?:.*?Application startup complete){{{PROCESSES}}}", re.DOTALL
)


class Mlflow:
    """A client of MLflow's REST API 2.0."""

    def __init__(self, http: httpx2.Client) -> None:
        self._http = http
        name = {"name": f"benchmark-{time.time_ns()}"}
        self._experiment: str = self._post("experiments/create", name)["experiment_id"]

    def create_run(self) -> str:
        """Create a run and return its id."""
        asked = {"experiment_id": self._experiment, "start_time": time.time_ns() // 1_000_000}
        run_id: str = self._post("runs/create", asked)["run"]["info"]["run_id"]
        return run_id

    def log_batch(self, run_id: str, metrics: list[Json]) -> None:
        """Store up to 1,000 values."""
        self._post("runs/log-batch", {"run_id": run_id, "metrics": metrics})

    def history(self, run_id: str, name: str, at_most: int) -> Json:
        """Return the values of a metric."""
        query: dict[str, str | int] = {"run_id": run_id, "metric_key": name, "max_results": at_most}
        answer = self._http.get("/api/2.0/mlflow/metrics/get-history", params=query)
        answer.raise_for_status()
        history: Json = answer.json()
        return history

    def _post(self, path: str, body: Json) -> Json:
        answer = self._http.post(f"/api/2.0/mlflow/{path}", json=body)
        answer.raise_for_status()
        document: Json = answer.json()
        return document


@contextmanager
def mlflow_server() -> Iterator[Mlflow]:
    """Run `mlflow server` on SQLite, on a free port, without its background jobs; nothing of it is left."""
    with TemporaryDirectory(prefix="epochd-benchmark-") as name, ExitStack() as stack:
        folder = Path(name)
        store = f"sqlite:///{folder / 'mlflow.db'}"
        command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", store]
        command += ["--artifacts-destination", str(folder / "artifacts"), "--host", "127.0.0.1", "--port", "0"]
        quiet = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
        process, log = stack.enter_context(started(command, folder / "mlflow.log", quiet))
        url = ready_url(process, log, READY)
        yield Mlflow(stack.enter_context(httpx2.Client(base_url=url, timeout=60)))


def measure(options: Options, findings: Findings) -> None:
    epochs = options.pick(EPOCHS, 50)
    findings.note("epochd's worker stores in-process; MLflow is sent its values over HTTP, which is its way.")
    with mlflow_server() as mlflow, serving() as service, _worker_database() as (database, settings):
        service.warm_up()
        sides = _curves(mlflow, service, epochs)
        sides |= {"mlflow_create": mlflow.create_run, "epochd_create": lambda: _create(service)}

        def ask(name: str) -> None:
            after = (lambda: _until_idle(service)) if name == "epochd_create" else None
            harness.median_in_a_row(findings, name, options.pick(30, 5), sides[name], after)

        harness.medians(Findings(), 3, sides)  # the first times
        _store_in_epochd(Findings(), options, database, settings)
        for number in harness.rounds(options, NAME):
            harness.in_turn([partial(ask, name) for name in sides], number)
            _create_sweep(findings, service, options.pick(SWEEP, 20))
            storing: list[Side] = [
                lambda: _log_in_mlflow(findings, mlflow),
                lambda: _store_in_epochd(findings, options, database, settings),
            ]
            harness.in_turn(storing, number)


def _curves(mlflow: Mlflow, service: Service, epochs: int) -> dict[str, Side]:
    """Have both systems hold the same curve of so many epochs; return what reads one metric of it."""
    spec = {"variant": "polynomial", "degree": 19, "epochs": epochs, "reuse": False}
    experiment = service.submit({"spec": spec})
    service.wait(experiment["id"], 0.05)
    path = f"/v1/runs/{service.only_run(experiment['id'])['id']}/curves?format=json&metric=test_loss"
    losses = service.get(path)["series"]["test_loss"]
    run_id = mlflow.create_run()
    logged = [_value("test_loss", step + 1, loss) for step, loss in enumerate(losses)]
    for start in range(0, len(logged), LOGGED_AT_ONCE):
        mlflow.log_batch(run_id, logged[start : start + LOGGED_AT_ONCE])

    def read_mlflow() -> None:
        assert len(mlflow.history(run_id, "test_loss", epochs)["metrics"]) == epochs

    def read_epochd() -> None:
        assert len(service.get(path)["epochs"]) == epochs

    return {"mlflow_read": read_mlflow, "epochd_read": read_epochd}


def _value(name: str, step: int, value: float) -> Json:
    return {"key": name, "value": value, "timestamp": time.time_ns() // 1_000_000, "step": step}


def _create(service: Service, **grid: list[Any]) -> None:
    service.submit({"spec": TINY, **({"grid": grid} if grid else {})})


def _until_idle(service: Service) -> None:
    """Wait until what was created is trained."""
    while service.get("/v1/experiments?page_size=1")["items"][0]["status"] != "succeeded":
        time.sleep(0.01)


def _create_sweep(findings: Findings, service: Service, runs: int) -> None:
    """Create many runs with one POST; MLflow has no such call, so its side is the runs one by one."""
    decays = [round(0.001 * number, 3) for number in range(runs)]
    start = time.perf_counter()
    _create(service, weight_decay=decays)
    findings.add("epochd_create_of_sweep", (time.perf_counter() - start) / runs)
    _until_idle(service)


def _log_in_mlflow(findings: Findings, mlflow: Mlflow) -> None:
    """Store 1,000 values a call, each call of a run of its own: 250 epochs of 4 metrics."""
    seconds = []
    steps = range(1, LOGGED_AT_ONCE // len(METRICS) + 1)
    for _ in range(LOGGED_CALLS):
        run_id = mlflow.create_run()
        values = [_value(name, step, 1 / step) for name in METRICS for step in steps]
        start = time.perf_counter()
        mlflow.log_batch(run_id, values)
        seconds.append(time.perf_counter() - start)
    findings.add("mlflow_store", statistics.median(seconds) / LOGGED_AT_ONCE * 1e6)


@contextmanager
def _worker_database() -> Iterator[tuple[Database, WorkerSettings]]:
    """Open a database of its own as a worker's training process does."""
    with TemporaryDirectory(prefix="epochd-benchmark-") as folder:
        settings = WorkerSettings(data=Path(folder))
        database = Database(make_engine(settings.url))
        schema.upgrade(database.engine)
        yield database, settings
        database.dispose()


def _store_in_epochd(findings: Findings, options: Options, database: Database, settings: WorkerSettings) -> None:
    """Have a Recorder take in the reports of a training and store them: a sweep, a single run.

    As often as when they are trained: the first epoch at once, and then every 0.25 s. A sweep of this size takes about
    a second, a run of 1,500 epochs less than the 0.25 s, so that the rest of it is stored when it ends.
    """
    runs = options.pick(SWEEP, 20)
    for name, count, epochs, flushes in (
        ("epochd_store_sweep", runs, SWEEP_EPOCHS, 4),
        ("epochd_store_run", 1, EPOCHS, 1),
    ):
        reports, recorder = _reports(count, epochs), _recorder(database, settings, count, epochs)
        start = time.perf_counter()
        for number, report in enumerate(reports, 1):
            recorder.add(report)
            if number % (epochs // flushes) == 0:
                recorder.store()
        findings.add(name, (time.perf_counter() - start) / (count * epochs * len(METRICS)) * 1e6)


def _recorder(database: Database, settings: WorkerSettings, runs: int, epochs: int) -> Recorder:
    specs = [{"variant": "polynomial", "epochs": epochs, "seed": seed, "data_seed": 0} for seed in range(runs)]
    with database.write() as session:
        new = [experiments.NewJob("cpu", specs)]
        experiments.create(session, request={"spec": {}}, owner="benchmark", jobs=new, code_version="0")
        claim = jobs.claim(session, worker="benchmark", queues=["cpu"], lease_seconds=600, device="cpu", threads=1)
    assert claim is not None
    return Recorder(database, claim, settings)


def _reports(runs: int, epochs: int) -> list[EpochReport]:
    values = np.random.default_rng(0).random((epochs, len(METRICS), runs))
    return [
        EpochReport(epoch, evaluated=True, metrics=dict(zip(METRICS, values[epoch - 1], strict=True)))
        for epoch in range(1, epochs + 1)
    ]


BENCHMARK: Final = Benchmark(
    name=NAME,
    about="Keeping track of runs: MLflow's tracking server through its REST API against epochd, both on SQLite.",
    measure=measure,
    series={
        "mlflow_create": Series("MLflow, runs/create; median of 30 in a row"),
        "epochd_create": Series("epochd, POST of an experiment of one run; median of 30 in a row"),
        "epochd_create_of_sweep": Series("epochd, POST of an experiment of 1,000 runs, per run"),
        "mlflow_store": Series("MLflow, runs/log-batch of 1,000 values over HTTP, per value; median of 10", "µs"),
        "epochd_store_sweep": Series(
            "epochd's worker in-process, 1,000 runs × 400 epochs × 4 metrics, per value", "µs"
        ),
        "epochd_store_run": Series("epochd's worker in-process, 1 run × 1,500 epochs × 4 metrics, per value", "µs"),
        "mlflow_read": Series("MLflow, metrics/get-history of one metric of 1,500 epochs; median of 30 in a row"),
        "epochd_read": Series("epochd, GET of the curve of one metric of 1,500 epochs; median of 30 in a row"),
    },
    ratios={
        "create": Ratio("creating a run", "mlflow_create", "epochd_create"),
        "create_of_sweep": Ratio("creating a run of a sweep of 1,000", "mlflow_create", "epochd_create_of_sweep"),
        "store_sweep": Ratio("storing a value of a sweep", "mlflow_store", "epochd_store_sweep"),
        "store_run": Ratio("storing a value of a single run", "mlflow_store", "epochd_store_run"),
        "read": Ratio("reading a curve of 1,500 epochs", "mlflow_read", "epochd_read"),
    },
    bars=[
        Bar("Creating a run: at least 10 times as fast as MLflow", "create", at_least=10),
        Bar("Creating a run of a sweep of 1,000: at least 10 times as fast as MLflow", "create_of_sweep", at_least=10),
        Bar(
            "Storing values of a sweep: at least 200 times as fast as MLflow (in-process worker, HTTP log-batch)",
            "store_sweep",
            at_least=200,
        ),
        Bar(
            "Storing values of a single run: at least 200 times as fast as MLflow (in-process worker, HTTP log-batch)",
            "store_run",
            at_least=200,
        ),
        Bar("Reading a 1,500-epoch curve: at least 15 times as fast as MLflow", "read", at_least=15),
    ],
    sources=["MLflow REST API 2.0: runs/create, runs/log-batch, metrics/get-history"],
)

if __name__ == "__main__":
    raise SystemExit(harness.main(BENCHMARK))
