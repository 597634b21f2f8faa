"""The pictures of the claims report: those of the service, and where the replicates of a claim lie."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from api.figures import COLOURS, GREY, picture
from epochd.client import Client
from epochd.transport import Json
from mlcore.analysis.summary import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE: Final = COLOURS[0]
CLAIMED: Final = "#DDEFE8"
WIDTH: Final = 7.6
WIDE: Final = ("mlp", "implementations", "dropout")
"""Trainings whose curves are of loss and accuracy, side by side."""
GOLDEN: Final = 0.6180339887
"""Multiples of it, without their whole part, lie evenly however many there are."""
FEW: Final = 20
"""Dots that need no transparency."""
FEW_DECADES: Final = 8.0
"""Ends of a logarithmic axis apart, as a ratio, below which its ticks are numbered as those of any other."""
BESIDE: Final = 0.06
"""Margin beside the dots, in widths of what they span."""


@dataclass(frozen=True)
class Picture:
    """An SVG for a section of the report."""

    section: str
    caption: str
    svg: bytes
    is_wide: bool
    """Whether it has several panels side by side."""


@dataclass(frozen=True)
class Shown:
    """Which picture of a training is shown where."""

    section: str
    training: str
    caption: str
    draw: Callable[[Client, str], bytes]
    """Asks for the SVG by the id of the experiment, or of one run of it where `where` says which."""
    where: Mapping[str, Any] | None = field(default=None)


def _curves(client: Client, experiment: str) -> bytes:
    return client.experiment_picture(experiment, "svg")


def _fit(client: Client, run: str) -> bytes:
    return client.fit_picture(run, "svg")


SHOWN: Final = (
    Shown(
        "4.1",
        "depth",
        "Mean test accuracy: with ReLU hidden layers pay, without activation they do not.",
        lambda client, experiment: client.summary_picture(experiment, "svg", metric="test_accuracy"),
    ),
    Shown("4.2", "mlp", "Loss and accuracy of five seeds on all images; the band is their range.", _curves),
    Shown(
        "4.2",
        "mlp",
        "What the first of them takes for what: shirts are the hard ones.",
        lambda client, run: client.confusion_picture(run, "svg"),
        {},
    ),
    Shown("4.3", "implementations", "The curves of both implementations lie on each other.", _curves),
    Shown("4.4", "polynomials-400", "Degree 1, underfitting, on the first data set.", _fit, {"degree": 1}),
    Shown("4.4", "polynomials", "Degree 3, the true one.", _fit, {"degree": 3}),
    Shown("4.4", "polynomials", "Degree 19 on 100 points.", _fit, {"degree": 19}),
    Shown("4.4", "five-points", "Degree 19 on five points.", _fit, {}),
    Shown("4.5", "weight-decay", "Weight decay from scratch.", _curves),
    Shown("4.5", "weight-decay-concise", "Weight decay, concise; the loss is without the half.", _curves),
    Shown("4.6", "dropout", "With dropout the training loss is higher, and the test loss is nearer to it.", _curves),
)


def pictures(client: Client, experiments: Mapping[str, Json], results: Mapping[str, Sequence[Result]]) -> list[Picture]:
    """Return the service's pictures of what was trained, as far as it succeeded."""
    found = []
    for one in SHOWN:
        asked = _subject(one, experiments, results)
        if asked is not None:
            found.append(
                Picture(one.section, one.caption, one.draw(client, asked), one.training in WIDE and one.where is None)
            )
    return found


def _subject(shown: Shown, experiments: Mapping[str, Json], results: Mapping[str, Sequence[Result]]) -> str | None:
    """Return the id to ask for; None where there is nothing to see."""
    if shown.training not in experiments:
        return None
    where = shown.where or {}
    succeeded = [one for one in results[shown.training] if one.outcome == "succeeded"]
    fitting = [one for one in succeeded if all(one.spec[name] == value for name, value in where.items())]
    if not fitting:
        return None
    return str(experiments[shown.training]["id"]) if shown.where is None else str(fitting[0].run)


def strip(claim: Json) -> bytes:
    """Draw where the replicates of a claim lie, with mean and interval, over what is claimed; as SVG."""
    rows = [("claim", claim)] if claim["control"] is None else [("claim", claim), ("to compare", claim["control"])]
    return picture(lambda figure: _strip(figure, claim, rows), "svg")


def _strip(figure: "Figure", claim: Json, rows: Sequence[tuple[str, Json]]) -> None:
    figure.set_size_inches(WIDTH, 0.62 + 0.5 * len(rows))
    axes = figure.subplots()
    if claim["geometric"]:
        axes.set_xscale("log")
    low, high = _limits(rows)
    axes.set_xlim(low, high)
    if claim["geometric"] and high < FEW_DECADES * low:
        _number(axes)
    axes.set_ylim(0.55 - len(rows), 0.45)
    for row, (_, said) in enumerate(rows):
        _row(axes, -row, said, BLUE if row == 0 else GREY)
    _bounds(axes, claim)
    axes.set_yticks([-row for row in range(len(rows))], [name for name, _ in rows] if len(rows) > 1 else [""])
    axes.tick_params(axis="y", length=0)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.set_xlabel(claim["measure"], fontsize=9, color=GREY)
    axes.tick_params(labelsize=9)


def _number(axes: "Axes") -> None:
    """Number a logarithmic axis that has no powers of ten to name."""
    from matplotlib.ticker import MaxNLocator, NullLocator, StrMethodFormatter

    axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.xaxis.set_minor_locator(NullLocator())


def _row(axes: "Axes", at: float, said: Json, colour: str) -> None:
    values = np.array(said["values"], np.float64)
    spread = (np.arange(1, len(values) + 1) * GOLDEN % 1 - 0.5) * 0.56
    axes.scatter(
        values, at + spread, s=22, color=colour, alpha=0.75 if len(values) <= FEW else 0.35, linewidths=0, zorder=2
    )
    effect = said["effect"]
    if effect is not None and effect["low"] is not None:
        axes.plot([effect["low"], effect["high"]], [at, at], color="black", linewidth=2.2, zorder=3)
        axes.plot(effect["mean"], at, marker="D", color="black", markersize=5, zorder=4)


def _bounds(axes: "Axes", claim: Json) -> None:
    """Shade what is claimed, and draw its ends."""
    left, right = axes.get_xlim()
    low, high = claim["claimed_above"], claim["claimed_below"]
    axes.axvspan(left if low is None else low, right if high is None else high, color=CLAIMED, zorder=0, linewidth=0)
    for bound in (low, high):
        if bound is not None:
            axes.axvline(bound, color=COLOURS[2], linewidth=1.2, linestyle=(0, (4, 2)), zorder=1)
    axes.set_xlim(left, right)


def _limits(rows: Sequence[tuple[str, Json]]) -> tuple[float, float]:
    """Return an axis on which all values and the bounds of the claim lie."""
    bounds = [rows[0][1][name] for name in ("claimed_above", "claimed_below")]
    numbers = [value for _, said in rows for value in said["values"]] + [one for one in bounds if one is not None]
    is_log = rows[0][1]["geometric"]
    ends = np.array([min(numbers, default=1.0), max(numbers, default=1.0)])
    low, high = np.log(ends) if is_log else ends
    margin = BESIDE * (high - low) or abs(high) * BESIDE or 1.0
    found = np.array([low - margin, high + margin])
    left, right = np.exp(found) if is_log else found
    return float(left), float(right)
