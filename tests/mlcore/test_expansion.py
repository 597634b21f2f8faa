"""An experiment expands into runs, or says what is wrong where."""

import json
import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlcore.data.folds import fold_rows
from mlcore.errors import NotExpandable
from mlcore.expansion import expand
from mlcore.grouping import (
    MOST_BYTES,
    MOST_SECONDS,
    SMALLEST_CARD,
    bytes_of,
    card,
    count_groups,
    run_seconds,
    stack_seconds,
    stacks,
)
from mlcore.spec import ExperimentSpec, LinearSpec, MlpSpec, PolynomialSpec, parse_run_spec
from mlcore.stack import shape_of


def runs_of(**experiment: Any) -> list[Any]:
    return list(expand(ExperimentSpec.model_validate({"spec": {"variant": "linear"}, **experiment})))


def test_a_spec_alone_is_one_run() -> None:
    assert runs_of() == [LinearSpec()]


def test_runs_are_grid_by_data_seed_by_seed_by_fold() -> None:
    runs = runs_of(grid={"weight_decay": [0, 3], "n_train": [20, 40]}, seeds=[5, 7], data_seeds=2, folds=2)
    assert len(runs) == 2 * 2 * 2 * 2 * 2
    axes = [(run.weight_decay, run.n_train, run.data_seed, run.seed, run.fold) for run in runs]
    assert axes == sorted(axes)
    assert all(run.folds == 2 for run in runs)


def test_a_count_of_seeds_goes_on_from_the_specs_own() -> None:
    runs = expand(ExperimentSpec.model_validate({"spec": {"variant": "linear", "seed": 10}, "seeds": 3}))
    assert [run.seed for run in runs] == [10, 11, 12]


def test_a_grid_may_name_seeds_and_lambda() -> None:
    runs = runs_of(grid={"seed": [4, 2], "lambda": [1, 2]})
    assert [(run.weight_decay, run.seed) for run in runs] == [(1, 4), (1, 2), (2, 4), (2, 2)]


def test_defaults_that_hang_on_a_varied_field_follow_it() -> None:
    runs = runs_of(grid={"implementation": ["scratch", "concise"]})
    assert [run.loss for run in runs] == ["half_squared_error", "mse"]
    mlps = expand(ExperimentSpec.model_validate({"spec": {"variant": "mlp"}, "grid": {"hidden": [[], [8], [8, 8]]}}))
    assert [run.model_dump()["dropout"] for run in mlps] == [[], [0.0], [0.0, 0.0]]


def test_one_fold_can_be_trained_alone_as_its_resolved_spec_says() -> None:
    alone = runs_of(folds=5)[2]
    assert (alone.folds, alone.fold) == (5, 2)
    assert runs_of(spec=alone.model_dump(mode="json")) == [alone]


def test_resolved_runs_survive_json() -> None:
    for run in runs_of(grid={"weight_decay": [0, 3]}, seeds=2, folds=3):
        assert parse_run_spec(json.loads(json.dumps(run.model_dump(mode="json")))) == run


@pytest.mark.parametrize(
    ("experiment", "pointer", "words"),
    [
        ({"grid": {"degree": [1]}}, "/grid/degree", "no field of linear"),
        ({"grid": {"variant": ["mlp"]}}, "/grid/variant", "no field of linear"),
        ({"grid": {"weight_decay": []}}, "/grid/weight_decay", "at least one"),
        ({"grid": {"weight_decay": [0, -1]}}, "/grid/weight_decay/1", "greater than or equal to 0"),
        ({"grid": {"weight_decay": [0, "3"]}}, "/grid/weight_decay/1", "valid number"),
        ({"grid": {"lambda": [0, -1]}}, "/grid/lambda/1", "greater than or equal to 0"),
        ({"grid": {"a/b~": [1]}}, "/grid/a~1b~0", "no field of linear"),
        ({"spec": {"variant": "linear", "seed": 2**53 - 2}, "seeds": 3}, "/seeds", "largest seed"),
        ({"grid": {"weight_decay": [0, 1, 0.0]}}, "/grid/weight_decay/2", "same run as value 0"),
        ({"grid": {"lambda": [0, 0.0]}}, "/grid/lambda/1", "same run"),
        ({"grid": {"weight_decay": [0], "lambda": [1]}}, "/grid/lambda", "once"),
        ({"grid": {"init": [{"scheme": "normal"}, {"scheme": "normal", "std": 0.01}]}}, "/grid/init/1", "same run"),
        ({"grid": {"seed": [0, 1]}, "seeds": 2}, "/grid/seed", "one of the two"),
        ({"grid": {"seed": [0, 0]}}, "/grid/seed", "twice"),
        ({"grid": {"seed": [-1]}}, "/grid/seed/0", "greater than or equal to 0"),
        ({"grid": {"learning_rate": [i / 1e6 for i in range(1, 1001)]}, "seeds": 1000}, "", "1000000 runs"),
        ({"grid": {"n_train": [20, 2]}, "folds": 3}, "/folds", "2 training examples for 3 folds"),
        ({"spec": {"variant": "linear", "n_valid": 5}, "folds": 3}, "/spec/n_valid", "leave n_valid out"),
        ({"grid": {"n_valid": [0, 5]}, "folds": 3}, "/grid/n_valid", "leave n_valid out"),
        (
            {"spec": {"variant": "linear", "folds": 3, "fold": 1}, "folds": 3},
            "/spec/fold",
            "one fold here, or all there",
        ),
        ({"grid": {"n_inputs": [10, 10_000], "n_train": [100_000, 5]}}, "/grid", "must be at most 24000000"),
    ],
)
def test_what_makes_no_runs_is_named(experiment: dict[str, Any], pointer: str, words: str) -> None:
    with pytest.raises(NotExpandable, match=words) as caught:
        runs_of(**experiment)
    assert caught.value.pointer == pointer


@pytest.mark.parametrize(
    ("experiment", "kept"),
    [
        ({"seeds": 100}, "last_and_best"),
        ({"seeds": 101}, "last"),
        ({"seeds": 101, "spec": {"variant": "linear", "keep_checkpoints": "last_and_best"}}, "last_and_best"),
        ({"seeds": 101, "grid": {"keep_checkpoints": ["none"]}}, "none"),
    ],
)
def test_many_runs_keep_their_last_weights_only_unless_asked(experiment: dict[str, Any], kept: str) -> None:
    assert {run.keep_checkpoints for run in runs_of(**experiment)} == {kept}


def test_a_hundred_thousand_runs_are_not_too_many() -> None:
    grid = {"learning_rate": [i / 1e5 for i in range(1, 101)]}
    runs = expand(ExperimentSpec.model_validate({"spec": {"variant": "linear"}, "grid": grid, "seeds": 1000}))
    assert len(runs) == 100_000
    grouped = stacks(runs)
    assert sorted(number for stack in grouped for number in stack) == list(range(100_000))


@given(st.data())
def test_a_run_is_the_same_wherever_one_looks(data: st.DataObject) -> None:
    experiment = {"spec": {"variant": "polynomial"}, "grid": {"degree": [1, 4], "lambda": [0, 1, 2]}, "data_seeds": 2}
    runs = expand(ExperimentSpec.model_validate({**experiment, "seeds": [3, 1], "folds": 2}))
    listed = list(runs)
    number = data.draw(st.integers(-len(runs), len(runs) - 1))
    assert runs[number] == listed[number]
    assert runs[:number] == listed[:number]
    with pytest.raises(IndexError):
        runs[len(runs)]


@pytest.mark.parametrize(
    "many", [{"data_seeds": 10_000}, {"grid": {"learning_rate": [i / 1e5 for i in range(1, 101)]}, "seeds": 100}]
)
@pytest.mark.parametrize("implementation", ["scratch", "concise"])
def test_a_sweep_is_expanded_and_grouped_without_holding_its_specs(many: dict[str, Any], implementation: str) -> None:
    experiment = {"spec": {"variant": "linear", "implementation": implementation}, **many}
    tracemalloc.start()
    try:
        grouped = stacks(expand(ExperimentSpec.model_validate(experiment)))
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert sum(map(len, grouped)) == 10_000
    assert most < 10_000 * 400  # bytes; the specs themselves would take ten times as much


@given(n=st.integers(2, 300), folds=st.integers(2, 20), data_seed=st.integers(0, 5))
def test_folds_are_disjoint_cover_everything_and_differ_in_size_by_at_most_one(
    n: int, folds: int, data_seed: int
) -> None:
    if n < folds:
        return
    parts = [fold_rows(data_seed, n, folds, fold) for fold in range(folds)]
    held_out = [rows for _, rows in parts]
    assert sorted(np.concatenate(held_out)) == list(range(n))
    assert max(map(len, held_out)) - min(map(len, held_out)) <= 1
    for fold, (kept, held) in enumerate(parts):
        assert sorted([*kept, *held]) == list(range(n))
        sizes = LinearSpec(n_train=n, folds=folds, fold=fold).sizes
        assert (sizes.train, sizes.valid) == (len(kept), len(held))


def test_stacks_have_one_shape_and_stay_small() -> None:
    specs = runs_of(grid={"n_train": [20, 21], "weight_decay": [0, 1, 2]}, seeds=3, folds=2)
    for stack in stacks(specs):
        assert len({shape_of(specs[number]) for number in stack}) == 1
    wide = [MlpSpec(seed=seed) for seed in range(300)]
    grouped = stacks(wide)
    assert 2 <= len(grouped) < 40
    for stack in grouped:
        assert sum(bytes_of(wide[number]) for number in stack) <= MOST_BYTES
        assert sum(run_seconds(wide[number]) for number in stack) <= MOST_SECONDS


def test_what_takes_long_is_spread_over_the_workers() -> None:
    wide = [MlpSpec(weight_decay=float(number)) for number in range(16)]
    assert [len(stack) for stack in stacks(wide, workers=4)] == [4, 4, 4, 4]
    assert len(stacks(wide[:3], workers=4)) == 3
    two_shapes = [*wide, *(MlpSpec(hidden=[100], seed=seed) for seed in range(16))]
    assert len(stacks(two_shapes, workers=4)) == 4
    short = [PolynomialSpec(weight_decay=float(number)) for number in range(16)]
    assert len(stacks(short, workers=4)) == 1


def test_batches_of_their_own_take_their_time() -> None:
    rates = [PolynomialSpec(learning_rate=number / 1e5, epochs=2000) for number in range(1, 1001)]
    seeds = [PolynomialSpec(seed=seed, epochs=2000) for seed in range(1000)]
    assert (count_groups(rates[:64], 1000), count_groups(seeds[:64], 1000)) == (16, 1000)
    assert stack_seconds(seeds[0], 1000, 1000) > 2 * stack_seconds(rates[0], 1000, 1)
    assert (len(stacks(rates, workers=2)), len(stacks(seeds, workers=2))) == (1, 2)


def test_degrees_rates_and_seeds_share_a_stack_and_concise_runs_do_not() -> None:
    grid = {"degree": list(range(20)), "weight_decay": [0, 0.1], "learning_rate": [0.01, 0.02]}
    spec = {"variant": "polynomial"}
    assert len(stacks(expand(ExperimentSpec.model_validate({"spec": spec, "grid": grid, "seeds": 10})))) == 1
    assert len(stacks([PolynomialSpec(implementation="concise", seed=seed) for seed in range(4)])) == 4


def test_stacks_for_a_card_have_its_size() -> None:
    wide = [MlpSpec(hidden=[256, 256], dropout=[0.2, 0.5], seed=seed) for seed in range(1000)]
    large = card(150 * 10**9)
    assert len(stacks(wide, capacity=large)) == 1
    assert len(stacks(wide, capacity=card(12 * 10**9))) > 1
    assert len(stacks([PolynomialSpec(degree=19, seed=seed) for seed in range(100_000)], capacity=large)) == 1
    for stack in stacks(wide, capacity=card(None)):
        assert sum(bytes_of(wide[number], large) for number in stack) <= SMALLEST_CARD
