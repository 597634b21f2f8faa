"""How long single requests take, and what clients cost that only listen, with a service that does nothing else."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Final

import httpx2

from benchmarks import harness
from benchmarks.harness import Bar, Benchmark, Findings, Options, Series
from benchmarks.service import TINY, Service, serving

Json = dict[str, Any]

NAME: Final = "answers"
SPEC: Final[Json] = {"variant": "polynomial", "reuse": False}  # 400 epochs
SAMPLES: Final = 50
WATCHERS: Final = 200
LISTEN_SECONDS: Final = 20.0
REQUESTS: Final = {
    "run": "GET of a run",
    "curve": "GET of a run's curve of 400 epochs",
    "experiment": "GET of an experiment",
    "submit": "POST of an experiment",
}


def measure(options: Options, findings: Findings) -> None:
    with serving() as service:
        service.warm_up()
        run = service.only_run(service.wait(service.submit({"spec": SPEC})["id"], 0.02)["id"])
        requests = _requests(service, run)
        for _ in harness.rounds(options, NAME):
            for name, request in requests.items():
                after = _until_idle(service) if name == "submit" else None
                harness.medians(findings, options.pick(SAMPLES, 3), {name: request}, after)
        _listen(options, findings, service, run["experiment_id"])


def _requests(service: Service, run: Json) -> dict[str, Callable[[], object]]:
    return {
        "run": lambda: service.get(f"/v1/runs/{run['id']}"),
        "curve": lambda: service.get(f"/v1/runs/{run['id']}/curves?format=json"),
        "experiment": lambda: service.get(f"/v1/experiments/{run['experiment_id']}"),
        "submit": lambda: service.submit({"spec": TINY}),
    }


def _until_idle(service: Service) -> Callable[[], object]:
    def wait() -> None:
        newest = service.get("/v1/experiments?page_size=1")["items"][0]
        service.wait(newest["id"], 0.01)

    return wait


def _listen(options: Options, findings: Findings, service: Service, experiment_id: str) -> None:
    """Keep streams open to an experiment of which nothing is heard: one that no worker can take."""
    waiting = service.submit({"spec": TINY, "device": "gpu"})["id"]
    seconds = options.pick(LISTEN_SECONDS, 2.0)
    before = service.api_cpu_seconds()
    time.sleep(seconds)
    idle = service.api_cpu_seconds() - before
    with _streams(service, waiting, options.pick(WATCHERS, 20)):
        service.rest()
        memory, before = service.api_mib(), service.api_cpu_seconds()
        time.sleep(seconds)
        listening = service.api_cpu_seconds() - before
        findings.add("listeners_cpu", 100 * max(0.0, listening - idle) / seconds)  # below nothing is noise
        findings.add("listeners_memory", service.api_mib() - memory)
        harness.medians(findings, options.pick(SAMPLES, 3), {"run_beside": _requests_of(service, experiment_id)})


def _requests_of(service: Service, experiment_id: str) -> Callable[[], object]:
    run = service.only_run(experiment_id)
    return lambda: service.get(f"/v1/runs/{run['id']}")


@contextmanager
def _streams(service: Service, experiment_id: str, count: int) -> Iterator[None]:
    """Open so many streams, and read their first messages."""
    with ExitStack() as stack:
        limits = httpx2.Limits(max_connections=None, max_keepalive_connections=None)
        client = stack.enter_context(httpx2.Client(base_url=service.url, timeout=60, limits=limits))
        for _ in range(count):
            answer = stack.enter_context(client.stream("GET", f"/v1/experiments/{experiment_id}/events"))
            next(answer.iter_bytes())
        yield


BENCHMARK: Final = Benchmark(
    name=NAME,
    about="How long single requests take, and what 200 clients cost that listen to events of which there are none.",
    measure=measure,
    series={
        **{name: Series(f"{what}; median of {SAMPLES}") for name, what in REQUESTS.items()},
        "run_beside": Series(f"GET of a run while {WATCHERS} listen; median of {SAMPLES}"),
        "listeners_cpu": Series(f"CPU time of {WATCHERS} listeners, of one core", "%"),
        "listeners_memory": Series(f"memory that the API gains while {WATCHERS} listen", "MiB"),
    },
    bars=[
        Bar("GET of a run: median under 5 ms", "run", at_most=0.005),
        Bar("GET of a curve of 400 epochs: median under 5 ms", "curve", at_most=0.005),
        Bar("POST of an experiment: median under 10 ms", "submit", at_most=0.01),
        Bar("200 idle listeners: under 5 % of a core", "listeners_cpu", at_most=5.0),
        Bar("200 idle listeners: no more than 2 MiB gained in 20 s", "listeners_memory", at_most=2.0),
    ],
)

if __name__ == "__main__":
    raise SystemExit(harness.main(BENCHMARK))
