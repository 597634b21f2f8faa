"""What requests cost when much is stored: a service whose database grows beside one whose database stays small.

The same requests to both, in turn. The small database holds 20 experiments of one run, so that a page of the list has
20 rows on both sides; every run has 100 epochs. SQLite, and PostgreSQL.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any, Final
from uuid import UUID

from benchmarks import filling, harness
from benchmarks.harness import Bar, Benchmark, Findings, Options, Ratio, Series
from benchmarks.service import TINY, Service, serving
from store.engine import Database
from tests.servers import fresh_database, postgresql_url

Json = dict[str, Any]

NAME: Final = "growth"
EPOCHS: Final = 100
RUNS_EACH: Final = 100
PAGE: Final = 20
LEVELS: Final = {"1e5": 10, "1e6": 100, "1e7": 1000}
"""Experiments of 100 runs of 100 epochs, by the stored epochs they come to."""
DATABASES: Final = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}
REQUESTS: Final = {
    "submit": "POST of an experiment",
    "list": "a page of 20 experiments",
    "run": "GET of a run",
    "curve": "GET of a run's curve of 100 epochs",
}
SAMPLES: Final = 20


@dataclass
class Side:
    """A service, its database and the runs that are asked for."""

    service: Service
    database: Database
    runs: list[UUID] = field(default_factory=list)
    random: Random = field(default_factory=lambda: Random(0))  # noqa: S311 - no secret

    def requests(self) -> dict[str, Callable[[], object]]:
        """Return what is timed."""
        return {
            "submit": lambda: self.service.submit({"spec": TINY}),
            "list": lambda: self.service.get(f"/v1/experiments?page_size={PAGE}"),
            "run": lambda: self.service.get(f"/v1/runs/{self._run()}"),
            "curve": lambda: self.service.get(f"/v1/runs/{self._run()}/curves?format=json"),
        }

    def fill(self, experiments: int, runs_each: int) -> None:
        """Store more."""
        self.runs += filling.fill(self.database, experiments_wanted=experiments, runs_each=runs_each, epochs=EPOCHS)
        filling.settle(self.database)

    def until_idle(self) -> None:
        """Wait until the newest experiment is trained."""
        newest = self.service.get("/v1/experiments?page_size=1")["items"][0]
        self.service.wait(newest["id"], 0.01)

    def _run(self) -> UUID:
        return self.random.choice(self.runs)


def measure(options: Options, findings: Findings) -> None:
    for kind in DATABASES:
        with ExitStack() as stack:
            urls = stack.enter_context(_urls(kind))
            small, filled = (stack.enter_context(_side(url)) for url in urls)
            small.fill(PAGE, 1)
            for level, experiments in LEVELS.items():
                wanted = options.pick(experiments, 2 * len(level) + len(filled.runs))
                filled.fill(wanted - len(filled.runs), options.pick(RUNS_EACH, 10))
                for _ in harness.rounds(options, f"{NAME}, {kind}, {level} epochs"):
                    _measure_requests(findings, options, f"{kind}_{level}", small, filled)


def _measure_requests(findings: Findings, options: Options, prefix: str, small: Side, filled: Side) -> None:
    of_small, of_filled = small.requests(), filled.requests()

    def until_idle() -> None:
        small.until_idle()
        filled.until_idle()

    for request in REQUESTS:
        sides = {f"{prefix}_{request}_small": of_small[request], f"{prefix}_{request}_filled": of_filled[request]}
        after = until_idle if request == "submit" else None
        harness.medians(findings, options.pick(SAMPLES, 3), sides, after)


@contextmanager
def _side(url: str) -> Iterator[Side]:
    with filling.database_at(url) as database, serving(slots=1, database_url=url) as service:
        service.warm_up()
        yield Side(service, database)


@contextmanager
def _urls(kind: str) -> Iterator[list[str]]:
    """Name two empty databases."""
    with ExitStack() as stack:
        if kind == "sqlite":
            folder = Path(stack.enter_context(TemporaryDirectory(prefix="epochd-benchmark-")))
            yield [f"sqlite:///{folder / name}.db" for name in ("small", "filled")]
        else:
            server = stack.enter_context(postgresql_url())
            yield [stack.enter_context(fresh_database(server)) for _ in range(2)]


def _each() -> Iterator[tuple[str, str]]:
    """Yield the name and description of everything measured."""
    for kind, database in DATABASES.items():
        for level in LEVELS:
            for request, what in REQUESTS.items():
                yield f"{kind}_{level}_{request}", f"{what}, {database}, {float(level):.0e} epochs stored"


def _series() -> dict[str, Series]:
    small = {f"{name}_small": Series(f"{what}: the small database beside it") for name, what in _each()}
    return small | {f"{name}_filled": Series(f"{what}: the filled one; median of {SAMPLES}") for name, what in _each()}


def _bars() -> Iterator[Bar]:
    for kind, database in DATABASES.items():
        for request, what in REQUESTS.items():
            claim = f"100,000 runs and 10⁷ epochs stored, {database}: {what} at most 1.3 times the small database's"
            yield Bar(claim, f"{kind}_1e7_{request}", at_most=1.3)


BENCHMARK: Final = Benchmark(
    name=NAME,
    about="What requests cost when 10⁵ to 10⁷ epochs are stored, against a service whose database stays small.",
    measure=measure,
    series=_series(),
    ratios={name: Ratio(f"filled ÷ small, {what}", f"{name}_filled", f"{name}_small") for name, what in _each()},
    bars=list(_bars()),
)

if __name__ == "__main__":
    raise SystemExit(harness.main(BENCHMARK))
