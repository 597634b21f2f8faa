"""A sweep along one field of its grid: means over replicates with their 95 % confidence intervals."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
import numpy.typing as npt

from api import labels
from api.figures import (
    COLOURS,
    DECADES_FOR_LOG,
    GREY,
    LARGEST,
    NOTHING,
    STYLES,
    PictureFormat,
    drawable,
    entitle,
    picture,
)
from api.group_figures import distinct, is_number
from api.summary_figures import ALL_LOST, Point, label

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Values = npt.NDArray[np.float64]
MOST_MARKED: Final = 60
"""Points along an axis that are drawn one by one."""
MOST_NAMED: Final = 13
"""Values that each get a tick of their own."""
RATIO_FOR_LOG: Final = 30.0
ASIDE: Final = 0.1
BELOW: Final = 10.0
"""How far below the lowest mean an interval is followed down a logarithmic axis."""


@dataclass(frozen=True)
class Axis:
    """Where the values of a field lie: numbers by size, logarithmically where they span decades; others side by side.

    Zero, which a logarithm has no place for, stands a step below the smallest.
    """

    values: Mapping[str, Any]
    """The distinct ones by their representation, in order."""
    places: Values
    is_ordered: bool
    is_log: bool = False

    @classmethod
    def of(cls, given: Sequence[Any]) -> Self:
        """The axis for these values."""
        values = distinct([_scalar(one) for one in given])
        if len(values) < 2 or not all(is_number(one) for one in values.values()):
            return cls(values, np.arange(len(values), dtype=np.float64), is_ordered=False)
        numbers = np.array(list(values.values()), np.float64)
        positive = numbers[numbers > 0]
        spans_decades = len(positive) > 1 and positive[-1] >= RATIO_FOR_LOG * positive[0]
        if numbers[0] < 0 or not spans_decades or positive[0] < 1 / LARGEST:
            return cls(values, numbers, is_ordered=True)
        places = np.where(numbers > 0, numbers, positive[0] ** 2 / positive[1])
        return cls(values, places, is_ordered=True, is_log=True)

    def place(self, value: Any) -> float:  # noqa: ANN401  any JSON value
        """Where this value lies."""
        return float(self.places[list(self.values).index(repr(_scalar(value)))])

    @property
    def break_at(self) -> float | None:
        """Where the scale breaks off for zero."""
        has_zero = self.is_log and next(iter(self.values.values())) == 0
        return math.sqrt(self.places[0] * self.places[1]) if has_zero else None


def _scalar(value: Any) -> Any:  # noqa: ANN401
    """What a list of one stands for: `hidden` [256] is a number of units."""
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def intervals(
    title: str,
    subtitle: str,
    field: str | None,
    metrics: Sequence[str],
    points: Sequence[Point],
    format: PictureFormat,  # noqa: A002
) -> bytes:
    """Draw metrics along one field: a line in a band for values in order, points with bars for others."""
    return picture(lambda figure: _intervals(figure, title, subtitle, field, metrics, points), format)


def _intervals(
    figure: "Figure", title: str, subtitle: str, field: str | None, metrics: Sequence[str], points: Sequence[Point]
) -> None:
    axis = Axis.of([point.at[0] for point in points])
    listed = sorted(points, key=lambda point: axis.place(point.at[0]))
    figure.set_size_inches(7.4 if axis.is_ordered else min(max(3.0 + 0.5 * len(axis.values), 6.4), 12), 4.8)
    axes = figure.subplots()
    width = 0.0 if axis.is_ordered or len(metrics) == 1 else ASIDE
    aside = np.linspace(-width, width, len(metrics))
    drawn = [_draw(axes, metric, axis, listed, shift) for metric, shift in zip(metrics, aside, strict=True)]
    _scale(axes, drawn)
    _ticks(axes, axis)
    if axis.is_ordered and not any(one.size for one in drawn):  # nothing has said how far it goes
        axes.set_xlim(*_margins(axis))
    axes.set_xlabel("" if field is None else labels.name(field))
    axes.set_ylabel(labels.name(metrics[0].partition("_")[2] if len(metrics) > 1 else metrics[0]))
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(visible=True, axis="y", color="#E5E5E5", linewidth=0.8)
    axes.set_axisbelow(True)
    _mark(axes, axis, listed)
    if any(one.size for one in drawn) or axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False, fontsize=9)
    if not any(one.size for one in drawn):
        axes.set_yticks([])
        axes.text(0.5, 0.5, NOTHING, transform=axes.transAxes, ha="center", va="center", color=GREY)
    entitle(figure, title, subtitle)


def _draw(axes: "Axes", metric: str, axis: Axis, points: Sequence[Point], shift: float) -> Values:
    """Draw one metric; return what is to be seen of it [3, n]: means, lower and upper ends."""
    places, means, low, high = _seen(metric, axis, points)
    if not means.size:
        return np.empty((3, 0))
    part = next((name for name in STYLES if metric.startswith(name)), "train")
    look: dict[str, Any] = {
        "label": part if metric.startswith(part) else labels.name(metric),
        "color": COLOURS[list(STYLES).index(part)],
        "marker": "o" if len(places) <= MOST_MARKED else None,
        "markersize": 5,
    }
    if axis.is_ordered:
        axes.fill_between(places, low, high, color=look["color"], alpha=0.15, linewidth=0)
        axes.plot(places, means, linestyle=STYLES[part], linewidth=1.8, **look)
    else:
        bars = np.stack([means - low, high - means])
        axes.errorbar(places + shift, means, bars if bars.any() else None, linestyle="", capsize=4, **look)
    return np.stack([means, low, high])


def _seen(metric: str, axis: Axis, points: Sequence[Point]) -> tuple[Values, Values, Values, Values]:
    """Place, mean, lower and upper end of each interval that an axis takes; without one the ends are the mean."""
    found = [(axis.place(point.at[0]), point.estimates.get(metric)) for point in points]
    rows = [(at, one.mean, one.low, one.high) for at, one in found if one is not None and one.mean is not None]
    known = np.array(rows, np.float64).reshape(-1, 4)
    known[:, 2:] = np.where(np.isnan(known[:, 2:]), known[:, 1:2], known[:, 2:])
    seen: Values = known[drawable(known).all(1)]
    return seen[:, 0], seen[:, 1], seen[:, 2], seen[:, 3]


def _scale(axes: "Axes", drawn: Sequence[Values]) -> None:
    """Make the axis logarithmic where the means span decades; an interval that reaches zero leaves it below."""
    means = np.concatenate([np.empty(0), *(one[0] for one in drawn)])
    if not means.size or means.min() <= 0 or math.log10(means.max() / means.min()) <= DECADES_FOR_LOG:
        return
    ends = np.concatenate(drawn, axis=None)
    lowest = max(float(ends[ends > 0].min()), float(means.min()) / BELOW)
    axes.set_yscale("log")
    axes.set_ylim(lowest / 1.5, float(ends.max()) * 1.5)


def _ticks(axes: "Axes", axis: Axis) -> None:
    from matplotlib.ticker import MaxNLocator, NullLocator

    if not axis.is_ordered:
        label(axes.xaxis, list(axis.values.values()))
        axes.set_xlim(-0.5, len(axis.values) - 0.5)
        return
    if axis.is_log:
        axes.set_xscale("log")
    if len(axis.values) <= MOST_NAMED:
        axes.set_xticks(axis.places, _said(list(axis.values.values())))
        axes.xaxis.set_minor_locator(NullLocator())
    elif not axis.is_log:
        axes.xaxis.set_major_locator(MaxNLocator(integer=all(isinstance(one, int) for one in axis.values.values())))
    if axis.break_at is not None:
        axes.axvline(axis.break_at, color=GREY, linewidth=1, linestyle=(0, (1, 3)))


def _margins(axis: Axis) -> tuple[float, float]:
    """What the axis spans, with a little room on both sides."""
    first, last = float(axis.places.min()), float(axis.places.max())
    if axis.is_log:
        room = (last / first) ** 0.05
        return first / room, last * room
    return first - 0.05 * (last - first), last + 0.05 * (last - first)


def _said(values: Sequence[float]) -> list[str]:
    if all(isinstance(one, int) for one in values):
        return [f"{one:,}" for one in values]
    return labels.apart(values)


def _mark(axes: "Axes", axis: Axis, points: Sequence[Point]) -> None:
    there = {axis.place(point.at[0]) for point in points if not point.lost}
    lost = sorted({axis.place(point.at[0]) for point in points} - there)
    if lost:
        look: dict[str, Any] = {"marker": "x", "markersize": 8, "markeredgewidth": 2, "color": GREY, "zorder": 6}
        bottom = axes.get_xaxis_transform()
        axes.plot(lost, [0.0] * len(lost), linestyle="", transform=bottom, clip_on=False, label=ALL_LOST, **look)
    for point in points:
        if point.mark is not None:
            at = axis.place(point.at[0])
            axes.axvline(at, color=COLOURS[4], linewidth=3, alpha=0.7, label=point.mark, zorder=0)
