"""Learning curves of groups of runs: a mean with its spread each, and a colour scale where eyes cannot tell them apart.

One colour per group. A group's training and test curve share it and differ in line style; where there are too many
groups for a legend, they get a panel each instead.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from api import labels
from api.figures import (
    COLOURS,
    GREY,
    STYLES,
    Line,
    Part,
    PictureFormat,
    decorate,
    entitle,
    keep_in_view,
    learning_curves,
    measured_quantities,
    parts,
    picture,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure

MOST_TOLD_APART: Final = 12
MOST_DRAWN: Final = 300
FEWEST_ORDERED: Final = 4
"""Groups along a numeric field that are worth an ordered scale of colours."""
MOST_TICKS: Final = 12


@dataclass(frozen=True)
class Drawn:
    """A group in a figure: the fields in which its runs agree, and its line."""

    values: Mapping[str, Any]
    line: Line


def group_curves(
    title: str,
    subtitle: str,
    groups: Sequence[Drawn],
    format: PictureFormat,  # noqa: A002
) -> bytes:
    """Draw the groups' curves; the same curves give the same bytes."""
    if len(groups) <= MOST_TOLD_APART:
        return learning_curves(title, subtitle, _coloured(groups), format)
    return picture(lambda figure: _many(figure, title, subtitle, groups), format)


def _coloured(groups: Sequence[Drawn]) -> list[Line]:
    """Colours in the order of the values where there is one, the palette of the unordered where there is none."""
    fields = list(groups[0].values) if groups else []
    ordered = len(fields) == 1 and len(groups) >= FEWEST_ORDERED and _is_numeric(groups, fields[0])
    if not ordered and len(groups) <= len(COLOURS):
        return [group.line for group in groups]
    ranks = ranked([group.values[fields[0]] for group in groups]) if ordered else range(len(groups))
    scale = _shades(len(groups))
    return [replace(group.line, colour=scale[rank]) for group, rank in zip(groups, ranks, strict=True)]


def _is_numeric(groups: Sequence[Drawn], name: str) -> bool:
    return all(is_number(group.values[name]) for group in groups)


def is_number(value: object) -> bool:
    """Whether values like this one have an order of their own."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def ranked(values: Sequence[Any]) -> list[int]:
    """The place of each value among the distinct ones: numbers by size, others by first appearance."""
    order = {key: place for place, key in enumerate(distinct(values))}
    return [order[repr(value)] for value in values]


def distinct(values: Sequence[Any]) -> dict[str, Any]:
    """The distinct values by their representation: numbers by size, others by first appearance."""
    found = {repr(value): value for value in values}
    if all(is_number(value) for value in found.values()):
        return dict(sorted(found.items(), key=lambda item: item[1]))
    return found


def _shades(count: int) -> list[str]:
    """Colours of an ordered scale, without its palest end."""
    from matplotlib.colors import to_hex

    return [to_hex(color_map()(place)) for place in np.linspace(0, 0.92, count)]


def color_map() -> "Colormap":
    """An even scale from dark to bright that colour-blind eyes read too."""
    from matplotlib import colormaps

    return colormaps["viridis"]


def _many(figure: "Figure", title: str, subtitle: str, groups: Sequence[Drawn]) -> None:
    quantity = measured_quantities([group.line for group in groups])[0]
    field = _widest(groups)
    ranks = ranked([group.values[field] for group in groups])
    chosen = np.unique(np.linspace(0, len(groups) - 1, min(MOST_DRAWN, len(groups))).round().astype(int))
    lines = [(rank, part) for row in chosen for rank in [ranks[row]] for part in parts(groups[row].line, quantity)]
    there = [part for part in STYLES if any(drawn.part == part for _, drawn in lines)] or ["train"]
    figure.set_size_inches(5.2 * len(there) + 2, 4.8)
    panels = figure.subplots(1, len(there), squeeze=False, sharey=True)[0]
    for axes, part in zip(panels, there, strict=True):
        _panel(axes, quantity, [(rank, drawn) for rank, drawn in lines if drawn.part == part], max(ranks) + 1)
        axes.text(0.98, 0.97, lines and _said(lines, part), transform=axes.transAxes, ha="right", va="top", fontsize=11)
        axes.set_ylabel(axes.get_ylabel() if axes is panels[0] else "")
    keep_in_view(panels[0], quantity, [drawn for _, drawn in lines])
    _colour_bar(figure, panels, field, list(distinct([group.values[field] for group in groups]).values()))
    entitle(figure, title, subtitle)
    figure.supxlabel(_note(len(groups), len(chosen)), fontsize=9, color=GREY)


def _said(lines: Sequence[tuple[int, Part]], part: str) -> str:
    return next(drawn.said for _, drawn in lines if drawn.part == part)


def _widest(groups: Sequence[Drawn]) -> str:
    """The field with the most values, numbers before others: what a scale shows best."""
    fields = list(groups[0].values)
    return max(
        fields, key=lambda name: (_is_numeric(groups, name), len(distinct([group.values[name] for group in groups])))
    )


def _panel(axes: "Axes", quantity: str, lines: Sequence[tuple[int, Part]], shades: int) -> None:
    from matplotlib.collections import LineCollection

    scale = _shades(shades)
    decorate(axes, quantity, [part for _, part in lines])
    axes.add_collection(
        LineCollection(
            [np.column_stack([part.epochs, part.values]) for _, part in lines],
            colors=[scale[rank] for rank, _ in lines],
            linewidths=1.0,
            alpha=0.6,
        )
    )
    axes.autoscale_view()


def _colour_bar(figure: "Figure", panels: Sequence["Axes"], field: str, values: Sequence[Any]) -> None:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import BoundaryNorm, ListedColormap

    shades = ScalarMappable(
        BoundaryNorm(np.arange(len(values) + 1) - 0.5, len(values)), ListedColormap(_shades(len(values)))
    )
    places = range(0, len(values), -(-len(values) // MOST_TICKS))
    bar = figure.colorbar(shades, ax=list(panels), ticks=list(places), pad=0.02, aspect=30)
    bar.set_ticklabels(labels.apart([values[place] for place in places]))
    bar.outline.set_visible(False)
    bar.ax.tick_params(length=0, labelsize=9)
    bar.ax.minorticks_off()
    bar.set_label(labels.name(field))


def _note(groups: int, drawn: int) -> str:
    shown = f"{drawn} of {groups:,} groups are drawn" if drawn < groups else f"{groups:,} groups"
    return f"{shown}, too many to tell apart; group_by fewer fields for a legend"
