"""What the benchmarks share: rounds of interleaved measurements, and one JSON document of what came out."""

import argparse
import json
import os
import signal
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final, TextIO, TypeVar

from benchmarks.machine import OtherWork, about_machine, versions

Json = dict[str, Any]
T = TypeVar("T")

FEW: Final = 10
"""Up to so many values a spread is given as all of them, above as their middle half."""


@dataclass(frozen=True)
class Series:
    """What one measured series is: a sentence, and the unit of its values."""

    what: str
    unit: str = "s"


@dataclass(frozen=True)
class Ratio:
    """How many times `over` is `under`, round by round; `factor` makes the two sides count the same."""

    what: str
    over: str
    under: str
    factor: float = 1.0


@dataclass(frozen=True)
class Bar:
    """A promise about a series or a ratio: its median (or, with `largest`, its greatest value) holds a limit."""

    claim: str
    figure: str
    at_least: float | None = None
    at_most: float | None = None
    largest: bool = False


@dataclass(frozen=True)
class Options:
    """How thoroughly to measure."""

    repeats: int
    quick: bool

    def pick(self, full: T, quick: T) -> T:
        """Return the one or the other."""
        return quick if self.quick else full


@dataclass
class Findings:
    """The values that a benchmark measures, by series, and what is worth saying about them."""

    values: dict[str, list[float]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def add(self, name: str, value: float) -> None:
        """Add a value to a series."""
        self.values.setdefault(name, []).append(value)

    def time(self, name: str, work: Callable[[], T]) -> T:
        """Do something once, add the seconds it took to a series and return its result."""
        start = time.perf_counter()
        result = work()
        self.add(name, time.perf_counter() - start)
        return result

    def note(self, sentence: str) -> None:
        """Say something, once."""
        if sentence not in self.notes:
            self.notes.append(sentence)


@dataclass(frozen=True)
class Benchmark:
    """One script: what it is about, how it measures and what is made of the values."""

    name: str
    about: str
    measure: Callable[[Options, Findings], None]
    series: Mapping[str, Series]
    ratios: Mapping[str, Ratio] = field(default_factory=dict)
    bars: Sequence[Bar] = ()
    sources: Sequence[str] = ()
    repeats: int = 5


def main(benchmark: Benchmark) -> int:
    """Run the benchmark as the command line says and print its document."""
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{benchmark.name}", description=benchmark.about)
    parser.add_argument("--repeats", type=int, default=None, help=f"rounds to measure (default {benchmark.repeats})")
    parser.add_argument("--quick", action="store_true", help="small sizes and one round: does the script still run?")
    given = parser.parse_args()
    clean_up_when_told_to_stop()
    options = Options(given.repeats or (1 if given.quick else benchmark.repeats), given.quick)
    with _own_stdout() as stdout:
        document = _run(benchmark, options)
        json.dump(document, stdout, indent=1, ensure_ascii=False, allow_nan=False)
        stdout.write("\n")
    return 0


def clean_up_when_told_to_stop() -> None:
    """Leave by way of an exception, so that what was started is stopped and folders go."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda received, _: sys.exit(128 + received))


def rounds(options: Options, benchmark: str) -> Iterator[int]:
    """Count the rounds, and say on stderr how far it is."""
    for number in range(options.repeats):
        sys.stderr.write(f"{benchmark}: round {number + 1} of {options.repeats}\n")
        yield number


def in_turn(sides: Sequence[Callable[[], object]], number: int, rest_seconds: float = 0.0) -> None:
    """Do each of the sides once; each round begins with another, so that none is always first.

    Threads of the one before may spin for a while before they sleep, which a rest leaves out of the next one's time.
    """
    first = number % len(sides)
    for side in [*sides[first:], *sides[:first]]:
        time.sleep(rest_seconds)
        side()


def medians(
    findings: Findings, count: int, sides: Mapping[str, Callable[[], object]], after: Callable[[], object] | None = None
) -> None:
    """Time every side `count` times in turn, with `after` following each time; add the median of each."""
    own = Findings()
    for number in range(count):
        in_turn([partial(own.time, name, side) for name, side in sides.items()], number)
        if after is not None:
            after()
    for name, values in own.values.items():
        findings.add(name, statistics.median(values))


def median_in_a_row(
    findings: Findings, name: str, count: int, work: Callable[[], object], after: Callable[[], object] | None = None
) -> None:
    """Time one side `count` times in a row, as a client that keeps asking sees it; add the median."""
    medians(findings, count, {name: work}, after)


def _run(benchmark: Benchmark, options: Options) -> Json:
    findings, machine, others = Findings(), about_machine(), OtherWork()
    started, start = datetime.now(UTC), time.monotonic()
    benchmark.measure(options, findings)
    document: Json = {
        "benchmark": benchmark.name,
        "about": benchmark.about,
        "sources": list(benchmark.sources),
        "started_at": started.isoformat(timespec="seconds"),
        "seconds": round(time.monotonic() - start, 1),
        "quick": options.quick,
        "repeats": options.repeats,
        "machine": machine,
        "cores_used_by_others": round(others.cores(), 2),
        "versions": versions(),
        "series": {name: _series(series, findings.values[name]) for name, series in _measured(benchmark, findings)},
    }
    ratios = {name: _ratio(ratio, findings.values) for name, ratio in benchmark.ratios.items()}
    document["ratios"] = {name: ratio for name, ratio in ratios.items() if ratio is not None}
    figures = document["series"] | document["ratios"]
    document["bars"] = [_bar(bar, figures[bar.figure]) for bar in benchmark.bars if bar.figure in figures]
    document["notes"] = findings.notes
    return document


def _measured(benchmark: Benchmark, findings: Findings) -> Iterator[tuple[str, Series]]:
    unknown = findings.values.keys() - benchmark.series.keys()
    if unknown:
        raise KeyError(f"measured, but not described: {sorted(unknown)}")
    return ((name, series) for name, series in benchmark.series.items() if name in findings.values)


def _series(series: Series, values: list[float]) -> Json:
    return {"what": series.what, "unit": series.unit, **summary(values)}


def _ratio(ratio: Ratio, values: dict[str, list[float]]) -> Json | None:
    """Summarise the rounds' ratios; None where a side was not measured."""
    over, under = (values.get(side, []) for side in (ratio.over, ratio.under))
    if not over or not under:
        return None
    pairs = [ratio.factor * a / b for a, b in zip(over, under, strict=True)]
    sides = {"over": ratio.over, "under": ratio.under, "factor": ratio.factor}
    return {"what": ratio.what, "unit": "×", **sides, **summary(pairs)}


def _bar(bar: Bar, figure: Json) -> Json:
    """Judge a promise."""
    value: float = figure["max" if bar.largest else "median"]
    holds = (bar.at_least is None or value >= bar.at_least) and (bar.at_most is None or value <= bar.at_most)
    limits = {"at_least": bar.at_least, "at_most": bar.at_most}
    return {"claim": bar.claim, "figure": bar.figure, "unit": figure["unit"], **limits, "value": value, "holds": holds}


def summary(values: Sequence[float]) -> Json:
    """Return all values, their median, and their spread: min and max, of many values the middle half."""
    low, high = min(values), max(values)
    spread, kind = (low, high), "min–max"
    if len(values) > FEW:
        first, _, third = statistics.quantiles(values, n=4)
        spread, kind = (first, third), "quartiles"
    return {
        "n": len(values),
        "median": statistics.median(values),
        "min": low,
        "max": high,
        "spread": spread,
        "spread_is": kind,
        "values": list(values),
    }


@contextmanager
def _own_stdout() -> Iterator[TextIO]:
    """Keep stdout for the document: what anything else prints there, in whichever process, goes to stderr."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    with os.fdopen(kept, "w", encoding="utf-8") as stdout:
        yield stdout
