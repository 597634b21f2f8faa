"""Aggregated curves are what numpy says of the stacked ones."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlcore.analysis.aggregation import STATISTICS, Aggregation, Group

Values = npt.NDArray[np.float64]
SPEC = {"seed": 0, "data_seed": 0, "fold": None, "degree": 3}


def spec(**fields: Any) -> dict[str, Any]:
    return SPEC | fields


def aggregated(runs: list[tuple[dict[str, Any], list[int], list[float]]], *fields: str) -> list[Group]:
    """The groups of runs that have a test loss at some epochs."""
    aggregation = Aggregation(fields)
    for of_run, epochs, losses in runs:
        aggregation.add(of_run, np.array(epochs, np.int64), {"test_loss": np.array(losses, float)})
    return aggregation.groups()


@st.composite
def replicates(draw: st.DrawFn) -> Values:
    """Curves of a few runs over a few epochs, [runs, epochs], some values not measured or infinite."""
    runs, epochs = draw(st.integers(1, 6)), draw(st.integers(1, 8))
    values = np.random.default_rng(draw(st.integers(0, 10_000))).normal(draw(st.floats(-100, 100)), size=(runs, epochs))
    holes = st.sampled_from([0.0, 0.0, 0.0, math.nan, math.inf])
    gaps = draw(st.lists(holes, min_size=values.size, max_size=values.size))
    return np.asarray(values + np.reshape(gaps, values.shape), np.float64)


@given(curves=replicates())
def test_statistics_are_numpys(curves: Values) -> None:
    epochs = list(range(1, curves.shape[1] + 1))
    (group,) = aggregated([(spec(seed=seed), epochs, row.tolist()) for seed, row in enumerate(curves)])
    assert (group.runs, group.replicates) == (len(curves), len(curves))
    for column, values in enumerate(curves.T):
        finite = values[np.isfinite(values)]
        expected = {
            "mean": finite.mean() if len(finite) else math.nan,
            "std": finite.std(ddof=1) if len(finite) > 1 else math.nan,
            "min": finite.min(initial=math.inf) if len(finite) else math.nan,
            "max": finite.max(initial=-math.inf) if len(finite) else math.nan,
        }
        for name in STATISTICS:
            found = group.statistic(name)["test_loss"][column]
            np.testing.assert_allclose(found, expected[name], rtol=1e-9, atol=1e-9)


@given(curves=replicates(), data=st.data())
def test_epochs_are_aligned(curves: Values, data: st.DataObject) -> None:
    """Runs that miss some epochs give what the whole curves give with NaN there."""
    kept = [sorted(data.draw(st.sets(st.integers(0, curves.shape[1] - 1)))) for _ in curves]
    holey = np.full(curves.shape, math.nan)
    for row, columns in enumerate(kept):
        holey[row, columns] = curves[row, columns]
    present = sorted({column for columns in kept for column in columns})
    runs = [
        (spec(seed=seed), [column + 1 for column in columns], curves[seed, columns].tolist())
        for seed, columns in enumerate(kept)
    ]
    (group,) = aggregated(runs)
    whole = [
        (spec(seed=seed), [column + 1 for column in present], row[present].tolist()) for seed, row in enumerate(holey)
    ]
    (expected,) = aggregated(whole)
    assert group.epochs.tolist() == [column + 1 for column in present] == expected.epochs.tolist()
    for name in STATISTICS:
        found, wanted = (one.statistic(name)["test_loss"] for one in (group, expected))
        np.testing.assert_array_equal(found, wanted)


def test_folds_are_averaged_before_replicates() -> None:
    runs = [
        (spec(seed=seed, fold=fold), [1, 2], [base + fold, base - fold])
        for seed, base in enumerate((10.0, 20.0))
        for fold in range(3)
    ]
    (group,) = aggregated(runs)
    assert (group.runs, group.replicates) == (6, 2)
    np.testing.assert_allclose(group.statistic("mean")["test_loss"], [16, 14])
    np.testing.assert_allclose(group.statistic("std")["test_loss"], [math.sqrt(50)] * 2)
    np.testing.assert_allclose(group.statistic("min")["test_loss"], [11, 9])


def test_a_replicate_counts_where_all_its_folds_have_a_value() -> None:
    runs = [
        (spec(fold=0), [1, 2, 3], [1.0, 2.0, math.inf]),
        (spec(fold=1), [1, 3], [3.0, -math.inf]),
        (spec(fold=0, seed=1), [], []),
        (spec(fold=1, seed=1), [1], [50.0]),
    ]
    (group,) = aggregated(runs)
    np.testing.assert_array_equal(group.statistic("mean")["test_loss"], [2, math.nan, math.nan])


def test_grouping_by_fold_averages_none() -> None:
    runs = [(spec(seed=seed, fold=fold), [1], [10.0 * seed + fold]) for seed in range(2) for fold in range(2)]
    groups = aggregated(runs, "fold")
    assert [group.values for group in groups] == [{"fold": 0}, {"fold": 1}]
    assert [group.statistic("mean")["test_loss"].tolist() for group in groups] == [[5.0], [6.0]]


def test_groups_come_in_the_order_of_their_first_run_and_by_value() -> None:
    degrees = [7, 3, 7, 3]
    groups = aggregated([(spec(degree=degree, seed=i), [1], [float(i)]) for i, degree in enumerate(degrees)], "degree")
    assert [(group.values, group.runs) for group in groups] == [({"degree": 7}, 2), ({"degree": 3}, 2)]
    layers = aggregated([(spec(hidden=hidden), [1], [1.0]) for hidden in ([8], [8, 8], [])], "hidden")
    assert [group.values["hidden"] for group in layers] == [[8], [8, 8], []]


def test_data_seeds_of_all_images_are_the_same_replicate() -> None:
    whole = spec(variant="mlp", n_train=60_000, n_test=10_000)
    runs = [({**whole, "data_seed": data, "seed": seed}, [1], [float(seed)]) for data in range(3) for seed in range(2)]
    (group,) = aggregated(runs)
    assert (group.runs, group.replicates, group.statistic("std")["test_loss"].tolist()) == (6, 2, [np.sqrt(0.5)])
    assert [one.replicates for one in aggregated(runs, "data_seed")] == [2, 2, 2]
    (part,) = aggregated([({**of_run, "n_train": 100}, epochs, losses) for of_run, epochs, losses in runs])
    assert part.replicates == 6


def test_metrics_that_only_some_runs_have_are_kept() -> None:
    aggregation = Aggregation([])
    aggregation.add(spec(seed=0), np.array([1, 2]), {"test_loss": np.array([1.0, 2.0])})
    aggregation.add(
        spec(seed=1), np.array([1, 2]), {"test_loss": np.array([3.0, 4.0]), "valid_loss": np.array([5.0, 6.0])}
    )
    (group,) = aggregation.groups()
    assert group.statistic("mean")["test_loss"].tolist() == [2.0, 3.0]
    assert group.statistic("max")["valid_loss"].tolist() == [5.0, 6.0]
    assert aggregation.size == group.size == 4


@pytest.mark.parametrize("value", [1e308, -1e308, 5e-324, 0.0])
def test_values_at_the_edge_of_what_is_finite_make_no_noise(value: float) -> None:
    (group,) = aggregated([(spec(seed=seed), [1], [value * (-1) ** seed]) for seed in range(4)])
    assert group.statistic("max")["test_loss"][0] == abs(value)


def test_an_unknown_statistic_is_named() -> None:
    (group,) = aggregated([(spec(), [1], [1.0])])
    with pytest.raises(ValueError, match="median; there are mean, std, min, max"):
        group.statistic("median")["test_loss"]
