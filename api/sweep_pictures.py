"""The curves of an experiment as a picture: a line per group, with the spread of its replicates as a band."""

from collections.abc import Sequence
from typing import Literal, cast

from api import labels
from api.curve_answers import MOST_DRAWN
from api.curves import Rows, at
from api.figures import Line, PictureFormat
from api.group_figures import MOST_TOLD_APART, Drawn, group_curves
from api.sweep_curves import Asked, shown_rows
from mlcore.analysis.aggregation import Aggregation, Group, Series
from mlcore.spec import parse_run_spec
from store.curves import Curve

Spread = Literal["range", "one standard deviation"]


def draw(asked: Asked, form: str) -> bytes:
    """The picture in this format; raises Problem 422 when there are too many groups to be held."""
    aggregation = asked.aggregated()
    groups = aggregation.groups()
    spread = _spread(asked, groups)
    title, subtitle = _headline(asked, aggregation, _said(asked, groups, spread))
    shown = [_drawn(group, asked, spread) for group in groups]
    return group_curves(title, subtitle, shown, cast("PictureFormat", form))


def _spread(asked: Asked, groups: Sequence[Group]) -> Spread | None:
    """What a band around the means shows; None: there are none."""
    wanted = set(asked.query.aggregate)
    if len(groups) > MOST_TOLD_APART or max(group.replicates for group in groups) == 1:
        return None
    if "std" in wanted and not wanted & {"min", "max"}:
        return "one standard deviation"
    # Over other fields of the grid a range says how far these were varied, not how sure the mean is.
    return "range" if _is_replicated(asked) or wanted & {"min", "max"} else None


def _is_replicated(asked: Asked) -> bool:
    return set(asked.axes.grid) <= set(asked.fields)


def _drawn(group: Group, asked: Asked, spread: Spread | None) -> Drawn:
    rows = shown_rows(group, asked.query.max_points or MOST_DRAWN)
    mean = at(Curve(group.epochs, group.statistic("mean")), rows)
    band = _band(group, rows, mean.series, spread) if spread and group.replicates > 1 else None
    return Drawn(group.values, Line(labels.point(group.values) or "all runs", mean, band))


def _band(group: Group, rows: Rows | slice, mean: Series, spread: Spread) -> tuple[Series, Series]:
    if spread == "range":
        low, high = ({name: values[rows] for name, values in group.statistic(edge).items()} for edge in ("min", "max"))
        return low, high
    std = {name: values[rows] for name, values in group.statistic("std").items()}
    return {name: mean[name] - std[name] for name in std}, {name: mean[name] + std[name] for name in std}


def _headline(asked: Asked, aggregation: Aggregation, said: str) -> tuple[str, str]:
    """The title and the line below it."""
    experiment, spec = asked.experiment, parse_run_spec(dict(aggregation.first or {}))
    if experiment.total_runs == 1:
        label = labels.describe(spec)
        facts = labels.facts(spec) + labels.ENDED.get(experiment.status, "")
        return experiment.name or label, f"{label} · {facts}" if experiment.name else facts
    by = labels.by(asked.fields)
    what = experiment.variant if asked.axes.grid else labels.describe(spec)
    runs = f"{experiment.total_runs:,} runs"
    lost = {"failed": experiment.failed, "cancelled": experiment.cancelled}
    parts = [f"{what}, {runs}{by}" if experiment.name else runs, said]
    parts += [f"{count:,} {status}" for status, count in lost.items() if count]
    return experiment.name or what + by, " · ".join(parts)


def _said(asked: Asked, groups: Sequence[Group], spread: Spread | None) -> str:
    counts = {group.replicates for group in groups}
    one, many = ("replicate", "replicates") if _is_replicated(asked) else ("run", "runs")
    if max(counts) == 1:
        return f"one {one} each"
    count = f"{min(counts):,} to {max(counts):,}" if len(counts) > 1 else f"{max(counts):,}"
    return f"mean{f' and {spread}' if spread else ''} of {count} {many}"
