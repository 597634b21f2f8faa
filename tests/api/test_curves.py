"""Thinning curves out, and drawing them."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api import curves, figures, labels
from api.group_figures import Drawn, group_curves
from api.interval_figures import Axis, intervals
from api.labels import describe
from api.summary_figures import Point, best_cells, heat_map
from mlcore.analysis.statistics import estimate
from mlcore.spec import parse_run_spec
from store.curves import Curve
from tests.api.pictures import assert_png, assert_svg

NUMBERS = st.floats(-1e6, 1e6) | st.sampled_from([math.nan, math.inf, -math.inf])


@st.composite
def any_curve(draw: st.DrawFn) -> Curve:
    """A curve of up to ten metrics, all of a length."""
    count = draw(st.integers(0, 200))
    names = draw(st.lists(st.sampled_from(["train_loss", "valid_loss", "test_loss", "weight_l2_norm"]), unique=True))
    seed = draw(st.integers(0, 1000))
    values = np.random.default_rng(seed).normal(size=(len(names), count)).round(draw(st.integers(0, 3)))
    values[values > 2] = draw(NUMBERS)
    epochs = np.arange(1, count + 1) * draw(st.integers(1, 5))
    return Curve(epochs, dict(zip(names, values, strict=True)))


@given(curve=any_curve(), most=st.integers(25, 150))
def test_a_thinned_curve_keeps_its_shape(curve: Curve, most: int) -> None:
    best = curves.best_row(curve)
    thinned = curves.thin(curve, most, best)
    assert len(thinned.epochs) <= most
    assert (np.diff(thinned.epochs) > 0).all()
    rows = np.searchsorted(curve.epochs, thinned.epochs)
    for name, values in curve.series.items():
        np.testing.assert_array_equal(values[rows], thinned.series[name])
        finite = values[np.isfinite(values)]
        if finite.size:
            kept = thinned.series[name][np.isfinite(thinned.series[name])]
            assert (kept.min(), kept.max()) == (finite.min(), finite.max())
    if len(curve.epochs):
        assert (thinned.epochs[0], thinned.epochs[-1]) == (curve.epochs[0], curve.epochs[-1])
    if best is not None:
        assert curve.epochs[best] in thinned.epochs
    if len(curve.epochs) <= most:
        assert thinned is curve


def test_best_is_by_the_validation_loss_where_there_is_one() -> None:
    nothing, losses = np.full(3, math.nan), np.array([3.0, 1.0, 2.0])
    epochs = np.array([1, 2, 3])
    assert curves.best_row(Curve(epochs, {"test_loss": losses, "valid_loss": losses[::-1]})) == 1
    assert curves.best_row(Curve(epochs, {"test_loss": losses, "valid_loss": nothing})) == 1
    assert curves.best_row(Curve(epochs, {"valid_loss": np.array([0.5, 9.0, 0.1]), "test_loss": losses})) == 2
    assert curves.best_row(Curve(epochs, {"train_loss": losses})) is None


@pytest.mark.parametrize("form", ["png", "svg"])
def test_a_picture_is_the_same_for_the_same_curve(form: figures.PictureFormat) -> None:
    epochs = np.arange(1, 11)
    curve = Curve(epochs, {"train_loss": np.exp(-1.0 * epochs), "test_accuracy": np.tanh(epochs * 1.0)})
    lines = [figures.Line("a $\\frac label", curve), figures.Line("_hidden", curve)]
    first = figures.learning_curves("title $x", "", lines, form)
    assert first == figures.learning_curves("title $x", "", lines, form)
    assert first.startswith(b"\x89PNG" if form == "png" else b"<?xml")


@pytest.mark.parametrize(
    "values", [[math.nan, math.inf], [1e300, 1e308], [0.0, 0.0], [-1.0, 1e9], [1e-300, 1e99], [5e-324, 1.0]]
)
def test_no_values_defeat_a_picture(values: list[float]) -> None:
    curve = Curve(np.array([1, 2]), {"train_loss": np.array(values), "test_accuracy": np.array(values)})
    assert figures.learning_curves("title", "", [figures.Line("run", curve)], "png")


@pytest.mark.parametrize("count", [1, 3, 9, 40])
@pytest.mark.parametrize("extreme", [math.nan, math.inf, 1e300, 1e90, 0.0, -1e9])
def test_no_group_defeats_a_picture_of_many(count: int, extreme: float) -> None:
    epochs = np.arange(1, 6)
    groups = [
        Drawn({"degree": number, "init": {"scheme": "normal"}}, figures.Line(f"degree {number}", curve, (low, high)))
        for number in range(count)
        for curve in [Curve(epochs, {"train_loss": np.exp(-1.0 * epochs), "test_accuracy": np.full(5, number / count)})]
        for low, high in [({"train_loss": curve.series["train_loss"] - 1}, {"train_loss": np.full(5, extreme)})]
    ]
    groups[0].line.curve.series["train_loss"][2:] = extreme
    picture = group_curves("title", "subtitle", groups, "png")
    assert picture == group_curves("title", "subtitle", groups, "png")
    assert picture.startswith(b"\x89PNG")


@pytest.mark.parametrize("means", [[], [1.0], [1.0, 1.0], [0.0, 1e-9], [-1.0, 1e99], [1e308], [1e-5, 1e5], [math.nan]])
def test_no_values_defeat_a_heat_map(means: list[float]) -> None:
    points = [Point((place, "a"), {"test_loss": estimate([mean])}) for place, mean in enumerate(means)]
    points += [Point((0, "b"), {}, lost=True), Point((1, "b"), {}, mark="winner")]
    assert heat_map("title", "", ["degree", "activation"], "test_loss", points, "png")
    assert intervals("title", "", "degree", ["train_loss", "test_loss"], points, "png")


@pytest.mark.parametrize("form", ["png", "svg"])
@pytest.mark.parametrize(
    "values", [[0, 0.1, 1, 10], [3, 1, 2], list(range(100)), [[4], [256], [[]]], ["relu", "tanh"], [-1, 100], [0, 0.5]]
)
def test_a_sweep_along_any_field_is_a_picture(values: list[object], form: figures.PictureFormat) -> None:
    points = [Point((value,), {"test_loss": estimate([1e-3, 10.0**place])}) for place, value in enumerate(values)]
    points[0] = Point(points[0].at, points[0].estimates, mark="lowest")
    content = intervals("title", "subtitle", "degree", ["test_loss"], points, form)
    (assert_png if form == "png" else assert_svg)(content)


@given(st.lists(st.floats(0, 1e6) | st.integers(0, 10**6), min_size=2, unique=True))
def test_numbers_lie_on_an_axis_in_their_order(values: list[float]) -> None:
    axis = Axis.of(values)
    places = [axis.place(value) for value in sorted(values)]
    assert axis.is_ordered
    assert places == sorted(set(places))
    assert not axis.is_log or places[0] > 0


def test_values_that_span_decades_lie_on_a_logarithmic_axis_and_zero_a_step_below() -> None:
    axis = Axis.of([10, 0, 0.1, 1])
    assert axis.is_log
    assert [axis.place(value) for value in (0, 0.1, 1, 10)] == pytest.approx([0.01, 0.1, 1, 10])
    assert axis.break_at == pytest.approx(10**-1.5)
    assert not Axis.of([0, 1, 2, 3]).is_log
    assert Axis.of([[64], [4], [16], [256]]).places.tolist() == [4, 16, 64, 256]
    assert not Axis.of(["relu", "tanh"]).is_ordered


def test_a_cell_shows_the_best_of_what_lies_in_it() -> None:
    points = [
        Point((1, 2), {"test_loss": estimate([loss]), "test_accuracy": estimate([loss])}) for loss in (3.0, 1.0, 2.0)
    ]
    assert best_cells(points, ["1"], ["2"], "test_loss")[0].tolist() == [[1.0]]
    assert best_cells(points, ["1"], ["2"], "test_accuracy")[0].tolist() == [[3.0]]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"degree": 3, "weight_decay": 0.1}, "degree 3, λ = 0.1"),
        ({"hidden": [256, 64], "dropout": [0.2, 0.5]}, "hidden units 256-64, dropout 0.2/0.5"),
        ({"hidden": [], "fold": None}, "hidden units none, fold –"),
        ({"init": {"scheme": "normal", "std": 0.01}, "reuse": True}, "initial weights normal 0.01, reuse yes"),
        ({}, ""),
    ],
)
def test_grid_points_are_one_line(values: dict[str, object], said: str) -> None:
    assert labels.point(values) == said


@pytest.mark.parametrize(
    ("spec", "label"),
    [
        ({"variant": "mlp"}, "MLP 256, relu"),
        ({"variant": "mlp", "hidden": []}, "softmax regression"),
        ({"variant": "mlp", "hidden": [8, 4], "dropout": [0.2, 0.5]}, "MLP 8-4, relu, dropout 0.2, 0.5"),
        ({"variant": "linear", "lambda": 3, "penalty": "l1"}, "linear, 200 inputs, λ = 3 (l1)"),
        ({"variant": "linear", "n_inputs": 1}, "linear, 1 input"),
        ({"variant": "polynomial", "implementation": "concise"}, "polynomial, degree 3, concise"),
    ],
)
def test_labels_tell_runs_apart(spec: dict[str, object], label: str) -> None:
    assert describe(parse_run_spec(spec)) == label
