"""An experiment's summary as a picture: which configurations it shows, and what it says about them."""

from collections.abc import Sequence
from typing import Final, cast

from api import interval_figures, labels, summary_figures
from api.figures import PictureFormat
from api.summaries import Asked
from api.summary_figures import Point, is_better_high
from mlcore.analysis import summary
from mlcore.analysis.summary import Candidate, Configuration
from mlcore.spec import parse_run_spec

WINNER: Final = "lowest valid loss"
LOST: Final = ("failed", "diverged")
PARTS: Final = ("train", "valid", "test")


def draw(asked: Asked, form: str) -> bytes:
    """The picture in this format; raises Problem 422 for axes that are none of the grid's fields."""
    fields = asked.axes.spanning(asked.query.x, asked.query.y)
    if asked.query.y is None and len(fields) == 2 and len(asked.axes.grid[fields[1]]) == 1:
        del fields[1]  # a heat-map of one row
    metrics = _metrics(asked, len(fields))
    title, points, replicates = _points(asked, fields, metrics)
    picture = cast("PictureFormat", form)
    if len(fields) == 2:
        marked = any(point.mark for point in points)
        said = _subtitle(asked, fields, metrics[0], replicates, marked=marked)
        return summary_figures.heat_map(title, said, fields, metrics[0], points, picture)
    said = f"after the last epoch · {_replicates(replicates, with_interval=True)}"
    return interval_figures.intervals(title, said, fields[0] if fields else None, metrics, points, picture)


def _metrics(asked: Asked, axes: int) -> list[str]:
    """What is shown: one metric in colour, or the losses of all parts side by side."""
    if asked.query.metric is not None:
        return [asked.query.metric]
    return ["test_loss"] if axes == 2 else [f"{part}_loss" for part in PARTS if f"{part}_loss" in asked.axes.metrics]


def _points(asked: Asked, fields: Sequence[str], metrics: Sequence[str]) -> tuple[str, list[Point], set[int]]:
    """What the experiment is called, its configurations, the winner marked, and how many replicates they have."""
    title = asked.experiment.name or asked.experiment.variant + labels.by(asked.axes.grid)
    found: list[Point] = []
    candidates: list[Candidate] = []
    replicates: set[int] = set()
    for configuration in asked.read():
        if not asked.axes.grid and asked.experiment.name is None:
            title = labels.describe(parse_run_spec(dict(configuration.first.spec)))
        found.append(_point(configuration, fields, metrics))
        if (one := summary.candidate(configuration)) is not None:
            candidates.append(one)
        replicates.add(configuration.replicates)
    choice = summary.choose(candidates)
    if choice is not None:
        won = found[choice.winner.position]
        found[choice.winner.position] = Point(won.at, won.estimates, won.lost, WINNER)
    return title, found, replicates


def _point(configuration: Configuration, fields: Sequence[str], metrics: Sequence[str]) -> Point:
    lost = sum(configuration.outcomes.get(name, 0) for name in LOST) == sum(configuration.outcomes.values())
    estimates = {name: configuration.estimate(name) for name in metrics}
    return Point(tuple(configuration.values[name] for name in fields) or ("all runs",), estimates, lost)


def _subtitle(asked: Asked, fields: Sequence[str], metric: str, replicates: set[int], *, marked: bool) -> str:
    parts = [f"{labels.name(metric)} after the last epoch", _replicates(replicates, with_interval=False)]
    others = [name for name, values in asked.axes.grid.items() if name not in fields and len(values) > 1]
    if others:
        best = "highest" if is_better_high(metric) else "lowest"
        parts.append(f"the {best} over {', '.join(labels.name(name) for name in others)}")
    if marked:
        parts.append(f"framed: {WINNER}")
    return " · ".join(parts)


def _replicates(counts: set[int], *, with_interval: bool) -> str:
    most = max(counts, default=0)
    if most == 0:
        return "no replicate has succeeded"
    if most == 1:
        return "one replicate each"
    count = f"{most:,}" if len(counts) == 1 else f"up to {most:,}"
    return f"mean of {count} replicates{' with 95 % confidence interval' if with_interval else ''}"
