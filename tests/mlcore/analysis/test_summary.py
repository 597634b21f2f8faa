"""Configurations, the choice among them, and the refit."""

import math
from collections.abc import Iterable
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlcore.analysis.evidence import Outcome
from mlcore.analysis.summary import (
    Candidate,
    Choice,
    Result,
    candidate,
    choose,
    complexity,
    configurations,
    incomparable,
    refit,
)
from mlcore.expansion import expand
from mlcore.spec import ExperimentSpec, LinearSpec, MlpSpec, PolynomialSpec, parse_run_spec


def results(losses: Iterable[float | Outcome], **experiment: Any) -> list[Result]:
    """The runs of an experiment with these validation losses in their order; or an outcome, where a run has none."""
    specs = expand(ExperimentSpec.model_validate({"spec": {"variant": "polynomial", "n_valid": 10}} | experiment))
    return [
        Result(UUID(int=number), spec.model_dump(mode="json"), *_ended(loss))
        for number, (spec, loss) in enumerate(zip(specs, losses, strict=True))
    ]


def _ended(loss: float | Outcome) -> tuple[Outcome, dict[str, float]]:
    return ("succeeded", {"valid_loss": loss}) if isinstance(loss, float) else (loss, {"valid_loss": 0.0})


def chosen(runs: list[Result], *varied: str) -> Choice | None:
    return choose(candidates(runs, *varied))


def candidates(runs: list[Result], *varied: str) -> list[Candidate]:
    return [one for one in map(candidate, configurations(runs, varied)) if one is not None]


def test_a_configuration_per_grid_point_with_estimates_over_its_replicates() -> None:
    runs = results([1.0, 3.0, 10.0, 30.0], grid={"degree": [3, 5]}, seeds=2)
    found = list(configurations(runs, ["degree"]))
    assert [(one.position, one.values, one.first.run.int) for one in found] == [
        (0, {"degree": 3}, 0),
        (1, {"degree": 5}, 2),
    ]
    assert [one.replicates for one in found] == [2, 2]
    assert [one.estimate("valid_loss").mean for one in found] == [2.0, 20.0]
    assert found[1].estimate("valid_loss").std == pytest.approx(math.sqrt(200))
    assert found[0].estimate("test_loss").n == 0


def test_folds_are_averaged_within_a_replicate() -> None:
    runs = results([1.0, 3.0, 5.0, 7.0], spec={"variant": "polynomial"}, seeds=2, folds=2)
    (found,) = configurations(runs, [])
    assert (found.values, found.replicates, found.outcomes["succeeded"]) == ({}, 2, 4)
    assert found.samples["valid_loss"] == [2.0, 6.0]


def test_outcomes_are_counted_apart_and_replicates_need_all_their_folds() -> None:
    losses: list[float | Outcome] = [1.0, "diverged", 2.0, 4.0, "running", "queued", "failed", "cancelled"]
    (found,) = configurations(results(losses, spec={"variant": "polynomial"}, data_seeds=4, folds=2), [])
    assert found.outcomes == {"succeeded": 3, "diverged": 1, "running": 1, "queued": 1, "failed": 1, "cancelled": 1}
    assert (found.replicates, found.samples["valid_loss"]) == (1, [3.0])


def test_the_lowest_mean_validation_loss_wins() -> None:
    choice = chosen(results([2.0, 2.1, 1.0, 1.1, 3.0, 3.1], grid={"degree": [3, 5, 7]}, seeds=2), "degree")
    assert choice is not None
    assert choice.winner.values == {"degree": 5}
    assert choice.neighbour == choice.winner


def test_its_neighbour_is_the_simplest_within_one_standard_error() -> None:
    grid = {"degree": [3, 5, 7]}
    losses = [1.3, 1.5, 1.2, 1.4, 1.0, 1.4]  # means 1.4, 1.3 and 1.2, whose standard error is 0.2
    choice = chosen(results(losses, grid=grid, seeds=2), "degree")
    assert choice is not None
    assert choice.neighbour is not None
    assert (choice.winner.values, choice.neighbour.values) == ({"degree": 7}, {"degree": 3})
    narrow = chosen(results([1.3, 1.5, 1.2, 1.4, 1.19, 1.21], grid=grid, seeds=2), "degree")
    assert narrow is not None
    assert narrow.neighbour == narrow.winner


def test_a_single_replicate_has_no_neighbour() -> None:
    choice = chosen(results([1.0, 2.0], grid={"degree": [3, 5]}), "degree")
    assert choice is not None
    assert (choice.winner.values, choice.neighbour) == ({"degree": 3}, None)


@pytest.mark.parametrize(
    ("grid", "fields"),
    [
        ({"loss": ["mse", "half_squared_error"]}, ["loss"]),
        ({"noise_std": [0.1, 2], "degree": [3, 1]}, ["noise_std"]),
        ({"coefficients": [[1], [1, 2]]}, ["coefficients"]),
    ],
)
def test_losses_of_different_kinds_or_tasks_have_no_winner(grid: dict[str, list[Any]], fields: list[str]) -> None:
    runs = results([1.0, 2.0, 3.0, 4.0][: 2 * len(grid)], grid=grid)
    assert incomparable(candidates(runs, *grid)) == fields
    assert chosen(runs, *grid) is None


def test_data_seeds_of_all_images_are_the_same_replicate() -> None:
    whole: dict[str, Any] = {"spec": {"variant": "mlp"}, "seeds": 2, "data_seeds": 3}
    (found,) = configurations(results([1.0, 2.0] * 3, **whole), [])
    assert (found.replicates, found.samples["valid_loss"], found.outcomes["succeeded"]) == (2, [1.0, 2.0], 6)
    (folded,) = configurations(results([1.0] * 12, **whole, folds=2), [])
    assert folded.replicates == 6
    (late,) = configurations(results(["cancelled", 2.0, 1.0, 2.0, 1.0, 2.0], **whole), [])
    assert (late.replicates, late.samples["valid_loss"]) == (2, [2.0, 1.0])


@pytest.mark.parametrize("lost", ["failed", "diverged"])
def test_what_failed_in_part_is_no_candidate(lost: Outcome) -> None:
    choice = chosen(results([0.1, lost, 2.0, 2.0], grid={"degree": [3, 5]}, seeds=2), "degree")
    assert choice is not None
    assert choice.winner.values == {"degree": 5}


def test_without_validation_losses_nothing_is_chosen() -> None:
    runs = [Result(UUID(int=0), PolynomialSpec().model_dump(mode="json"), "succeeded", {"test_loss": 1.0})]
    assert chosen(runs) is None
    assert chosen(results(["queued"])) is None
    assert chosen(results([math.nan])) is None


@given(losses=st.lists(st.floats(0, 10), min_size=9, max_size=9))
def test_the_choice_is_what_its_definition_says(losses: list[float]) -> None:
    runs = results(losses, grid={"degree": [9, 3, 5]}, seeds=3)
    listed = candidates(runs, "degree")
    choice = choose(listed)
    assert choice is not None
    winner, neighbour = choice.winner, choice.neighbour
    assert neighbour is not None
    assert winner.mean == min(one.mean for one in listed)
    bound = winner.mean + (winner.estimate.standard_error or 0.0)
    within = [one for one in listed if one.mean <= bound]
    assert neighbour in within
    assert neighbour.values["degree"] == min(one.values["degree"] for one in within)


@pytest.mark.parametrize(
    ("simple", "complex_"),
    [
        ({"variant": "polynomial", "degree": 3}, {"variant": "polynomial", "degree": 19, "weight_decay": 9}),
        ({"variant": "linear", "weight_decay": 3}, {"variant": "linear"}),
        ({"variant": "linear", "n_inputs": 20}, {"variant": "linear", "n_inputs": 21}),
        ({"variant": "mlp", "hidden": []}, {"variant": "mlp", "hidden": [8]}),
        ({"variant": "mlp", "hidden": [256, 256]}, {"variant": "mlp", "hidden": [512]}),
        ({"variant": "mlp", "dropout": [0.5]}, {"variant": "mlp"}),
        ({"variant": "mlp", "epochs": 5}, {"variant": "mlp"}),
    ],
)
def test_specs_are_ordered_from_simple_to_complex(simple: dict[str, Any], complex_: dict[str, Any]) -> None:
    first, second = (complexity(parse_run_spec(one).model_dump(mode="json")) for one in (simple, complex_))
    assert first < second


def test_a_refit_trains_on_what_was_held_out() -> None:
    validated = MlpSpec(n_train=50_000, n_valid=10_000, weight_decay=0.01)
    assert refit(validated.model_dump(mode="json")) == validated.model_copy(update={"n_train": 60_000, "n_valid": 0})
    fold = LinearSpec(n_train=20, folds=5, fold=3, seed=7)
    assert refit(fold.model_dump(mode="json")) == LinearSpec(n_train=20, seed=7)
    largest = PolynomialSpec(n_train=100_000, n_valid=100_000)
    assert refit(largest.model_dump(mode="json")).n_train == 100_000
