"""Learning curves as pictures fit for a slide: PNG and SVG by matplotlib's object interface, without its global state.

One colour per run or group (Okabe and Ito's, told apart by colour-blind eyes too), one line style per data set.
"""

import io
import math
import textwrap
import threading
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import numpy.typing as npt

from api import fonts, labels
from api.text import wrapped
from store.curves import Curve

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.legend import Legend
    from matplotlib.lines import Line2D

Values = npt.NDArray[np.float64]
PictureFormat = Literal["png", "svg"]
LineStyle = Literal["-", ":"] | tuple[float, Sequence[float]]
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8A7F00")
STYLES: Final[dict[str, LineStyle]] = {"train": "-", "valid": ":", "test": (0, (5, 2))}
MARKERS: Final = {"train": "o", "valid": "D", "test": "^"}
MOST_MARKED: Final = 15
"""Epochs of a curve that are marked one by one; of a single one a line shows nothing."""
DECADES_FOR_LOG = 2.0
MOST_INSIDE = 4
"""Lines whose legend has room inside a panel."""
QUANTITIES = ("loss", "accuracy")
NORMS = ("weight_l2_norm", "weight_l1_norm")
GREY = "#555555"
NOTHING = "nothing measured"
"""What a panel says without curves, of what has just begun as of what has ended."""
FEWEST_OFF = 3
"""Lines of which one can be said to leave the others."""
FAR_OFF = 100.0
"""How many times the median of the curves' highest values still belongs into the picture."""
FAR_OFF_LINEAR = 10.0
"""The same where the axis is not logarithmic, and beyond which it should be."""
LEGEND_WIDTH = 45
"""Characters in a row of a legend."""
ROW_INCHES = 0.18
"""How high such a row is."""
LARGEST = 1e100
"""Values beyond it make an axis overflow."""

_drawing = threading.Lock()  # matplotlib's fonts and caches belong to one thread at a time


@dataclass(frozen=True)
class Line:
    """One run or group in a figure: its name in the legend and its curve."""

    label: str
    curve: Curve
    band: tuple[Mapping[str, Values], Mapping[str, Values]] | None = None
    """The lower and the upper edge of a group's spread, by metric."""
    colour: str | None = None
    """None: by its place among the lines."""


@dataclass(frozen=True)
class Part:
    """What a panel shows of a line: one metric of it, where it was measured."""

    part: str
    said: str
    epochs: npt.NDArray[np.int64]
    values: Values
    band: tuple[Values, Values] | None = None


def learning_curves(
    title: str,
    subtitle: str,
    lines: Sequence[Line],
    format: PictureFormat,  # noqa: A002
) -> bytes:
    """Draw loss and, where it was measured, accuracy over epochs; the same curves give the same bytes."""
    return picture(lambda figure: _draw(figure, title, subtitle, lines), format)


def picture(draw: Callable[["Figure"], None], format: PictureFormat) -> bytes:  # noqa: A002
    """The bytes of what `draw` puts on an empty figure: one at a time, and the same bytes for the same drawing."""
    from matplotlib.figure import Figure

    with _drawing, warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"Glyph \d+ .* missing from font", UserWarning)
        _settle()
        figure = Figure(layout="constrained")
        draw(figure)
        written = io.BytesIO()
        metadata: dict[str, Any] = {"Date": None} if format == "svg" else {"Software": None}
        figure.savefig(written, format=format, dpi=150, metadata=metadata)
        return written.getvalue()


def _draw(figure: "Figure", title: str, subtitle: str, lines: Sequence[Line]) -> None:
    quantities = measured_quantities(lines)
    panels = figure.subplots(1, len(quantities), squeeze=False)[0]
    seen = set[int]().union(*(_panel(axes, name, lines) for axes, name in zip(panels, quantities, strict=True)))
    names = [_entry(line, is_seen=index in seen) for index, line in enumerate(lines)] if len(lines) > 1 else []
    rows = sum(name.count("\n") + 1 for name in names)
    beside = len(lines) > MOST_INSIDE or rows > len(names)
    height = max(4.8, 1.4 + ROW_INCHES * rows)
    figure.set_size_inches((6.4 if len(quantities) == 1 else 11) + 2.2 * beside, height)
    _legend(figure, lines, names, beside=beside)
    entitle(figure, title, subtitle)


def measured_quantities(lines: Sequence[Line]) -> list[str]:
    """What there is to draw, a panel each: losses and accuracies; the norms of the weights where it is only these."""
    found = [name for name in (*QUANTITIES, *NORMS) if any(parts(line, name) for line in lines)]
    return [name for name in found if name in QUANTITIES] or found or ["loss"]


def entitle(figure: "Figure", title: str, subtitle: str) -> None:
    """Put the title and what is to be said below it over the panels."""
    width = figure.get_figwidth()
    said = wrapped(title, round(width * 7.5))
    figure.suptitle(said, fontsize=14, fontweight="bold", x=0.02, ha="left", parse_math=False)
    if subtitle:
        said = wrapped(subtitle, round(width * 12.5))
        figure.axes[0].set_title(said, fontsize=10, color=GREY, loc="left", parse_math=False)


def colour_of(line: Line, index: int) -> str:
    """The colour of the line at this place."""
    return line.colour or COLOURS[index % len(COLOURS)]


def _panel(axes: "Axes", quantity: str, lines: Sequence[Line]) -> set[int]:
    """Draw a quantity of the lines; return the places of those of which something is to be seen."""
    drawn = [(index, part) for index, line in enumerate(lines) for part in parts(line, quantity)]
    for index, part in drawn:
        colour = colour_of(lines[index], index)
        if part.band is not None:
            axes.fill_between(part.epochs, *part.band, color=colour, alpha=min(0.15, 0.8 / len(drawn)), linewidth=0)
        axes.plot(
            part.epochs,
            part.values,
            color=colour,
            linestyle=STYLES[part.part],
            linewidth=1.8,
            marker=_marker(part),
            markersize=4,
        )
    decorate(axes, quantity, [part for _, part in drawn])
    if len(lines) >= FEWEST_OFF:
        keep_in_view(axes, quantity, [part for _, part in drawn])
    top = axes.get_ylim()[1]
    return {index for index, part in drawn if part.values.min() <= top}


def _marker(part: Part) -> str | None:
    return MARKERS[part.part] if len(part.epochs) <= MOST_MARKED else None


def _entry(line: Line, *, is_seen: bool) -> str:
    """A line's whole name in as many rows as it takes, so that no two look alike; lists break between their items."""
    there = any(parts(line, name) for name in (*QUANTITIES, *NORMS))
    said = line.label if is_seen else f"{line.label} ({'out of view' if there else 'nothing to draw'})"
    return textwrap.fill(said.replace("/", "/ "), LEGEND_WIDTH, break_on_hyphens=False).replace("/ ", "/")


def decorate(axes: "Axes", quantity: str, drawn: Sequence[Part]) -> None:
    """Give a panel of curves its axes."""
    from matplotlib.ticker import MaxNLocator

    axes.set_xlabel("epoch")
    axes.set_ylabel(labels.name(quantity))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1, steps=[1, 2, 5, 10]))
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(visible=True, color="#E5E5E5", linewidth=0.8)
    axes.set_axisbelow(True)
    if not drawn:
        axes.text(0.5, 0.5, NOTHING, transform=axes.transAxes, ha="center", va="center", color=GREY)
        axes.set(xticks=[], yticks=[])
        return
    values = [part.values for part in drawn]
    if quantity != "accuracy" and needs_log(values):
        axes.set_yscale("log")
        if any(part.band is not None for part in drawn):  # whose lower edges may lie anywhere, below 0 too
            axes.set_ylim(bottom=min(float(each.min()) for each in values) / 2)
    if all(len(part.epochs) == 1 for part in drawn):
        axes.set_xlim(drawn[0].epochs[0] - 1, drawn[0].epochs[0] + 1)


def keep_in_view(axes: "Axes", quantity: str, lines: Sequence[Part]) -> None:
    """End the axis above most curves: a few that leave for 1e90 would press all others flat."""
    if quantity == "accuracy":
        return
    is_log = axes.get_yscale() == "log"
    far_off = FAR_OFF if is_log else FAR_OFF_LINEAR
    highest = [float(part.values.max()) for part in lines]
    lowest = min((float(part.values.min()) for part in lines), default=0.0)
    top = far_off * float(np.median(highest)) if highest else 0.0
    if max(highest, default=0.0) > top > lowest:
        axes.set_ylim(lowest / 2 if is_log else lowest - 0.05 * (top - lowest), top)


def _legend(figure: "Figure", lines: Sequence[Line], names: Sequence[str], *, beside: bool) -> None:
    from matplotlib.lines import Line2D

    single = len(lines) == 1
    said = {part.said: part for line in lines for name in QUANTITIES for part in parts(line, name)}
    if not said and (single or not any(parts(line, name) for line in lines for name in NORMS)):
        return
    grey = colour_of(lines[0], 0) if single else GREY
    look: dict[str, Any] = {"color": grey, "linewidth": 1.8, "markersize": 4}
    handles = [
        Line2D([], [], linestyle=STYLES[part.part], marker=_marker(part), label=name, **look)
        for name, part in said.items()
    ]
    handles += [
        Line2D([], [], color=colour_of(lines[index], index), label=name, linewidth=1.8)
        for index, name in enumerate(names)
    ]
    legend = _place_legend(figure, handles, beside=beside)
    for text in legend.get_texts():
        text.set_parse_math(False)


def _place_legend(figure: "Figure", handles: Sequence["Line2D"], *, beside: bool) -> "Legend":
    if beside:
        return figure.legend(handles=handles, frameon=False, fontsize=9, loc="outside right center")
    return figure.axes[0].legend(handles=handles, frameon=False, fontsize=9)


def parts(line: Line, quantity: str) -> list[Part]:
    """What a panel shows of a line: the training, validation and test part, as far as they were measured."""
    if quantity in NORMS:
        return [_part(line, "train", quantity, "weights")] if _measured(line.curve, quantity) else []
    found = []
    for part in STYLES:
        name, said = f"{part}_{quantity}", part
        if part == "train" and _measured(line.curve, name) < 2 <= _measured(line.curve, f"running_{quantity}"):
            # The book's plot: the training set itself is measured but once, its average while training every epoch.
            name, said = f"running_{quantity}", "train (while training)"
        if _measured(line.curve, name):
            found.append(_part(line, part, name, said))
    return found


def _part(line: Line, part: str, name: str, said: str) -> Part:
    values = line.curve.series[name]
    rows = drawable(values)
    band = None
    if line.band and name in line.band[0]:
        low, high = (np.where(drawable(edge[name]), edge[name], np.nan)[rows] for edge in line.band)
        band = (low, high)
    return Part(part, said, line.curve.epochs[rows], values[rows], band)


def drawable(values: Values) -> npt.NDArray[np.bool_]:
    """Which values an axis takes: not NaN, and not those beyond which it overflows."""
    found: npt.NDArray[np.bool_] = np.abs(values) < LARGEST
    return found


def _measured(curve: Curve, name: str) -> int:
    return int(drawable(curve.series[name]).sum()) if name in curve.series else 0


def needs_log(arrays: Sequence[Values]) -> bool:
    """Whether values, all drawable, need a logarithmic axis: they span decades, or some leave the others far below."""
    lowest = min(float(values.min()) for values in arrays)
    highest = [float(values.max()) for values in arrays]
    if lowest <= 0:
        return False
    spans = math.log10(max(highest) / lowest) > DECADES_FOR_LOG
    return spans or max(highest) > FAR_OFF_LINEAR * float(np.median(highest))


@cache
def _settle() -> None:
    """Make SVG reproducible, whose ids are random without a salt, and take fonts for what the usual one lacks."""
    import matplotlib as mpl

    mpl.rcParams["svg.hashsalt"] = "epochd"
    mpl.rcParams["font.family"] = ["sans-serif", *fonts.fallbacks()]
