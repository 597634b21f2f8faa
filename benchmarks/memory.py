"""How much memory a worker and the API take: the API before it needs torch, the worker on the largest stacks."""

from collections import deque
from typing import Any, Final

from benchmarks import harness
from benchmarks.harness import Bar, Benchmark, Findings, Options, Series
from benchmarks.images import fetch
from benchmarks.service import Service, serving
from benchmarks.sweeps import request_of

Json = dict[str, Any]

NAME: Final = "memory"
STACK: Final = 16


def measure(options: Options, findings: Findings) -> None:
    fetch()
    for _ in harness.rounds(options, NAME):
        with serving(slots=1) as service:
            service.warm_up()
            _use_all_but_torch(service)
            findings.add("api", service.api_mib())
            for name, request in requests(options).items():
                experiment = service.submit(request)
                service.wait(experiment["id"], 0.05)
                findings.add(f"worker_{name}", service.worker_peak_mib())
            _take_and_answer_largest(options, service)
            findings.add("api_largest", service.api_peak_mib())


def _use_all_but_torch(service: Service) -> None:
    """Ask the API for all kinds of numbers there are."""
    experiment = service.submit({"spec": {"variant": "polynomial", "epochs": 400, "reuse": False}})
    service.wait(experiment["id"], 0.02)
    run = service.only_run(experiment["id"])
    for path in (
        "/v1/experiments",
        "/v1/queue",
        "/v1/variants",
        f"/v1/experiments/{experiment['id']}/curves?format=json",
        f"/v1/runs/{run['id']}/curves?format=json",
        f"/v1/runs/{run['id']}/checkpoints",
    ):
        service.get(path)


def _take_and_answer_largest(options: Options, service: Service) -> None:
    """Post the largest sweep there may be, and read all its curves in both formats."""
    experiment = service.submit(request_of(options.pick(100_000, 1_000)))
    service.wait(experiment["id"], 0.2)
    for form in ("json", "csv"):
        with service.http.stream("GET", f"/v1/experiments/{experiment['id']}/curves?format={form}") as answer:
            answer.raise_for_status()
            deque(answer.iter_bytes(), maxlen=0)


def requests(options: Options) -> dict[str, Json]:
    """Return what is trained, one after the other: the worker's most memory can only grow."""
    polynomial = {"variant": "polynomial", "epochs": options.pick(400, 10), "reuse": False}
    grid = {
        "degree": list(range(20)),
        "weight_decay": [round(0.02 * number, 2) for number in range(options.pick(50, 5))],
    }
    mlp = {"variant": "mlp", "epochs": 1, "n_train": options.pick(60_000, 2560), "reuse": False}
    return {
        "polynomial": {"spec": polynomial, "grid": grid},
        "mlp": {"spec": mlp},
        "stack": {"spec": {**mlp, "dropout": [0.5]}, "seeds": STACK},
    }


BENCHMARK: Final = Benchmark(
    name=NAME,
    about="Memory of the API before it needs torch, and of a worker.",
    measure=measure,
    series={
        "api": Series("the API after submits, lists, runs, curves and checkpoints, before it needs torch", "MiB"),
        "api_largest": Series(
            "most memory of the API, a POST of 100,000 runs and all their curves as JSON and CSV included", "MiB"
        ),
        "worker_polynomial": Series("most memory of a worker process: 1,000 polynomial runs as one stack", "MiB"),
        "worker_mlp": Series("most memory of a worker process: then one MLP", "MiB"),
        "worker_stack": Series(
            "most memory of a worker process: then a stack of 16 MLPs with dropout, 16 seeds", "MiB"
        ),
    },
    bars=[
        Bar("The API stays under 150 MiB before it needs torch", "api", at_most=150, largest=True),
        Bar("The API stays under 150 MiB with a sweep of 100,000 runs", "api_largest", at_most=150, largest=True),
        Bar("A worker stays under 1 GiB (stack of 16 MLPs)", "worker_stack", at_most=1024, largest=True),
    ],
    repeats=3,
)

if __name__ == "__main__":
    raise SystemExit(harness.main(BENCHMARK))
