"""A class of sixty, each with a key, all at once: submit, wait, watch. And two hundred who only watch.

Each student posts an MLP of few epochs on few images with Prefer: wait, and meanwhile follows the experiment's events
and looks at the run every second. The 200 watchers follow experiments on which nothing happens; one of them reads
nothing at all.
"""

import random
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, Self
from urllib.parse import urlsplit

import httpx2

from benchmarks import harness
from benchmarks.harness import Bar, Benchmark, Findings, Options, Series
from benchmarks.images import fetch
from benchmarks.service import Service, serving
from epochd import Client

Json = dict[str, Any]

NAME: Final = "classroom"
STUDENTS: Final = 60
WATCHERS: Final = 200
SPEC: Final[Json] = {"variant": "mlp", "epochs": 3, "n_train": 5000, "n_test": 1000, "reuse": False}
ENDLESS: Final[Json] = {"variant": "polynomial", "epochs": 100_000, "evaluate_every": 100_000, "reuse": False}
LOOK_SECONDS: Final = 1.0
WATCHED_SECONDS: Final = 60.0
STATUS_TOO_MANY: Final = 429


@dataclass
class Seen:
    """What the students saw."""

    first_epochs: list[float] = field(default_factory=list)  # seconds from the common start
    looks: list[float] = field(default_factory=list)  # seconds of each GET of a run
    statuses: Counter[int] = field(default_factory=Counter)
    ended: Counter[str] = field(default_factory=Counter)


def measure(options: Options, findings: Findings) -> None:
    fetch()
    for _ in harness.rounds(options, NAME):
        with serving() as service:
            service.warm_up()
            _class(findings, service, options.pick(STUDENTS, 6))
            _watch(findings, service, options.pick(WATCHERS, 10), options.pick(WATCHED_SECONDS, 2.0))


def _class(findings: Findings, service: Service, students: int) -> None:
    keys = _keys(service, [f"student-{number}" for number in range(students)])
    service.http.headers["Authorization"] = f"Bearer {_keys(service, ['teacher'], 'admin')[0]}"
    with ExitStack() as stack, ThreadPoolExecutor(students) as pool:
        # Now, not in the lesson: a client reads certificates for 20 ms.
        laptops = [_Laptop.open(stack, service.url, key) for key in keys]
        seen, start = Seen(), time.perf_counter()
        for done in [pool.submit(_study, laptop, number, seen, start) for number, laptop in enumerate(laptops)]:
            done.result()
    findings.add("students_done", seen.ended["succeeded"] / students * 100)
    findings.add("refused", seen.statuses[STATUS_TOO_MANY])
    findings.add("look_p95", statistics.quantiles(seen.looks, n=20)[-1])
    findings.add("look_median", statistics.median(seen.looks))
    findings.add("last_first_epoch", max(seen.first_epochs) / statistics.median(seen.first_epochs))
    findings.add("class", time.perf_counter() - start)


@dataclass(frozen=True)
class _Laptop:
    """A student's three windows: one submits and waits, one looks, one follows."""

    submits: httpx2.Client
    looks: httpx2.Client
    follows: Client

    @classmethod
    def open(cls, stack: ExitStack, url: str, key: str) -> Self:
        headers = {"Authorization": f"Bearer {key}"}
        submits, looks = (
            stack.enter_context(httpx2.Client(base_url=url, timeout=90, headers=headers)) for _ in range(2)
        )
        return cls(submits, looks, stack.enter_context(Client(url, key=key)))


def _study(laptop: _Laptop, number: int, seen: Seen, start: float) -> None:
    """One student: post and wait for the end; in other windows, follow the events and look at the run meanwhile."""
    watching = threading.Thread(target=_observe, args=(laptop, number, seen, start))
    watching.start()
    request = {"spec": {**SPEC, "seed": number}, "name": f"of {number}"}
    answer = laptop.submits.post("/v1/experiments", json=request, headers={"Prefer": "wait=30"})
    seen.statuses[answer.status_code] += 1
    watching.join()


def _observe(laptop: _Laptop, number: int, seen: Seen, start: float) -> None:
    time.sleep(LOOK_SECONDS * random.Random(number).random())  # noqa: S311  they submit at once, but look out of step
    while not (runs := laptop.looks.get("/v1/runs").json()["items"]):
        time.sleep(LOOK_SECONDS)
    (run,) = runs
    following = threading.Thread(target=_follow, args=(laptop.follows, run["experiment_id"], seen, start))
    following.start()
    while (status := _look(laptop.looks, run["id"], seen)) in ("queued", "running"):
        time.sleep(LOOK_SECONDS)
    seen.ended[status] += 1
    following.join()


def _look(http: httpx2.Client, run_id: str, seen: Seen) -> str:
    start = time.perf_counter()
    answer = http.get(f"/v1/runs/{run_id}")
    seen.looks.append(time.perf_counter() - start)
    seen.statuses[answer.status_code] += 1
    return str(answer.json()["status"])


def _follow(client: Client, experiment: str, seen: Seen, start: float) -> None:
    is_first = True
    for event in client.events(experiment):
        if event.kind == "metrics" and is_first:
            seen.first_epochs.append(time.perf_counter() - start)
            is_first = False


def _watch(findings: Findings, service: Service, watchers: int, seconds: float) -> None:
    """Let nothing happen for a minute, with watchers, and see what they cost and whether others still get answers."""
    experiment = str(service.submit({"spec": ENDLESS, "name": "long"})["id"])
    waiting = str(service.submit({"spec": ENDLESS, "device": "gpu", "name": "waits for a card"})["id"])
    before, busy = service.api_mib(), service.api_cpu_seconds()
    time.sleep(seconds / 4)
    alone = (service.api_cpu_seconds() - busy) / (seconds / 4)
    with _watching(service, waiting, watchers) as reached, _reads_nothing(service, experiment):
        findings.add("watchers", reached)
        first, start = service.api_mib(), time.perf_counter()
        busy, looks = service.api_cpu_seconds(), []
        while time.perf_counter() - start < seconds:
            looks.append(_timed(service, waiting))
            time.sleep(LOOK_SECONDS / 4)
        spent = time.perf_counter() - start
        findings.add("watch_cpu", 100 * ((service.api_cpu_seconds() - busy) / spent - alone))
        findings.add("watch_growth", service.api_mib() - first)
        findings.add("watch_mib", first - before)
        findings.add("watched_p95", statistics.quantiles(looks, n=20)[-1])
    for one in (experiment, waiting):
        service.http.post(f"/v1/experiments/{one}:cancel")  # refused when it has come to its end


def _timed(service: Service, experiment: str) -> float:
    start = time.perf_counter()
    service.get(f"/v1/experiments/{experiment}")
    return time.perf_counter() - start


@contextmanager
def _watching(service: Service, experiment: str, watchers: int) -> Iterator[int]:
    """Hold so many event streams open, each of which has had its first message; yields how many there are."""
    limits = httpx2.Limits(max_connections=watchers, max_keepalive_connections=0)
    headers = {"Authorization": service.http.headers["Authorization"]}
    with httpx2.Client(base_url=service.url, timeout=60, limits=limits, headers=headers) as http:
        streams = []
        for _ in range(watchers):
            request = http.build_request("GET", f"/v1/experiments/{experiment}/events")
            stream = http.send(request, stream=True)
            stream.raise_for_status()
            next(stream.iter_raw())
            streams.append(stream)
        try:
            yield len(streams)
        finally:
            for stream in streams:
                stream.close()


@contextmanager
def _reads_nothing(service: Service, experiment: str) -> Iterator[None]:
    """Ask for an experiment's events, and take none of the answer."""
    address = urlsplit(service.url)
    request = f"GET /v1/experiments/{experiment}/events HTTP/1.1\r\nHost: {address.netloc}\r\n"
    request += f"Authorization: {service.http.headers['Authorization']}\r\n\r\n"
    with socket.create_connection((address.hostname, address.port)) as connection:
        connection.sendall(request.encode())
        yield


def _keys(service: Service, owners: Sequence[str], scope: str = "write") -> list[str]:
    """Make keys as a teacher does, from a roster."""
    roster = "\n".join(("owner", *owners)) + "\n"
    command = [sys.executable, "-P", "-m", "epochd", "keys", "create", "--from", "-", "--scope", scope]
    made = subprocess.run(
        [*command, "--data", str(service.data)], input=roster, check=True, capture_output=True, text=True
    )
    return [line.rpartition(",")[2] for line in made.stdout.splitlines()[1:]]


BENCHMARK: Final = Benchmark(
    name=NAME,
    about="A class: 60 students submit an MLP each at once and watch it; 200 watchers of experiments that stand still.",
    measure=measure,
    series={
        "students_done": Series("students whose run succeeded", "%"),
        "refused": Series("answers 429", ""),
        "look_median": Series("GET of a run, meanwhile, median"),
        "look_p95": Series("GET of a run, meanwhile, 95th percentile"),
        "last_first_epoch": Series("the last student's first epoch ÷ the median student's, from the common start", "×"),
        "class": Series("until the last student's run was final"),
        "watchers": Series("event streams that were open", ""),
        "watch_mib": Series("memory that the streams take in the API", "MiB"),
        "watch_growth": Series("what the API's memory grew by in a minute of nothing", "MiB"),
        "watch_cpu": Series("CPU of the API for the streams, of a core", "%"),
        "watched_p95": Series("GET of an experiment, beside 200 watchers and one that reads nothing, 95th percentile"),
    },
    bars=[
        Bar("60 students at once: all succeed", "students_done", at_least=100),
        Bar("60 students at once: none gets 429", "refused", at_most=0, largest=True),
        Bar("60 students at once: GET of a run under 50 ms (95th percentile)", "look_p95", at_most=0.05),
        Bar("60 students at once: no first epoch later than twice the median", "last_first_epoch", at_most=2),
        Bar("200 watchers: the API's memory stays flat for a minute", "watch_growth", at_most=2),
        Bar("200 watchers and one that reads nothing: GET under 50 ms (95th percentile)", "watched_p95", at_most=0.05),
    ],
    repeats=3,
)

if __name__ == "__main__":
    raise SystemExit(harness.main(BENCHMARK))
