"""Learning curves as pictures fit for a slide: PNG and SVG by matplotlib's object interface, without its global state.

One colour per run (Okabe and Ito's, told apart by colour-blind eyes too), one line style per data set.
"""

import io
import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import numpy.typing as npt

from store.curves import Curve

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PictureFormat = Literal["png", "svg"]
LineStyle = Literal["-", ":"] | tuple[float, Sequence[float]]
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8A7F00")
STYLES: Final[dict[str, LineStyle]] = {"train": "-", "valid": ":", "test": (0, (5, 2))}
DECADES_FOR_LOG = 2.0
LONGEST_TITLE = 90
MOST_IN_LEGEND = 10

_drawing = threading.Lock()  # matplotlib's fonts and caches belong to one thread at a time


@dataclass(frozen=True)
class Line:
    """One run in a figure: its name in the legend and its curve."""

    label: str
    curve: Curve


@dataclass(frozen=True)
class _Drawn:
    part: str
    said: str
    epochs: npt.NDArray[np.int64]
    values: npt.NDArray[np.float64]


def learning_curves(
    title: str,
    subtitle: str,
    lines: Sequence[Line],
    format: PictureFormat,  # noqa: A002
) -> bytes:
    """Draw loss and, where it was measured, accuracy over epochs; the same curves give the same bytes."""
    with _drawing:
        figure = _figure(title, subtitle, lines)
        return _write(figure, format)


def _figure(title: str, subtitle: str, lines: Sequence[Line]) -> "Figure":
    from matplotlib.figure import Figure

    _settle()
    quantities = [name for name in ("loss", "accuracy") if name == "loss" or any(_parts(line, name) for line in lines)]
    figure = Figure(figsize=(6.4 if len(quantities) == 1 else 11, 4.8), layout="constrained")
    panels = figure.subplots(1, len(quantities), squeeze=False)[0]
    for axes, quantity in zip(panels, quantities, strict=True):
        _panel(axes, quantity, lines)
    _legend(panels[0], lines)
    figure.suptitle(_short(title), fontsize=14, fontweight="bold", x=0.02, ha="left", parse_math=False)
    if subtitle:
        panels[0].set_title(_short(subtitle), fontsize=10, color="#555555", loc="left", parse_math=False)
    return figure


def _panel(axes: "Axes", quantity: str, lines: Sequence[Line]) -> None:
    drawn = [(index, part) for index, line in enumerate(lines) for part in _parts(line, quantity)]
    for index, part in drawn:
        axes.plot(
            part.epochs,
            part.values,
            color=COLOURS[index % len(COLOURS)],
            linestyle=STYLES[part.part],
            linewidth=1.8 if len(lines) <= MOST_IN_LEGEND else 1.0,
            marker="o" if len(part.epochs) <= 15 else None,
            markersize=4,
        )
    _decorate(axes, quantity, [part for _, part in drawn])


def _decorate(axes: "Axes", quantity: str, parts: Sequence[_Drawn]) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.set_xlabel("epoch")
    axes.set_ylabel(quantity)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1, steps=[1, 2, 5, 10]))
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(visible=True, color="#E5E5E5", linewidth=0.8)
    axes.set_axisbelow(True)
    if not parts:
        axes.text(0.5, 0.5, "no epochs yet", transform=axes.transAxes, ha="center", va="center", color="#555555")
        axes.set(xticks=[], yticks=[])
        return
    if quantity == "loss" and _spans_decades(parts):
        axes.set_yscale("log")
    if all(len(part.epochs) == 1 for part in parts):
        axes.set_xlim(parts[0].epochs[0] - 1, parts[0].epochs[0] + 1)


def _legend(axes: "Axes", lines: Sequence[Line]) -> None:
    from matplotlib.lines import Line2D

    said = {part.said: STYLES[part.part] for line in lines for part in _parts(line, "loss")}
    if not said:
        return
    single = len(lines) == 1
    grey = COLOURS[0] if single else "#555555"
    handles = [Line2D([], [], color=grey, linestyle=style, label=name, linewidth=1.8) for name, style in said.items()]
    if not single and len(lines) <= MOST_IN_LEGEND:
        handles += [
            Line2D([], [], color=COLOURS[index % len(COLOURS)], label=_short(line.label, 45), linewidth=1.8)
            for index, line in enumerate(lines)
        ]
    legend = axes.legend(handles=handles, frameon=False, fontsize=9)
    for text in legend.get_texts():
        text.set_parse_math(False)


def _parts(line: Line, quantity: str) -> list[_Drawn]:
    """What a panel shows of a run: the training, validation and test part, as far as they were measured."""
    found = []
    for part in STYLES:
        name, said = f"{part}_{quantity}", part
        if part == "train" and _measured(line.curve, name) < 2 <= _measured(line.curve, f"running_{quantity}"):
            # The book's plot: the training set itself is measured but once, its average while training every epoch.
            name, said = f"running_{quantity}", "train (while training)"
        if _measured(line.curve, name):
            values = line.curve.series[name]
            rows = _finite(values)
            found.append(_Drawn(part, said, line.curve.epochs[rows], values[rows]))
    return found


def _finite(values: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    drawable: npt.NDArray[np.bool_] = np.abs(values) < 1e100  # false for NaN; beyond it axes overflow
    return drawable


def _measured(curve: Curve, name: str) -> int:
    return int(_finite(curve.series[name]).sum()) if name in curve.series else 0


def _spans_decades(parts: Sequence[_Drawn]) -> bool:
    lowest = min(float(part.values.min()) for part in parts)
    highest = max(float(part.values.max()) for part in parts)
    return lowest > 0 and math.log10(highest / lowest) > DECADES_FOR_LOG


def _write(figure: "Figure", format: str) -> bytes:  # noqa: A002
    picture = io.BytesIO()
    metadata: dict[str, Any] = {"Date": None} if format == "svg" else {"Software": None}
    figure.savefig(picture, format=format, dpi=150, metadata=metadata)
    return picture.getvalue()


def _short(text: str, longest: int = LONGEST_TITLE) -> str:
    line = " ".join(text.split())
    return line if len(line) <= longest else line[: longest - 1] + "…"


@cache
def _settle() -> None:
    """Make SVG reproducible: without a salt its ids are random."""
    import matplotlib as mpl

    mpl.rcParams["svg.hashsalt"] = "epochd"
