"""The pictures of the report, from the benchmarks' documents; the colours are told apart by colour-blind eyes, too."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.figures import text_of

Json = dict[str, Any]
Documents = Mapping[str, Json]

# Okabe and Ito's palette: told apart with any colour vision, and by lightness.
BLUE: Final = "#0072B2"
ORANGE: Final = "#E69F00"
GREEN: Final = "#009E73"
PURPLE: Final = "#CC79A7"
GREY: Final = "#8A8A8A"

LINES: Final = ((BLUE, "o"), (ORANGE, "s"), (GREEN, "^"), (PURPLE, "D"))
STYLE: Final[dict[Any, Any]] = {
    "svg.hashsalt": "epochd",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#E4E4E4",
    "figure.facecolor": "white",
}


@dataclass(frozen=True)
class Row:
    """A row of a chart: a series, times a factor that makes it seconds of what is compared."""

    label: str
    series: Json
    factor: float = 1.0
    colour: str = GREY

    def seconds(self) -> tuple[float, float, float]:
        """Return where the spread begins, the median and where the spread ends."""
        low, high = self.series["spread"]
        return self.factor * low, self.factor * self.series["median"], self.factor * high


def draw(documents: Documents, folder: Path) -> dict[str, str]:
    """Draw what there are documents for, as SVG; return the file of each benchmark."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn = {}
    with mpl.rc_context(STYLE):
        for name, draw_one in PICTURES.items():
            if name in documents:
                figure = draw_one(documents)
                figure.savefig(folder / f"{name}.svg", metadata={"Date": None}, bbox_inches="tight")
                drawn[name] = f"{name}.svg"
    return drawn


def _polynomial(documents: Documents) -> Figure:
    series = documents["polynomial"]["series"]
    rows = [
        Row("book, with its animated figure", series["book_drawn"]),
        Row("book, evaluated every epoch", series["book_each"]),
        Row("book, evaluated every 20 epochs", series["book_shown"]),
    ]
    if "ray_tune" in documents:
        rows.append(Row("Ray Tune, one of 8, the book's loop", documents["ray_tune"]["series"]["ray"], 1 / 8))
    rows += [
        Row("epochd, one run, with its figure", series["single_drawn"], colour=BLUE),
        Row("epochd, one run", series["single_each"], colour=BLUE),
        Row("epochd, one of 1,000, ten seeds", series["ten_seeds_each"], 1e-3, BLUE),
        Row("epochd, one of 1,000, one seed", series["one_seed_each"], 1e-3, BLUE),
    ]
    return _dots("A polynomial run of 400 epochs; epochd through HTTP, evaluated every epoch", rows)


def _mlp(documents: Documents) -> Figure:
    series = documents["mlp"]["series"]
    rows = [Row("book", series["book"])] if "book" in series else []
    rows += [
        Row("scikit-learn", series["sklearn"]),
        Row("epochd, one run", series["single"], colour=BLUE),
        Row("epochd, one of 16, 16 seeds", series["own_seeds"], 1 / 16, BLUE),
        Row("epochd, one of 16, one seed", series["one_seed"], 1 / 16, BLUE),
    ]
    return _dots("An epoch of one MLP on Fashion-MNIST", rows)


def _tracking(documents: Documents) -> Figure:
    series = documents["tracking"]["series"]
    micro = 1e-6
    rows = [
        Row("create a run: MLflow", series["mlflow_create"]),
        Row("epochd", series["epochd_create"], colour=BLUE),
        Row("epochd, one of 1,000", series["epochd_create_of_sweep"], colour=BLUE),
        Row("store a value: MLflow, log-batch over HTTP", series["mlflow_store"], micro),
        Row("epochd, of one run, in-process", series["epochd_store_run"], micro, BLUE),
        Row("epochd, of a sweep, in-process", series["epochd_store_sweep"], micro, BLUE),
        Row("read a curve of 1,500 epochs: MLflow", series["mlflow_read"]),
        Row("epochd", series["epochd_read"], colour=BLUE),
    ]
    return _dots("Keeping track of runs: MLflow and epochd, both on SQLite", rows)


def _sweeps(documents: Documents) -> Figure:
    from benchmarks.sweeps import SIZES

    series = documents["sweeps"]["series"]
    sizes = [size for size in SIZES if f"submit_{size}" in series]
    what = {"train": "train and store", "read": "read all curves", "submit": "submit"}
    figure, axes = _figure("Seconds for a sweep of so many polynomial runs of 20 epochs")
    for (part, label), (colour, marker) in zip(what.items(), LINES, strict=False):
        values = [_median(series, f"{part}_{size}") for size in sizes]
        axes.loglog(sizes, values, color=colour, marker=marker, label=label)
    axes.set_xlabel("runs")
    axes.set_ylabel("seconds")
    axes.legend(frameon=False)
    return figure


def _growth(documents: Documents) -> Figure:
    from benchmarks.growth import DATABASES, LEVELS, REQUESTS

    ratios = documents["growth"]["ratios"]
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    figure.suptitle(
        "Time of a request, divided by that of a service with next to nothing stored", x=0.01, ha="left", fontsize=11
    )
    panels = figure.subplots(1, len(DATABASES), sharey=True)
    for axes, (kind, title) in zip(panels, DATABASES.items(), strict=True):
        for request, (colour, marker) in zip(REQUESTS, LINES, strict=True):
            names = [f"{kind}_{level}_{request}" for level in LEVELS]
            values = [ratios[name]["median"] for name in names]
            axes.semilogx([float(level) for level in LEVELS], values, color=colour, marker=marker, label=request)
        axes.axhline(1.3, color="black", linestyle="--", linewidth=1)
        axes.annotate("1.3, what was promised", (1e5, 1.3), (0, 4), textcoords="offset points", fontsize=9)
        axes.set_title(title, fontsize=10)
        axes.set_xlabel("stored epochs")
        axes.set_ylim(0, max(1.6, *axes.get_ylim()))
    panels[-1].legend(frameon=False, loc="lower right", ncols=2)
    return figure


def _workers(documents: Documents) -> Figure:
    from benchmarks.workers import SLOTS

    series = documents["workers"]["series"]
    rows = [
        Row("1 worker" if slots == 1 else f"{slots} workers", series[f"slots_{slots}"], colour=BLUE) for slots in SLOTS
    ]
    return _dots(f"8 stacks of 100 runs on {documents['workers']['machine']['cores']} cores", rows, log=False)


def _latency(documents: Documents) -> Figure:
    series = documents["latency"]["series"]
    milliseconds = [1e3 * value for value in series["first_epoch"]["values"]]
    figure, axes = _figure("Milliseconds from the POST of a run to its first stored epoch", height=1.9)
    axes.scatter(milliseconds, [0] * len(milliseconds), color=BLUE, alpha=0.4, zorder=3, label="one POST each")
    axes.scatter(
        [1e3 * _median(series, "first_epoch")], [0], color="black", marker="|", s=500, zorder=4, label="median"
    )
    axes.axvline(100, color="black", linestyle="--", linewidth=1, label="100 ms, what was promised")
    axes.set_yticks([])
    axes.set_xlim(0, max(110, *milliseconds) * 1.05)
    axes.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=3)
    return figure


def _dots(title: str, rows: Sequence[Row], *, log: bool = True) -> Figure:
    """Show each row's median as a dot, its spread as a line; on a logarithmic axis a bar would have no foot."""
    figure, axes = _figure(title, height=0.9 + 0.3 * len(rows))
    for place, row in enumerate(rows):
        low, median, high = row.seconds()
        axes.plot([low, high], [place, place], color=row.colour, linewidth=5, alpha=0.35, solid_capstyle="round")
        axes.plot(median, place, "o", color=row.colour)
        axes.annotate(text_of(median, "s"), (high, place), (8, -3.5), textcoords="offset points")
    axes.set_yticks(range(len(rows)), [row.label for row in rows])
    axes.invert_yaxis()
    axes.set_xscale("log" if log else "linear")
    axes.set_xlabel("seconds, logarithmic" if log else "seconds")
    axes.margins(x=0.15, y=0.08)
    if not log:
        axes.set_xlim(left=0)
    return figure


def _figure(title: str, height: float = 3.6) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(8, height), layout="constrained")
    axes = figure.subplots()
    figure.suptitle(title, x=0.01, ha="left", fontsize=11)
    return figure, axes


def _median(series: Json, name: str) -> float:
    return float(series[name]["median"])


PICTURES: Final[Mapping[str, Callable[[Documents], Figure]]] = {
    "latency": _latency,
    "polynomial": _polynomial,
    "mlp": _mlp,
    "tracking": _tracking,
    "sweeps": _sweeps,
    "growth": _growth,
    "workers": _workers,
}
