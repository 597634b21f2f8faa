"""An activation function and its derivative side by side, fit for a slide."""

from typing import TYPE_CHECKING

from api.concepts import Formulas
from api.figures import COLOURS, GREY, PictureFormat, Values, entitle, picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_TICKS = 6
"""Along x: numbers such as −0.0005 need room."""
MOST_MARKED = 40
"""Points that are drawn one by one."""
TITLES = {"relu": "ReLU", "sigmoid": "Sigmoid", "tanh": "Tanh"}


def activation(
    name: str,
    formulas: Formulas,
    x: Values,
    y: Values,
    dy_dx: Values,
    format: PictureFormat,  # noqa: A002
) -> bytes:
    """Draw y and dy/dx over x; the same values give the same bytes."""

    def draw(figure: "Figure") -> None:
        figure.set_size_inches(10, 4.2)
        left, right = figure.subplots(1, 2)
        _panel(left, x, y, COLOURS[0], f"{name}(x) = {formulas.value}")
        _panel(right, x, dy_dx, COLOURS[1], f"{name}′(x) = {formulas.derivative}")
        entitle(figure, f"{TITLES[name]} and its derivative", "")

    return picture(draw, format)


def _panel(axes: "Axes", x: Values, values: Values, colour: str, said: str) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.set_title(said, fontsize=11, color=GREY, loc="left", parse_math=False)
    axes.plot(x, values, color=colour, linewidth=2.4, marker="o" if len(x) <= MOST_MARKED else None, markersize=4)
    axes.set_xlabel("x")
    axes.xaxis.set_major_locator(MaxNLocator(MOST_TICKS, steps=[1, 2, 4, 5, 10]))
    axes.margins(x=0.02, y=0.08)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(visible=True, color="#E5E5E5", linewidth=0.8)
    axes.set_axisbelow(True)
