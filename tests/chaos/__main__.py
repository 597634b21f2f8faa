"""`python -m tests.chaos`: a service trains thousands of short runs while its processes are killed at random.

Prints one JSON line: what was submitted, finished, lost and finished twice, how many kills there were and how many of
them hit a training job, and whatever else the oracle found wrong. Ends with status 1 if anything was.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from store import schema
from store.engine import Database, make_engine
from tests.chaos import load
from tests.chaos.killing import Killer
from tests.chaos.schedule import SHARES, schedule
from tests.end_to_end.service import Service, serving
from tests.servers import Server, fresh_database, postgresql_url, redis_server
from tests.stacks import EMBEDDED, STACKS, Stack

Json = dict[str, Any]

SAMPLE: Final = Path(__file__).parents[1] / "fashion_mnist_sample" / "FashionMNIST"
SETTINGS: Final = {"EPOCHD_MAX_CRASHES": "1000"}
"""A job killed three times before it got anywhere would have failed, rightly; here it is not its fault."""
AHEAD: Final = 20
"""So many jobs more are submitted than are due, so that no slot runs out of work."""


@dataclass(frozen=True)
class Options:
    """How much is trained and killed; the same seed gives the same work and the same kills in the same order."""

    stack: str
    runs: int
    jobs: int
    kills: int
    slots: int
    seed: int
    mean_seconds: float


def main() -> int:
    """Do what the command line says; returns 0 when nothing was lost and nothing was wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--stack", choices=STACKS, default="embedded")
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--jobs", type=int, default=400)
    parser.add_argument("--kills", type=int, default=60)
    parser.add_argument("--slots", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--mean-seconds", type=float, default=3.5, help="between two kills")
    report = cause(Options(**vars(parser.parse_args())))
    print(json.dumps(report))
    return 0 if is_well(report) else 1


def is_well(report: Json) -> bool:
    """Return whether every run finished once, and nothing else was wrong."""
    counted = report["lost"] == report["finished_twice"] == 0 and report["submitted"] == report["finished"]
    return counted and not any(value for value in report.values() if isinstance(value, list))


def cause(options: Options) -> Json:
    """Run a service under the kills of a schedule until all work is done; return the report."""
    start = time.monotonic()
    with TemporaryDirectory(prefix="epochd-chaos-") as name, ExitStack() as stack:
        data, accepted = Path(name) / "data", Path(name) / "accepted"
        shutil.copytree(SAMPLE, data / "FashionMNIST")
        where, redis = stack.enter_context(_stack(options.stack))
        service = stack.enter_context(serving(data, stack=where, slots=options.slots, settings=SETTINGS))
        with _oracle(data, where, accepted) as oracle:
            database = Database(make_engine(where.settings(data).url))
            stack.callback(database.dispose)
            killer = Killer(service, database, redis)
            _kill_while_it_trains(options, service, killer, accepted)
            verdict = json.loads(oracle.communicate()[0])
    return {
        **{name: value for name, value in asdict(options).items() if name not in ("runs", "kills", "mean_seconds")},
        "submitted": verdict.pop("accepted"),
        "finished": verdict.pop("succeeded"),
        "lost": verdict.pop("lost"),
        "finished_twice": verdict.pop("finished_twice"),
        "kills": killer.kills.total(),
        "hits": killer.hits,
        "seconds": round(time.monotonic() - start, 1),
        "kills_of": dict(killer.kills),
        **verdict,
    }


def _kill_while_it_trains(options: Options, service: Service, killer: Killer, accepted: Path) -> None:
    """Kill after kill, with the work submitted in step; then let it end undisturbed."""
    asked = load.requests(options.seed, options.jobs, options.runs)
    submitter = load.Submitter(service.url, asked, accepted, options.seed)
    targets = [name for name in SHARES if name != "redis" or options.stack == "servers"]
    for kill in schedule(options.seed, targets, options.slots, options.mean_seconds):
        share = (killer.kills.total() + 1) / options.kills
        submitter.allow(round(options.jobs * share) + AHEAD)
        if killer.kills.total() >= options.kills:
            break
        killer.kill(kill)
    submitter.finish()


@contextmanager
def _stack(name: str) -> Iterator[tuple[Stack, Server | None]]:
    """Yield where the service keeps what it has, and the Redis server that may be killed."""
    if name == "embedded":
        yield EMBEDDED, None
        return
    with postgresql_url() as server, fresh_database(server) as url, redis_server() as redis:
        engine = make_engine(url)
        schema.upgrade(engine)
        engine.dispose()
        yield Stack(url, redis.url), redis


@contextmanager
def _oracle(data: Path, stack: Stack, accepted: Path) -> Iterator[subprocess.Popen[str]]:
    """Start the oracle; it watches until its standard input is closed, which `communicate` does."""
    accepted.touch()
    environment = {**os.environ, "EPOCHD_DATA": str(data), **stack.environment}
    command = [sys.executable, "-m", "tests.chaos.oracle", str(accepted)]
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


if __name__ == "__main__":
    sys.exit(main())
