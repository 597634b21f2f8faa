"""A sweep as a heat-map over two fields of its grid."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from api import labels
from api.figures import (
    COLOURS,
    DECADES_FOR_LOG,
    GREY,
    LARGEST,
    PictureFormat,
    entitle,
    picture,
)
from api.group_figures import color_map, distinct
from mlcore.analysis.statistics import Estimate

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

Values = npt.NDArray[np.float64]
MOST_ANNOTATED: Final = 240
FEW_CELLS: Final = 40
MOST_TICKS: Final = 24
LONGEST_TICK: Final = 18
LOST: Final = "#D9D9D9"
ALL_LOST: Final = "no run has succeeded"
"""What is said of a configuration whose runs have all failed or diverged."""


@dataclass(frozen=True)
class Point:
    """A configuration in a picture: its values of the fields that span it, and what is shown of it."""

    at: tuple[Any, ...]
    estimates: Mapping[str, Estimate]
    """By metric; without any when no replicate has succeeded."""
    lost: bool = False
    """Whether none ever will: all have failed or diverged."""
    mark: str | None = None
    """What it is marked as: `winner`."""


def heat_map(
    title: str,
    subtitle: str,
    fields: Sequence[str],
    metric: str,
    points: Sequence[Point],
    format: PictureFormat,  # noqa: A002
) -> bytes:
    """Draw a metric over two fields, x first; of several points in a cell the best one shows."""
    return picture(lambda figure: _heat_map(figure, title, subtitle, fields, metric, points), format)


def _heat_map(
    figure: "Figure", title: str, subtitle: str, fields: Sequence[str], metric: str, points: Sequence[Point]
) -> None:
    columns, rows = (distinct([point.at[axis] for point in points]) for axis in (0, 1))
    values, lost, marked = best_cells(points, list(columns), list(rows), metric)
    width, height = (min(max(3.2 + 0.62 * len(columns), 7.2), 14), min(max(2.0 + 0.36 * len(rows), 4.2), 7.5))
    figure.set_size_inches(width, height)
    axes = figure.subplots()
    image = axes.imshow(values, origin="lower", aspect="auto", cmap=color_map(), norm=_norm(values))
    axes.set_facecolor("white")
    axes.imshow(_masked(lost), origin="lower", aspect="auto", cmap=_one_colour(LOST), interpolation="nearest")
    _ticks(axes, fields, [list(columns.values()), list(rows.values())])
    if np.isfinite(values).any():
        bar = figure.colorbar(image, ax=axes, pad=0.02, aspect=30)
        bar.outline.set_visible(False)
        bar.set_label(labels.name(metric))
    if values.size <= MOST_ANNOTATED:
        _annotate(axes, image, values, lost)
    _mark(axes, marked)
    entitle(figure, title, subtitle)
    if lost.any():
        figure.supxlabel(f"grey: {ALL_LOST}", fontsize=9, color=GREY)


def best_cells(
    points: Sequence[Point], columns: Sequence[str], rows: Sequence[str], metric: str
) -> tuple[Values, npt.NDArray[np.bool_], list[tuple[int, int]]]:
    """The best mean of each cell [rows, columns], NaN where there is none; which cells are lost; which are marked."""
    values = np.full((len(rows), len(columns)), np.nan)
    lost = np.ones(values.shape, bool)
    better = np.fmax if is_better_high(metric) else np.fmin
    across, down = ({key: place for place, key in enumerate(keys)} for keys in (columns, rows))
    marked = []
    for point in points:
        cell = down[repr(point.at[1])], across[repr(point.at[0])]
        found = point.estimates.get(metric)
        mean = np.nan if found is None or found.mean is None else found.mean
        values[cell] = better(values[cell], mean if abs(mean) < LARGEST else np.nan)
        lost[cell] &= point.lost
        if point.mark is not None:
            marked.append(cell)
    return values, lost & np.isnan(values), marked


def is_better_high(metric: str) -> bool:
    """Whether more of a metric is better."""
    return metric.endswith("accuracy")


def _norm(values: Values) -> Any:  # noqa: ANN401  matplotlib's norms share no public base
    from matplotlib.colors import LogNorm, Normalize

    known = values[np.isfinite(values)]
    if not known.size:
        return Normalize(0, 1)
    low, high = float(known.min()), float(known.max())
    spans = low > 0 and math.log10(high / low) > DECADES_FOR_LOG
    return LogNorm(low, high) if spans else Normalize(low, high if high > low else low + abs(low) + 1e-12)


def _masked(lost: npt.NDArray[np.bool_]) -> Values:
    return np.where(lost, 0.0, np.nan)


def _one_colour(colour: str) -> Any:  # noqa: ANN401
    from matplotlib.colors import ListedColormap

    return ListedColormap([colour])


def _ticks(axes: "Axes", fields: Sequence[str], values: Sequence[Sequence[Any]]) -> None:
    for axis, name, along in zip((axes.xaxis, axes.yaxis), fields, values, strict=True):
        axis.set_label_text(labels.name(name))
        label(axis, along)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)


def label(axis: Any, values: Sequence[Any]) -> None:  # noqa: ANN401  an axis of either direction
    """Name the places 0, 1, … of an axis after these values, as many as there is room for."""
    places = range(0, len(values), -(-len(values) // MOST_TICKS))
    said = labels.apart([values[place] for place in places])
    axis.set_ticks(
        list(places), [text if len(text) <= LONGEST_TICK else text[: LONGEST_TICK - 1] + "…" for text in said]
    )
    if axis.axis_name == "x" and sum(map(len, said)) > 70:
        axis.set_tick_params(rotation=40)


def _annotate(axes: "Axes", image: "AxesImage", values: Values, lost: npt.NDArray[np.bool_]) -> None:
    size = 11 if values.size <= FEW_CELLS else 8
    for (row, column), value in np.ndenumerate(values):
        if math.isnan(value):
            said, colour = ("×" if lost[row, column] else "–"), GREY
        else:
            said, colour = _three_digits(value), legible_on(image.to_rgba(np.array(value)))
        axes.text(column, row, said, ha="center", va="center", fontsize=size, color=colour)


def _three_digits(value: float) -> str:
    """The same digits for all neighbours: 0.860 beside 0.856."""
    return f"{value:#.3g}".removesuffix(".")


def legible_on(rgba: Any) -> str:  # noqa: ANN401  four numbers
    """Black or white, by how bright the colour below looks (Rec. 709)."""
    red, green, blue = (float(part) for part in rgba[:3])
    return "black" if 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.45 else "white"


def _mark(axes: "Axes", cells: Sequence[tuple[int, int]]) -> None:
    from matplotlib.patches import Rectangle

    for row, column in cells:
        for colour, width in (("white", 5.0), (COLOURS[1], 3.0)):
            axes.add_patch(
                Rectangle((column - 0.5, row - 0.5), 1, 1, fill=False, edgecolor=colour, linewidth=width, zorder=5)
            )
