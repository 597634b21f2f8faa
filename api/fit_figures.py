"""A polynomial as a picture: its points, the learned curve and the true one."""

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from api.figures import COLOURS, PictureFormat, drawable, entitle, picture
from mlcore.polynomial_fit import Fit

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MARKERS: Final[dict[str, dict[str, Any]]] = {
    "train": {"marker": "o", "color": COLOURS[0], "markeredgecolor": "white", "zorder": 5},
    "valid": {"marker": "^", "markerfacecolor": "none", "color": COLOURS[2]},
    "test": {"marker": "o", "markerfacecolor": "none", "color": COLOURS[0]},
}
FEW_POINTS: Final = 200
ROOM: Final = 0.08
"""What is left free above and below, as a share of the height."""


def polynomial(title: str, subtitle: str, fit: Fit, format: PictureFormat) -> bytes:  # noqa: A002
    """Draw a fit; the same one gives the same bytes."""
    return picture(lambda figure: _draw(figure, title, subtitle, fit), format)


def _draw(figure: "Figure", title: str, subtitle: str, fit: Fit) -> None:
    figure.set_size_inches(7.4, 4.8)
    axes = figure.subplots()
    for name, part in fit.points.items():
        few = len(part.x) <= FEW_POINTS
        axes.plot(part.x, part.y, linestyle="", markersize=5 if few else 3, label=name, **MARKERS[name])
    learned = np.where(drawable(fit.learned), fit.learned, np.nan)
    axes.plot(fit.x, learned, color=COLOURS[1], linewidth=2.6, label="learned", zorder=3)
    axes.plot(fit.x, fit.true, color="black", linewidth=1.2, linestyle=(0, (4, 3)), label="true polynomial", zorder=4)
    _keep_points_in_view(axes, fit)
    axes.set(xlabel="x", ylabel="y")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(visible=True, color="#E5E5E5", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.legend(frameon=False, fontsize=9)
    entitle(figure, title, subtitle)


def _keep_points_in_view(axes: "Axes", fit: Fit) -> None:
    """Let the points and the true curve decide the height: between points an overfit may go anywhere."""
    shown = np.concatenate([fit.true, *(part.y for part in fit.points.values())])
    room = ROOM * (np.ptp(shown) or 1.0)
    axes.set_ylim(shown.min() - room, shown.max() + room)
