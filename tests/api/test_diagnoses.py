"""Diagnoses over HTTP: of a run, and of a sweep's configurations; what they propose is posted and trained."""

import csv
import io
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from tests.api.service import Metrics, Service

FLAT = np.ones(20)
SHRINKING = 1 / np.arange(1, 21)


def losses(spec: Mapping[str, Any]) -> Metrics:
    """Degree 1 misses its data by far, degree 3 fits, degree 9 does better on the data than on others."""
    train, test = {1: (5.0, 6.0), 3: (0.01, 0.011), 9: (0.01, 0.4)}[spec["degree"]]
    found = {"train_loss": train * FLAT, "test_loss": test * FLAT * (1 + spec["data_seed"] / 100)}
    return found if spec["fold"] is None else {**found, "valid_loss": found["test_loss"]}


def diagnosed(service: Service, spec: dict[str, Any], metrics: Metrics, end: str = "succeeded") -> Any:
    """A run that has these metrics, as the API shows it."""
    experiment = service.submit({"epochs": 20, **spec})
    service.train(lambda _: metrics, lambda _: end)
    return service.get(service.run_of(experiment)["links"]["self"])


@pytest.mark.parametrize(
    ("degree", "verdict", "change"),
    [(1, "underfitting", {"degree": 3}), (3, "good_fit", {}), (9, "overfitting", {"n_train": 400})],
)
def test_a_run_says_how_it_fits_and_what_to_try_next(
    service: Service, degree: int, verdict: str, change: dict[str, Any]
) -> None:
    metrics = losses({"degree": degree, "data_seed": 0, "fold": None})
    run = diagnosed(service, {"variant": "polynomial", "degree": degree}, metrics)
    found = run["diagnosis"]
    assert found["verdict"] == verdict
    assert found["reasons"]
    assert found["evidence"]["train_loss"] == metrics["train_loss"][-1]
    assert found["evidence"]["noise_floor"] == pytest.approx(0.01)
    assert found["evidence"]["baseline_loss"] == pytest.approx(27.0167, rel=1e-5)
    assert found["evidence"]["n_held_out"] == 100
    assert found["next"]["request"]["spec"] == {**run["spec"], **change}
    following = service.client.post("/v1/experiments", json=found["next"]["request"])
    assert following.status_code == 202, following.text
    assert following.json()["runs"]["total"] == (10 if verdict == "good_fit" else 1)


def test_whether_the_loss_still_falls_is_read_from_the_curve(service: Service) -> None:
    metrics = {"train_loss": SHRINKING, "test_loss": SHRINKING}
    found = diagnosed(service, {"variant": "polynomial"}, metrics)["diagnosis"]
    assert found["verdict"] == "not_converged"
    assert found["evidence"]["train_fall"] == pytest.approx(0.75)
    assert found["next"]["request"]["spec"]["epochs"] == 80


def test_images_have_no_known_noise(service: Service) -> None:
    metrics = {"running_loss": 0.2 * FLAT, "train_loss": 0.2 * FLAT, "test_loss": 0.6 * FLAT}
    found = diagnosed(service, {"variant": "mlp"}, metrics)["diagnosis"]
    assert (found["verdict"], found["evidence"]["noise_floor"]) == ("overfitting", None)
    assert found["evidence"]["baseline_loss"] == pytest.approx(np.log(10))
    assert found["next"]["request"]["spec"]["dropout"] == [0.5]


def test_a_run_that_diverged_takes_smaller_steps_next(service: Service) -> None:
    found = diagnosed(service, {"variant": "linear"}, {"train_loss": [1e9], "test_loss": [1e9]}, "diverged")[
        "diagnosis"
    ]
    assert (found["verdict"], found["evidence"]) == ("diverged", None)
    assert found["next"]["request"]["spec"]["learning_rate"] == 0.0003


@pytest.mark.parametrize("end", ["running", "cancelled", "failed"])
def test_what_has_not_ended_well_is_inconclusive(service: Service, end: str) -> None:
    run = diagnosed(service, {"variant": "linear"}, {"train_loss": [1.0], "test_loss": [1.0]}, end)
    assert run["diagnosis"]["verdict"] == "inconclusive"
    assert run["diagnosis"]["evidence"] is None
    assert (run["diagnosis"]["next"] is None) == (end == "running")


def test_a_single_fold_is_tried_next_with_all_the_others(service: Service) -> None:
    experiment = service.submit({"variant": "polynomial", "degree": 1, "epochs": 20}, folds=5)
    service.train(losses)
    found = service.get(service.run_of(experiment)["links"]["self"])["diagnosis"]
    assert (found["evidence"]["held_out"], found["evidence"]["n_held_out"]) == ("valid", 20)
    assert found["next"]["request"]["folds"] == 5
    answer = service.client.post("/v1/experiments", json=found["next"]["request"])
    assert answer.json()["runs"]["total"] == 5


def sweep(service: Service, **envelope: Any) -> dict[str, Any]:
    grid = {"degree": [1, 3, 9]}
    experiment = service.submit({"variant": "polynomial", "epochs": 20}, grid=grid, **{"data_seeds": 4, **envelope})
    service.train(losses, lambda spec: "diverged" if spec["degree"] == 9 and spec["data_seed"] == 3 else "succeeded")
    return experiment


def test_a_configuration_says_how_many_of_its_replicates_agree(service: Service) -> None:
    low, right, high = (one["diagnosis"] for one in service.get(sweep(service)["links"]["summary"])["configurations"])
    assert [one["verdict"] for one in (low, right, high)] == ["underfitting", "good_fit", "overfitting"]
    assert [(one["agree"], one["replicates"]) for one in (low, right, high)] == [(4, 4), (4, 4), (3, 4)]
    assert high["verdicts"] == {"overfitting": 3, "diverged": 1}
    assert high["reasons"][0] == "3 of 4 replicates agree; the others: 1 diverged."
    assert high["evidence"]["held_out_loss"] == pytest.approx(0.4 * 1.01)
    assert low["next"]["request"] | {"spec": None} == {"spec": None, "data_seeds": 4}
    assert low["next"]["request"]["spec"]["degree"] == 3
    answer = service.client.post("/v1/experiments", json=low["next"]["request"])
    assert answer.json()["runs"]["total"] == 4


def test_only_configurations_that_are_shown_are_diagnosed_and_each_by_its_own_runs(service: Service) -> None:
    experiment = sweep(service, folds=2)
    (shown,) = service.get(experiment["links"]["summary"], offset=1, limit=1)["configurations"]
    assert (shown["values"], shown["diagnosis"]["verdict"]) == ({"degree": 3}, "good_fit")
    assert (shown["diagnosis"]["replicates"], shown["diagnosis"]["evidence"]["n_held_out"]) == (4, 100)


def test_what_waits_has_no_diagnosis(service: Service) -> None:
    experiment = service.submit(data_seeds=3)
    assert service.get(experiment["links"]["summary"])["configurations"][0]["diagnosis"] is None


def test_tables_have_the_verdicts_too(service: Service) -> None:
    answer = service.client.get(sweep(service)["links"]["summary"], params={"format": "csv"})
    rows = list(csv.DictReader(io.StringIO(answer.text, newline=""), strict=True))
    assert [(row["diagnosis"], row["agree"]) for row in rows] == [
        ("underfitting", "4"),
        ("good_fit", "4"),
        ("overfitting", "3"),
    ]
