"""The curves of an experiment as a picture: a line per group, with the spread of its replicates as a band."""

from typing import cast

from api import labels
from api.curve_answers import MOST_DRAWN
from api.curves import Rows, at
from api.figures import Line, PictureFormat
from api.group_figures import Drawn, group_curves
from api.sweep_curves import Asked, shown_rows
from mlcore.analysis.aggregation import Aggregation, Group, Series
from mlcore.spec import parse_run_spec
from store.curves import Curve
from store.status import Status


def draw(asked: Asked, form: str) -> bytes:
    """The picture in this format; raises Problem 422 when there are too many groups to be held."""
    aggregation = asked.aggregated()
    shown = [_drawn(group, asked) for group in aggregation.groups()]
    title, subtitle = _headline(asked, aggregation)
    return group_curves(title, subtitle, shown, cast("PictureFormat", form))


def _drawn(group: Group, asked: Asked) -> Drawn:
    rows = shown_rows(group, asked.query.max_points or MOST_DRAWN)
    mean = at(Curve(group.epochs, group.statistic("mean")), rows)
    band = _band(group, rows, mean.series, asked) if group.replicates > 1 else None
    return Drawn(group.values, Line(labels.point(group.values) or "all runs", mean, band))


def _band(group: Group, rows: Rows | slice, mean: Series, asked: Asked) -> tuple[Series, Series]:
    """The edges of the group's spread."""
    if _shows_std(asked):
        std = {name: values[rows] for name, values in group.statistic("std").items()}
        return {name: mean[name] - std[name] for name in std}, {name: mean[name] + std[name] for name in std}
    low, high = ({name: values[rows] for name, values in group.statistic(edge).items()} for edge in ("min", "max"))
    return low, high


def _shows_std(asked: Asked) -> bool:
    return "std" in asked.query.aggregate and not {"min", "max"} & set(asked.query.aggregate)


def _headline(asked: Asked, aggregation: Aggregation) -> tuple[str, str]:
    """The title and the line below it."""
    experiment = asked.experiment
    if experiment.total_runs == 1 and aggregation.first is not None:
        spec = parse_run_spec(dict(aggregation.first))
        label = labels.describe(spec)
        ended = {Status.FAILED: " · failed", Status.CANCELLED: " · cancelled"}.get(experiment.status, "")
        said = labels.facts(spec) + ended
        return experiment.name or label, f"{label} · {said}" if experiment.name else said
    by = f" by {', '.join(labels.name(field) for field in asked.fields)}" if asked.fields else ""
    what = experiment.variant if asked.axes.grid else labels.describe(parse_run_spec(dict(aggregation.first or {})))
    runs = f"{experiment.total_runs:,} runs"
    said = f"{what}, {runs}{by}" if experiment.name else runs
    return experiment.name or what + by, f"{said} · {_spread(asked, aggregation)}"


def _spread(asked: Asked, aggregation: Aggregation) -> str:
    counts = {group.replicates for group in aggregation.groups()}
    # What differs in a field of the grid, too, is more than a replicate.
    one, many = ("replicate", "replicates") if set(asked.axes.grid) <= set(asked.fields) else ("run", "runs")
    if max(counts, default=1) == 1:
        return f"one {one} each"
    spread = "one standard deviation" if _shows_std(asked) else "range"
    count = f"{min(counts)} to {max(counts)}" if len(counts) > 1 else f"{max(counts)}"
    return f"mean and {spread} of {count} {many}"
