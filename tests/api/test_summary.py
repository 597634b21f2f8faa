"""A sweep by configuration: estimates, the choice, tables and heat-maps."""

import csv
import io
import math
import re
from typing import Any

import numpy as np
import pytest
from scipy import stats

from tests.api.service import Metrics, Service, problem

PNG = b"\x89PNG\r\n\x1a\n"
VALIDATED = {"variant": "polynomial", "epochs": 2, "n_valid": 20}
GRID = {"degree": [1, 3, 9], "lambda": [0, 1]}
LOSS_OF_DEGREE = {1: 5.0, 3: 1.0, 9: 1.05}


def metrics_of(spec: dict[str, Any]) -> Metrics:
    """Losses that fall to what degree, λ and seed say."""
    valid = LOSS_OF_DEGREE[spec["degree"]] + spec["weight_decay"] + spec["data_seed"] / 10 + (spec["fold"] or 0) / 100
    found = {"train_loss": [9.0, valid / 2], "test_loss": [9.0, 2 * valid], "weight_l2_norm": [1.0, valid]}
    return found if spec["fold"] is None and not spec["n_valid"] else {**found, "valid_loss": [9.0, valid]}


def sweep(service: Service, **envelope: Any) -> dict[str, Any]:
    """A trained sweep; without more, of six configurations with three data sets each and a validation set."""
    experiment = service.submit(**{"spec": VALIDATED, "grid": GRID, "data_seeds": 3, **envelope})
    service.train(metrics_of)
    return experiment


def summary_of(service: Service, experiment: dict[str, Any], **params: Any) -> Any:
    return service.get(experiment["links"]["summary"], **params)


def test_a_configuration_per_grid_point_with_estimates_over_replicates(service: Service) -> None:
    experiment = sweep(service)
    found = summary_of(service, experiment)
    assert (found["experiment_id"], found["varied"]) == (experiment["id"], ["degree", "weight_decay"])
    assert (found["configurations_total"], found["offset"]) == (6, 0)
    assert [one["number"] for one in found["configurations"]] == list(range(6))
    assert [one["label"] for one in found["configurations"][:2]] == ["degree 1, λ = 0", "degree 1, λ = 1"]
    one = found["configurations"][2]
    assert one["values"] == {"degree": 3, "weight_decay": 0}
    assert one["runs"] == {
        "total": 3,
        "queued": 0,
        "running": 0,
        "succeeded": 3,
        "failed": 0,
        "diverged": 0,
        "cancelled": 0,
    }
    assert one["replicates"] == 3
    assert list(one["metrics"]) == ["train_loss", "valid_loss", "test_loss", "weight_l2_norm"]
    values = [2.0, 2.2, 2.4]
    low, high = stats.t.interval(0.95, 2, loc=np.mean(values), scale=stats.sem(values))
    said = one["metrics"]["test_loss"]
    assert (said["n"], said["left_out"]) == (3, 0)
    assert (said["mean"], said["std"]) == (pytest.approx(2.2), pytest.approx(0.2))
    assert (said["ci_low"], said["ci_high"]) == (pytest.approx(low), pytest.approx(high))


def test_folds_are_averaged_before_any_interval(service: Service) -> None:
    experiment = sweep(service, spec={"variant": "polynomial", "epochs": 2}, grid={}, folds=5, data_seeds=2)
    found = summary_of(service, experiment)
    (one,) = found["configurations"]
    assert (one["label"], one["values"], one["runs"]["total"], one["replicates"]) == ("all runs", {}, 10, 2)
    assert one["metrics"]["valid_loss"]["n"] == 2
    assert one["metrics"]["valid_loss"]["mean"] == pytest.approx(1.02 + 0.05)
    assert one["metrics"]["valid_loss"]["std"] == pytest.approx(np.std([0, 0.1], ddof=1))
    assert one["metrics"]["valid_loss"]["fold_std"] == pytest.approx(np.std(np.arange(5) / 100, ddof=1))


def test_a_single_replicate_has_its_folds_for_an_error(service: Service) -> None:
    """5-fold cross-validation as in the book: 4.4, and the one-standard-error rule over its folds."""
    spec = {"variant": "polynomial", "epochs": 2}
    losses = {1: [5.0] * 5, 3: [1.1, 1.3, 0.9, 1.2, 1.0], 9: [1.0, 1.4, 0.8, 1.2, 1.0]}
    experiment = service.submit(spec, grid={"degree": [1, 3, 9]}, folds=5)
    service.train(lambda run: {"valid_loss": [losses[run["degree"]][run["fold"]]], "test_loss": [1.0]})
    found = summary_of(service, experiment)
    said = found["configurations"][2]["metrics"]["valid_loss"]
    assert (said["n"], said["std"]) == (1, None)
    assert (said["mean"], said["fold_std"]) == (pytest.approx(1.08), pytest.approx(np.std(losses[9], ddof=1)))
    assert (found["winner"]["values"], found["neighbour"]["values"]) == ({"degree": 9}, {"degree": 3})
    assert found["remark"] is None
    refit = found["neighbour"]["refit"]
    assert {name: refit["spec"][name] for name in ("n_train", "folds", "fold")} == {
        "n_train": 100,
        "folds": None,
        "fold": None,
    }
    assert service.client.post("/v1/experiments", json=refit).json()["runs"]["total"] == 1


def test_one_replicate_has_no_interval(service: Service) -> None:
    found = summary_of(service, sweep(service, data_seeds=1))
    said = found["configurations"][0]["metrics"]["test_loss"]
    assert (said["n"], said["mean"]) == (1, 10.0)
    assert (said["std"], said["ci_low"], said["ci_high"]) == (None, None, None)
    assert found["winner"]["values"] == {"degree": 3, "weight_decay": 0}
    assert found["neighbour"] is None
    assert "data_seeds" in found["remark"]


def test_runs_are_counted_by_how_they_stand_and_failures_do_not_flatter(service: Service) -> None:
    experiment = service.submit(VALIDATED, grid={"degree": [1, 3]}, data_seeds=5)
    ends = ["succeeded", "diverged", "failed", "cancelled", "running"]
    service.train(metrics_of, lambda spec: ends[spec["data_seed"]] if spec["degree"] == 3 else "succeeded")
    waiting = service.submit(VALIDATED, seeds=2)
    lucky = summary_of(service, experiment)["configurations"][1]
    assert lucky["runs"] == {
        "total": 5,
        "queued": 0,
        "running": 1,
        "succeeded": 1,
        "failed": 1,
        "diverged": 1,
        "cancelled": 1,
    }
    assert (lucky["replicates"], lucky["metrics"]["test_loss"]["n"]) == (1, 1)
    assert summary_of(service, experiment)["winner"]["values"] == {"degree": 1}
    queued = summary_of(service, waiting)
    assert (queued["configurations"][0]["runs"]["queued"], queued["configurations"][0]["metrics"]) == (2, {})
    assert queued["winner"] is None
    assert "up to now" in queued["remark"]


def test_values_that_are_not_finite_are_left_out_and_counted(service: Service) -> None:
    experiment = service.submit({"variant": "linear", "epochs": 1}, seeds=3)
    service.train(lambda spec: {"test_loss": [[1.0], [3.0], [math.inf]][spec["seed"]]})
    said = summary_of(service, experiment)["configurations"][0]["metrics"]["test_loss"]
    assert (said["n"], said["mean"], said["left_out"]) == (2, 2.0, 1)


def test_the_winner_is_by_validation_loss_and_can_be_trained_on_all_data(service: Service) -> None:
    found = summary_of(service, sweep(service))
    winner, neighbour = found["winner"], found["neighbour"]
    assert (winner["number"], winner["label"]) == (2, "degree 3, λ = 0")
    assert winner["valid_loss"]["mean"] == pytest.approx(1.1)
    assert neighbour == winner
    assert found["remark"] is None
    spec = winner["refit"]["spec"]
    assert (spec["degree"], spec["n_train"], spec["n_valid"]) == (3, 120, 0)
    refitted = service.client.post("/v1/experiments", json=winner["refit"])
    assert refitted.status_code == 202
    assert refitted.json()["runs"]["total"] == 1


def test_the_neighbour_is_the_simplest_within_one_standard_error(service: Service) -> None:
    experiment = service.submit(VALIDATED, grid={"degree": [1, 3, 9]}, data_seeds=3)
    losses = {1: 5.0, 3: 1.05, 9: 1.0}
    service.train(lambda spec: {"valid_loss": [losses[spec["degree"]] + spec["data_seed"] / 10]})
    found = summary_of(service, experiment)
    assert (found["winner"]["values"], found["neighbour"]["values"]) == ({"degree": 9}, {"degree": 3})


def test_losses_of_different_kinds_have_no_winner(service: Service) -> None:
    spec = {"variant": "linear", "n_valid": 10, "epochs": 2}
    experiment = service.submit(spec, grid={"implementation": ["scratch", "concise"]}, seeds=2)
    service.train(lambda _: {"valid_loss": [1.0], "test_loss": [1.0]})
    found = summary_of(service, experiment)
    assert (found["winner"], found["neighbour"]) == (None, None)
    assert found["remark"].startswith("The configurations differ in loss:")
    picture = service.client.get(f"/v1/experiments/{experiment['id']}/summary", params={"format": "svg"})
    assert picture.status_code == 200


def test_without_a_validation_set_nothing_is_chosen(service: Service) -> None:
    found = summary_of(service, sweep(service, spec={"variant": "polynomial", "epochs": 2}))
    assert (found["winner"], found["neighbour"]) == (None, None)
    assert "the test set is not for choosing" in found["remark"]
    assert "n_valid" in found["remark"]


def test_configurations_come_in_parts_and_the_choice_is_among_all(service: Service) -> None:
    experiment = sweep(service)
    part = summary_of(service, experiment, offset=4, limit=1)
    assert (part["configurations_total"], part["offset"]) == (6, 4)
    assert [one["number"] for one in part["configurations"]] == [4]
    assert part["winner"]["number"] == 2
    beyond = summary_of(service, experiment, offset=100)
    assert (beyond["configurations"], beyond["winner"]["number"]) == ([], 2)


def test_the_table_has_all_configurations(service: Service) -> None:
    experiment = sweep(service)
    answer = service.client.get(experiment["links"]["summary"], params={"format": "csv", "limit": 1})
    rows = list(csv.DictReader(io.StringIO(answer.text, newline=""), strict=True))
    assert [(row["number"], row["degree"], row["weight_decay"]) for row in rows] == [
        (str(number), str(degree), f"{decay}.0")
        for number, (degree, decay) in enumerate((degree, decay) for degree in (1, 3, 9) for decay in (0, 1))
    ]
    assert {row["succeeded"] for row in rows} == {"3"}
    in_json = summary_of(service, experiment)["configurations"]
    for row, one in zip(rows, in_json, strict=True):
        for metric, said in one["metrics"].items():
            assert {name: row[f"{metric}_{name}"] for name in said} == {
                name: "" if value is None else str(value) for name, value in said.items()
            }
        assert row["weight_l1_norm_mean"] == ""


@pytest.mark.parametrize("form", ["png", "svg"])
@pytest.mark.parametrize(
    ("envelope", "params"),
    [
        ({}, {}),
        ({}, {"x": "lambda", "y": "degree", "metric": "train_loss"}),
        ({}, {"metric": "weight_l1_norm"}),
        ({"grid": {"degree": [1, 3]}}, {}),
        ({"grid": {"degree": [1, 3]}, "data_seeds": 1}, {"metric": "weight_l2_norm"}),
        ({"grid": {}}, {}),
        ({"grid": GRID | {"learning_rate": [0.001, 0.01, 0.02, 0.03]}}, {"y": "lambda"}),
        ({"grid": {"degree": [1, 3], "init": [{"scheme": "normal"}, {"scheme": "linear_default"}]}}, {}),
    ],
)
def test_a_sweep_is_a_picture(service: Service, form: str, envelope: dict[str, Any], params: dict[str, str]) -> None:
    experiment = sweep(service, name="A sweep with $", **envelope)
    answers = [service.client.get(experiment["links"]["summary"], params={"format": form, **params}) for _ in range(2)]
    assert answers[0].status_code == 200, answers[0].text
    assert answers[0].content == answers[1].content
    assert answers[0].content.startswith(PNG if form == "png" else b"<?xml")


def test_pictures_say_what_they_show(service: Service) -> None:
    experiment = sweep(service, grid=GRID | {"learning_rate": [0.01, 0.02]}, name="Named")
    picture = service.client.get(experiment["links"]["summary"], params={"format": "svg"}).text
    said = " ".join(re.findall("<!-- (.*?) -->", picture, re.DOTALL))  # matplotlib writes each text as a comment, too
    for words in (
        "Named",
        "degree",
        "λ",
        "test loss",
        "mean of 3 replicates",
        "the lowest over learning rate",
        "framed",
    ):
        assert words in said


@pytest.mark.parametrize("lost", [{9}, {1, 3, 9}])
def test_lost_configurations_along_one_field_are_marked(service: Service, lost: set[int]) -> None:
    experiment = service.submit(VALIDATED, grid={"degree": [1, 3, 9]}, data_seeds=2)
    service.train(metrics_of, lambda spec: "diverged" if spec["degree"] in lost else "succeeded")
    path = experiment["links"]["summary"]
    assert "no run has succeeded" in service.client.get(path, params={"format": "svg"}).text
    other = service.submit(VALIDATED, grid={"degree": [1, 3]})
    assert "no run has succeeded" not in service.client.get(other["links"]["summary"], params={"format": "svg"}).text


def test_lost_configurations_do_not_defeat_a_picture(service: Service) -> None:
    experiment = service.submit(VALIDATED, grid=GRID, data_seeds=2)
    service.train(metrics_of, lambda spec: "diverged" if spec["degree"] == 9 else "succeeded")
    answer = service.client.get(experiment["links"]["summary"], params={"format": "svg"})
    assert "no run has succeeded" in answer.text
    waiting = service.submit(VALIDATED, grid=GRID)
    for params in ({}, {"metric": "valid_loss"}):
        answer = service.client.get(waiting["links"]["summary"], params={"format": "png", **params})
        assert answer.content.startswith(PNG)


@pytest.mark.parametrize(
    ("params", "pointer", "said"),
    [
        ({"x": "seed"}, "/x", "degree, weight_decay"),
        ({"y": "hidden"}, "/y", "degree, weight_decay"),
        ({"x": "lambda", "y": "weight_decay"}, "/y", "another field"),
        ({"metric": "loss"}, "/metric", "'train_loss'"),
        ({"metric": "test_accuracy"}, "/metric", "those that are: train_loss, valid_loss, test_loss"),
        ({"limit": 0}, "/limit", "at least 1"),
        ({"offset": -1}, "/offset", "at least 0"),
        ({"z": "degree"}, "/z", "not a known field"),
    ],
)
def test_impossible_parameters_are_pointed_out(
    service: Service, params: dict[str, Any], pointer: str, said: str
) -> None:
    experiment = service.submit(VALIDATED, grid=GRID)
    answer = service.client.get(experiment["links"]["summary"], params={"format": "png", **params})
    found = {error["pointer"]: error["detail"] for error in problem(answer, 422, "invalid")["errors"]}
    assert set(found) == {pointer}
    assert said in found[pointer]


def test_a_summary_has_an_etag(service: Service) -> None:
    experiment = sweep(service)
    first = service.client.get(experiment["links"]["summary"])
    again = service.client.get(experiment["links"]["summary"], headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
