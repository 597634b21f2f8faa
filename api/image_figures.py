"""Classified images as pictures: tiles with true and predicted names, and the confusion matrix."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from api.figures import COLOURS, GREY, PictureFormat, entitle, picture
from api.group_figures import color_map
from api.summary_figures import legible_on

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Pixels = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]
COLUMNS: Final = 10
WRONG: Final = COLOURS[1]


def tiles(title: str, subtitle: str, pixels: Pixels, items: Sequence[dict[str, Any]]) -> bytes:
    """Draw images [n, 28, 28], each over its true name; a wrong one has a cross, a frame and both names."""
    return picture(lambda figure: _tiles(figure, title, subtitle, pixels, items), "png")


def _tiles(figure: "Figure", title: str, subtitle: str, pixels: Pixels, items: Sequence[dict[str, Any]]) -> None:
    rows = max(1, math.ceil(len(items) / COLUMNS))
    figure.set_size_inches(1.15 * COLUMNS, 1.0 + 1.5 * rows)
    panels = figure.subplots(rows, COLUMNS, squeeze=False).ravel()
    for axes in panels:
        axes.set_axis_off()
    for axes, image, item in zip(panels, pixels, items, strict=False):
        axes.imshow(image, cmap="gray_r", vmin=0, vmax=1, interpolation="nearest")
        _name(axes, item)
    entitle(figure, title, "")
    figure.supxlabel(subtitle, fontsize=10, color=GREY, x=0.02, ha="left")


def _name(axes: "Axes", item: dict[str, Any]) -> None:
    from matplotlib.patches import Rectangle

    is_wrong = item["label"] != item["predicted"]
    said = f"✗ {item['predicted_name']}\n({item['label_name']})" if is_wrong else f"{item['label_name']}\n"
    axes.set_title(said, fontsize=9, color=WRONG if is_wrong else "black", fontweight="bold" if is_wrong else None)
    frame = Rectangle((-0.5, -0.5), 28, 28, fill=False, clip_on=False, edgecolor="#CCCCCC", linewidth=0.6)
    frame.set(**({"edgecolor": WRONG, "linewidth": 2.5} if is_wrong else {}))
    axes.add_patch(frame)


def confusion_matrix(
    title: str,
    subtitle: str,
    counts: Counts,
    names: Sequence[str],
    format: PictureFormat,  # noqa: A002
) -> bytes:
    """Draw counts [true, predicted]; a cell's colour is its share of the true class."""
    return picture(lambda figure: _confusion_matrix(figure, title, subtitle, counts, names), format)


def _confusion_matrix(figure: "Figure", title: str, subtitle: str, counts: Counts, names: Sequence[str]) -> None:
    figure.set_size_inches(8.6, 6.6)
    axes = figure.subplots()
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    image = axes.imshow(shares, cmap=color_map(), vmin=0, vmax=1, aspect="auto")
    for (row, column), count in np.ndenumerate(counts):
        if count:
            colour = legible_on(image.to_rgba(np.array(shares[row, column])))
            axes.text(column, row, f"{count:,}", ha="center", va="center", fontsize=9, color=colour)
    axes.set_xticks(range(len(names)), names, rotation=40, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(names)), names)
    axes.set(xlabel="predicted", ylabel="true")
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    bar = figure.colorbar(image, ax=axes, pad=0.02, aspect=30)
    bar.outline.set_visible(False)
    bar.set_label("share of the true class")
    entitle(figure, title, subtitle)
