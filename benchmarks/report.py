"""Writes docs/benchmarks.md and its pictures from the JSON documents that the benchmarks left in benchmarks/results."""

import argparse
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks import plots
from benchmarks.figures import text_of

Json = dict[str, Any]

ORDER: Final = (
    "polynomial",
    "mlp",
    "ray_tune",
    "tracking",
    "latency",
    "answers",
    "sweeps",
    "workers",
    "growth",
    "memory",
    "classroom",
)
ON_CARDS: Final = ("gpu",)
"""Those that `make bench-gpu` runs, on a machine of its own."""
RESULTS: Final = Path("benchmarks/results")
DOCS: Final = Path("docs")
MANY: Final = 14
"""Rows above which a table is folded away."""

HEAD: Final = """# Benchmarks

What epochd's figures come from. Each row of the first table is a promise and what was measured for it; below are all
figures behind them. Values are medians; in brackets is their spread (least to greatest of up to ten values, quartiles
of more). The sides of a comparison were measured in turn, in one run, on one machine that did little else; how much
stands below. A ratio is taken in each round, so that what slows the machine for a while slows both of its sides.

To run them again: `make bench`. It makes an environment of its own (`.venv-bench`), takes about {minutes:.0f} minutes
on this machine, and writes this page anew; `make bench ARGS=--quick` only shows within minutes that everything runs.
"""


def main() -> int:
    """Write the report."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.report", description=main.__doc__)
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the JSON documents")
    parser.add_argument("--docs", type=Path, default=DOCS, help="folder to write benchmarks.md and benchmarks/ to")
    given = parser.parse_args()
    write(given.results, given.docs)
    return 0


def write(results: Path, docs: Path) -> None:
    """Write the page and draw its pictures from what results there are."""
    paths = {name: results / f"{name}.json" for name in (*ORDER, *ON_CARDS)}
    documents = {name: json.loads(path.read_text(encoding="utf-8")) for name, path in paths.items() if path.exists()}
    if not documents:
        return
    pictures = plots.draw(documents, docs / "benchmarks")
    page = "\n".join(_page(list(documents.values()), pictures))
    (docs / "benchmarks.md").write_text(page.rstrip() + "\n", encoding="utf-8")


def _page(documents: Sequence[Json], pictures: dict[str, str]) -> Iterator[str]:
    yield HEAD.format(minutes=sum(document["seconds"] for document in documents) / 60)
    if any(document["quick"] for document in documents):
        yield "**These figures are of a quick run with small sizes: they say nothing.**\n"
    yield "## What was promised\n"
    yield from _bars(documents)
    yield "## Machine and versions\n"
    yield from _machine(documents)
    for document in documents:
        yield from _section(document, pictures.get(document["benchmark"]))


def _bars(documents: Sequence[Json]) -> Iterator[str]:
    rows = []
    for document in documents:
        figures = document["series"] | document["ratios"]
        for bar in document["bars"]:
            figure = figures[bar["figure"]]
            verdict = "holds" if bar["holds"] else "**falls short**"
            rows.append((bar["claim"], _limit(bar), text_of(bar["value"], bar["unit"]), _spread(figure), verdict))
    yield from _table(("promise", "limit", "measured", "spread", ""), rows)
    kept = sum(row[-1] == "holds" for row in rows)
    yield f"{kept} of {len(rows)} hold.\n"


def _limit(bar: Json) -> str:
    if bar["at_least"] is not None:
        return f"≥ {text_of(bar['at_least'], bar['unit'])}"
    return f"≤ {text_of(bar['at_most'], bar['unit'])}"


def _machine(documents: Sequence[Json]) -> Iterator[str]:
    machine = documents[0]["machine"]
    busiest = max(document["machine"]["load_before"] for document in documents)
    versions: dict[str, str] = {}
    for document in documents:
        versions |= document["versions"]
    days = sorted({document["started_at"][:10] for document in documents})
    facts = {
        "measured": " to ".join(dict.fromkeys((days[0], days[-1]))),
        "processor": f"{machine['processor']}, {machine['cores']} cores",
        "memory": f"{machine['memory_gib']} GiB",
        "system": f"{machine['system']}, Python {machine['python']}",
        "load before a benchmark began": f"{busiest:.2f} at most",
        "versions": ", ".join(f"{name} {version}" for name, version in versions.items()),
    }
    yield from _table(("", ""), facts.items())


def _section(document: Json, picture: str | None) -> Iterator[str]:
    name = document["benchmark"]
    yield f"## {name.replace('_', ' ').capitalize()}\n"
    yield f"{document['about']} {document['repeats']} rounds; `python -m benchmarks.{name}`.\n"
    yield f"Other processes kept {document['cores_used_by_others']} cores busy meanwhile.\n"
    if document["sources"]:
        yield f"Sources: {'; '.join(document['sources'])}.\n"
    if picture is not None:
        yield f"![{document['about']}](benchmarks/{picture})\n"
    yield from (f"{note}\n" for note in document["notes"])
    for kind in ("ratios", "series"):
        yield from _figures(document[kind].values(), kind)


def _figures(figures: Iterable[Json], kind: str) -> Iterator[str]:
    rows = [(each["what"], text_of(each["median"], each["unit"]), _spread(each), each["n"]) for each in figures]
    if not rows:
        return
    table = _table(("ratio" if kind == "ratios" else "series", "median", "spread", "n"), rows)
    if len(rows) <= MANY:
        yield from table
        return
    yield f"<details><summary>{len(rows)} {kind}</summary>\n"
    yield from table
    yield "</details>\n"


def _spread(figure: Json) -> str:
    low, high = figure["spread"]
    return f"{text_of(low, figure['unit'])} – {text_of(high, figure['unit'])}" if figure["n"] > 1 else "one value"


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"| {' | '.join('---' for _ in head)} |"
    for row in rows:
        yield f"| {' | '.join(map(str, row))} |"
    yield ""


if __name__ == "__main__":
    raise SystemExit(main())
