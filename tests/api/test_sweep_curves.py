"""The curves of a whole sweep: one by one, aggregated, as tables and as pictures."""

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api import sweep_curves
from tests.api.service import Metrics, Service, problem
from tests.api.sweeps import EPOCHS, PNG, losses_of, sweep, table


def test_every_run_has_an_entry_in_the_order_of_their_numbers(service: Service) -> None:
    experiment = sweep(service)
    found = service.get(experiment["links"]["curves"])
    assert (found["experiment_id"], found["runs_total"]) == (experiment["id"], 12)
    assert found["group_by"] == ["degree", "weight_decay"]
    assert [run["number"] for run in found["runs"]] == list(range(12))
    assert [(run["values"]["degree"], run["values"]["weight_decay"], run["seed"]) for run in found["runs"]] == [
        (degree, decay, seed) for degree in (7, 3) for decay in (0, 1) for seed in range(3)
    ]
    assert found["runs"][5]["label"] == "degree 7, λ = 1, seed 2"
    for run in found["runs"]:
        spec = service.get(f"/v1/runs/{run['run_id']}")["spec"]
        assert run["epochs"] == list(range(1, EPOCHS + 1))
        assert run["series"] == {name: list(values) for name, values in losses_of(spec).items()}


def test_a_single_run_is_called_what_it_is(service: Service) -> None:
    experiment = sweep(service, grid={}, seeds=1)
    (run,) = service.get(experiment["links"]["curves"])["runs"]
    assert (run["label"], run["values"], run["total_epochs"]) == ("polynomial, degree 3", {}, EPOCHS)


def test_runs_that_wait_have_empty_curves(service: Service) -> None:
    experiment = service.submit(seeds=2)
    found = service.get(experiment["links"]["curves"])
    assert [run["epochs"] for run in found["runs"]] == [[], []]
    assert table(service, experiment) == []
    assert service.get(experiment["links"]["curves"], aggregate="mean")["groups"][0]["epochs"] == []
    assert table(service, experiment, aggregate="mean") == []
    answer = service.client.get(experiment["links"]["curves"], params={"format": "png"})
    assert answer.content.startswith(PNG)


def test_curves_can_be_narrowed(service: Service) -> None:
    experiment = sweep(service)
    (run, *_) = service.get(experiment["links"]["curves"], metric="test_loss", after_epoch=4)["runs"]
    assert run["epochs"] == [5, 6]
    assert list(run["series"]) == ["test_loss"]
    both = service.get(experiment["links"]["curves"], metric="test_loss,train_loss")["runs"][0]["series"]
    assert list(both) == ["test_loss", "train_loss"]


def test_the_table_has_a_row_per_run_and_epoch(service: Service) -> None:
    experiment = sweep(service, grid={"coefficients": [[1.5, 2.0], [3.0]]}, seeds=[4, 9], folds=2)
    rows = table(service, experiment)
    assert list(rows[0])[:7] == ["number", "run_id", "coefficients", "seed", "data_seed", "fold", "epoch"]
    assert list(rows[0])[7:] == ["train_loss", "valid_loss", "test_loss", "weight_l2_norm", "weight_l1_norm"]
    assert [(row["number"], row["epoch"]) for row in rows] == [
        (str(number), str(epoch)) for number in range(8) for epoch in range(1, EPOCHS + 1)
    ]
    first = rows[0]
    assert (first["coefficients"], first["seed"], first["fold"], first["valid_loss"]) == ("1.5/2", "4", "0", "")
    for row in rows:
        start = float(row["train_loss"]) * int(row["epoch"])
        assert start == pytest.approx(4 + int(row["seed"]) / 100 + int(row["fold"]) / 1000)


def test_json_and_csv_hold_the_same_numbers(service: Service) -> None:
    experiment = sweep(service)
    rows = table(service, experiment, metric="test_loss")
    in_json = [
        value for run in service.get(experiment["links"]["curves"])["runs"] for value in run["series"]["test_loss"]
    ]
    assert [float(row["test_loss"]) for row in rows] == in_json


def test_what_is_not_finite_is_null_and_an_empty_cell(service: Service) -> None:
    experiment = service.submit({"variant": "linear", "epochs": 3}, seeds=2)
    service.train(lambda spec: {"test_loss": [math.nan, math.inf, 1e300] if spec["seed"] else [1.0, 2.0, -math.inf]})
    found = service.get(experiment["links"]["curves"])
    assert [run["series"]["test_loss"] for run in found["runs"]] == [[1.0, 2.0, None], [None, None, 1e300]]
    assert [row["test_loss"] for row in table(service, experiment)] == ["1.0", "2.0", "", "", "", "1e+300"]
    (group,) = service.get(experiment["links"]["curves"], aggregate="mean,std,min,max")["groups"]
    assert group["series"]["test_loss"] == {
        "mean": [1.0, 2.0, 1e300],
        "std": [None, None, None],
        "min": [1.0, 2.0, 1e300],
        "max": [1.0, 2.0, 1e300],
    }


@pytest.mark.parametrize("asked", [{"aggregate": "mean,std,min,max"}, {"aggregate": ["mean", "std,min", "max"]}])
def test_aggregates_are_over_the_replicates_of_a_grid_point(service: Service, asked: dict[str, Any]) -> None:
    experiment = sweep(service)
    runs = service.get(experiment["links"]["curves"])["runs"]
    found = service.get(experiment["links"]["curves"], **asked)
    assert (found["runs_total"], found["aggregate"]) == (12, ["mean", "std", "min", "max"])
    assert [group["label"] for group in found["groups"]] == [
        "degree 7, λ = 0",
        "degree 7, λ = 1",
        "degree 3, λ = 0",
        "degree 3, λ = 1",
    ]
    for group in found["groups"]:
        members = np.array([run["series"]["test_loss"] for run in runs if run["values"] == group["values"]])
        assert (group["runs"], group["replicates"], len(members)) == (3, 3, 3)
        series = group["series"]["test_loss"]
        np.testing.assert_allclose(series["mean"], members.mean(0))
        np.testing.assert_allclose(series["std"], members.std(0, ddof=1))
        np.testing.assert_allclose(series["min"], members.min(0))
        np.testing.assert_allclose(series["max"], members.max(0))


@pytest.mark.parametrize(
    ("group_by", "values"),
    [
        ("lambda", [{"weight_decay": 0}, {"weight_decay": 1}]),
        (["degree"], [{"degree": 7}, {"degree": 3}]),
        ("seed", [{"seed": seed} for seed in range(3)]),
        (["degree,seed"], [{"degree": degree, "seed": seed} for degree in (7, 3) for seed in range(3)]),
        ("penalty", [{"penalty": "l2"}]),
    ],
)
def test_groups_are_by_any_field(service: Service, group_by: Any, values: list[dict[str, Any]]) -> None:
    experiment = sweep(service)
    found = service.get(experiment["links"]["curves"], aggregate="mean", group_by=group_by)
    assert [group["values"] for group in found["groups"]] == values
    assert {group["runs"] for group in found["groups"]} == {12 // len(values)}
    alone = service.get(experiment["links"]["curves"], group_by=group_by)["runs"]
    assert all(run["values"] in values for run in alone)


def test_folds_are_averaged_within_a_replicate(service: Service) -> None:
    experiment = sweep(service, grid={}, folds=3, seeds=2)
    (group,) = service.get(experiment["links"]["curves"], aggregate="mean,std")["groups"]
    assert (group["runs"], group["replicates"]) == (6, 2)
    assert group["series"]["train_loss"]["mean"][0] == pytest.approx(4 + 0.005 + 0.001)
    assert group["series"]["train_loss"]["std"][0] == pytest.approx(np.std([0, 0.01], ddof=1))
    folds = service.get(experiment["links"]["curves"], aggregate="mean", group_by="fold")["groups"]
    assert [(group["values"], group["replicates"]) for group in folds] == [({"fold": fold}, 2) for fold in range(3)]


def test_aggregates_are_a_table_too(service: Service) -> None:
    experiment = sweep(service)
    rows = table(service, experiment, aggregate="mean,max", metric="test_loss", group_by="degree")
    assert list(rows[0]) == ["degree", "runs", "replicates", "epoch", "test_loss_mean", "test_loss_max"]
    assert [(row["degree"], row["epoch"]) for row in rows] == [
        (degree, str(epoch)) for degree in ("7", "3") for epoch in range(1, EPOCHS + 1)
    ]
    assert float(rows[0]["test_loss_max"]) == pytest.approx(2 * (8 + 10 + 0.02))


def test_max_points_keeps_what_tells_the_shape(service: Service) -> None:
    experiment = service.submit({"variant": "linear", "epochs": 1000}, seeds=2)

    def spiky(spec: dict[str, Any]) -> Metrics:
        values = 1 + np.sin(np.arange(1000.0))
        values[500 + spec["seed"]], values[700] = 50, -3
        return {"train_loss": values[::-1].copy(), "test_loss": values}

    service.train(spiky)
    path = experiment["links"]["curves"]
    found = service.get(path, max_points=60)
    for seed, run in enumerate(found["runs"]):
        assert len(run["epochs"]) <= 60
        assert {1, 501 + seed, 701, 1000} <= set(run["epochs"])
    assert service.get(path, max_points=60) == found
    (group,) = service.get(path, max_points=60, aggregate="mean,min,max")["groups"]
    assert len(group["epochs"]) <= 60
    assert {1, 501, 502, 701, 1000} <= set(group["epochs"])
    assert all(len(values) == len(group["epochs"]) for values in group["series"]["test_loss"].values())
    assert len(table(service, experiment, max_points=60)) <= 120


@pytest.mark.parametrize(
    ("params", "pointer", "said"),
    [
        ({"group_by": "hidden"}, "/group_by", "no field of polynomial"),
        ({"group_by": ["lambda", "weight_decay"]}, "/group_by", "twice"),
        ({"group_by": "degree,degree"}, "/group_by", "twice"),
        ({"group_by": ""}, "/group_by", "has an empty name"),
        ({"aggregate": "mean,mean"}, "/aggregate", "names mean twice"),
        ({"metric": "train_loss,train_loss"}, "/metric", "names train_loss twice"),
        ({"metric": "valid_loss"}, "/metric", "those that are: train_loss, test_loss"),
        ({"aggregate": "median"}, "/aggregate/0", "'mean'"),
        ({"aggregate": ["mean"] * 5}, "/aggregate", "at most 4"),
        ({"metric": "train_loss,los"}, "/metric/1", "'train_loss'"),
        ({"max_points": 3}, "/max_points", "at least 25"),
        ({"groupby": "degree"}, "/groupby", "not a known field"),
    ],
)
def test_impossible_parameters_are_pointed_out(
    service: Service, params: dict[str, Any], pointer: str, said: str
) -> None:
    experiment = service.submit(grid={"degree": [1, 2]})
    answer = service.client.get(experiment["links"]["curves"], params=params)
    found = {error["pointer"]: error["detail"] for error in problem(answer, 422, "invalid")["errors"]}
    assert set(found) == {pointer}
    assert said in found[pointer]


@pytest.mark.parametrize(
    "params", [{}, {"aggregate": "mean", "group_by": "seed"}, {"format": "png", "group_by": "seed"}]
)
def test_what_nobody_could_hold_is_refused_with_the_ways_out(
    service: Service, monkeypatch: pytest.MonkeyPatch, params: dict[str, str]
) -> None:
    monkeypatch.setattr(sweep_curves, "MOST_NUMBERS", 100)
    experiment = sweep(service)
    answer = service.client.get(experiment["links"]["curves"], params=params)
    (error,) = problem(answer, 422, "invalid")["errors"]
    assert all(way in error["detail"] for way in ("format=csv", "max_points", "metric", "100"))
    assert len(table(service, experiment)) == 12 * EPOCHS
    assert service.get(
        experiment["links"]["curves"], after_epoch=5, metric="test_loss", group_by="degree", aggregate="mean"
    )


ROWS = st.lists(st.floats(-1e6, 1e6) | st.sampled_from([math.nan, math.inf, -math.inf]), min_size=1, max_size=5)


@given(curves=st.lists(ROWS, min_size=1, max_size=4))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_aggregates_are_numpys(service: Service, curves: list[list[float]]) -> None:
    experiment = service.submit({"variant": "linear", "epochs": 5}, seeds=len(curves))
    service.train(lambda spec: {"test_loss": curves[spec["seed"]]})
    (group,) = service.get(experiment["links"]["curves"], aggregate="mean,std,min,max")["groups"]
    longest = max(map(len, curves))
    stacked = np.array([row + [math.nan] * (longest - len(row)) for row in curves])
    assert group["epochs"] == list(range(1, longest + 1))
    for column, said in enumerate(zip(*group["series"]["test_loss"].values(), strict=True)):
        values = stacked[np.isfinite(stacked[:, column]), column]
        expected = [
            values.mean() if len(values) else None,
            values.std(ddof=1) if len(values) > 1 else None,
            values.min() if len(values) else None,
            values.max() if len(values) else None,
        ]
        for found, wanted in zip(said, expected, strict=True):
            assert found == (None if wanted is None else pytest.approx(wanted, rel=1e-9, abs=1e-6))


def test_documents_are_json_whatever_their_pieces(service: Service) -> None:
    experiment = service.submit({"variant": "linear", "epochs": 400}, seeds=40)
    service.train(lambda spec: {"test_loss": np.random.default_rng(spec["seed"]).random(400)})
    answer = service.client.get(experiment["links"]["curves"])
    assert len(answer.content) > 2 * 64 * 1024
    assert [run["number"] for run in json.loads(answer.content)["runs"]] == list(range(40))
