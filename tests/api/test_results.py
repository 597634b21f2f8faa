"""Curves, weights and checkpoints over HTTP."""

import csv
import hashlib
import io
import math
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from safetensors.numpy import load

from mlcore.spec import parse_run_spec
from store.status import Status
from store.tables import CheckpointChunk
from tests.api.service import Service, problem
from tests.mlcore import trainings

CUBIC = {"layers.0.weight": np.array([[5.0, 1.2, -3.4, 5.6]])}
PNG = b"\x89PNG\r\n\x1a\n"


def training(service: Service, epochs: int = 6, **envelope: Any) -> str:
    """The address of a run that trains, with some epochs stored."""
    service.submit({"variant": "polynomial", "epochs": 1000}, **envelope)
    claim = service.claim()
    losses = [10.0 / epoch for epoch in range(1, epochs + 1)]
    service.store(claim, list(range(1, epochs + 1)), train_loss=losses, test_loss=[2 * loss for loss in losses])
    return f"/v1/runs/{claim.runs[0].run_id}"


def test_curves_are_there_while_the_run_trains(service: Service) -> None:
    run = training(service)
    found = service.get(f"{run}/curves")
    assert found["run_id"] == run.rpartition("/")[2]
    assert found["total_epochs"] == 1000
    assert found["epochs"] == [1, 2, 3, 4, 5, 6]
    assert found["series"]["train_loss"][1] == 5.0
    assert list(found["series"]) == ["train_loss", "test_loss"]


def test_a_run_without_epochs_has_an_empty_curve(service: Service) -> None:
    run = service.run_of(service.submit())
    assert service.get(run["links"]["curves"])["epochs"] == []
    assert service.client.get(run["links"]["curves"], params={"format": "png"}).content.startswith(PNG)


def test_a_table_has_the_same_columns_whatever_there_is_of_it(service: Service) -> None:
    address = f"{training(service)}/curves"
    assert service.get(address, after_epoch=6, metric="test_loss")["series"] == {"test_loss": []}
    assert service.client.get(f"{address}?after_epoch=6&metric=test_loss&format=csv").text == "epoch,test_loss\r\n"
    head, *rows = service.client.get(address, params={"format": "csv"}).text.splitlines()
    assert service.client.get(address, params={"format": "csv", "after_epoch": 6}).text.splitlines() == [head]
    assert len(rows) == 6


def test_curves_can_be_asked_for_what_is_new_and_for_some_metrics(service: Service) -> None:
    run = training(service)
    assert service.get(f"{run}/curves", after_epoch=4)["epochs"] == [5, 6]
    assert list(service.get(f"{run}/curves", metric="test_loss")["series"]) == ["test_loss"]
    both = service.get(f"{run}/curves", metric=["test_loss", "train_loss"])
    assert list(both["series"]) == ["test_loss", "train_loss"]
    assert service.get(f"{run}/curves", metric="test_loss,train_loss") == both


@pytest.mark.parametrize(
    ("metric", "said"), [("test_accuracy", "those that are: train_loss, test_loss"), ("train_loss,train_loss", "twice")]
)
def test_metrics_that_a_run_never_has_or_that_come_twice_are_refused(service: Service, metric: str, said: str) -> None:
    answer = service.client.get(f"{training(service)}/curves", params={"metric": metric})
    (error,) = problem(answer, 422, "invalid")["errors"]
    assert error["pointer"] == "/metric"
    assert said in error["detail"]


def test_what_is_not_finite_is_null_in_json_and_empty_in_csv(service: Service) -> None:
    service.submit({"variant": "polynomial", "epochs": 3})
    claim = service.claim()
    service.store(claim, [1, 2, 3], train_loss=[math.nan, math.inf, -math.inf], test_loss=[1.5, 1e300, 0.1])
    run = f"/v1/runs/{claim.runs[0].run_id}"
    assert service.get(f"{run}/curves")["series"] == {"train_loss": [None] * 3, "test_loss": [1.5, 1e300, 0.1]}
    answer = service.client.get(f"{run}/curves", headers={"Accept": "text/csv"})
    assert answer.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]
    assert {row["train_loss"] for row in rows} == {""}
    assert [float(row["test_loss"]) for row in rows] == [1.5, 1e300, 0.1]


def test_max_points_keeps_the_ends_and_the_best(service: Service) -> None:
    service.submit({"variant": "polynomial", "epochs": 1000})
    claim = service.claim()
    losses = [1 + math.sin(epoch) + (5 if epoch == 500 else 0) for epoch in range(1, 1001)]
    losses[699] = -3.0
    service.store(claim, list(range(1, 1001)), train_loss=losses[::-1], test_loss=losses)
    path = f"/v1/runs/{claim.runs[0].run_id}/curves"
    found = service.get(path, max_points=50)
    assert len(found["epochs"]) <= 50
    assert {1, 500, 700, 1000} <= set(found["epochs"])
    assert service.get(path, max_points=50) == found
    assert 700 in service.get(path, max_points=50, metric="train_loss")["epochs"], "the best epoch is the run's"
    assert service.get(path, max_points=1000)["epochs"] == list(range(1, 1001))


@pytest.mark.parametrize(
    ("params", "accept", "expected"),
    [
        ({}, "*/*", "application/json"),
        ({}, "text/html,application/xhtml+xml,*/*;q=0.8", "application/json"),
        ({}, "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8", "image/png"),
        ({}, "image/svg+xml", "image/svg+xml"),
        ({}, "text/csv;q=0.9, application/json;q=0.1", "text/csv; charset=utf-8"),
        ({"format": "svg"}, "application/json", "image/svg+xml"),
        ({"format": "json"}, "image/png", "application/json"),
    ],
)
def test_format_wins_over_accept(service: Service, params: dict[str, str], accept: str, expected: str) -> None:
    answer = service.client.get(f"{training(service)}/curves", params=params, headers={"Accept": accept})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == expected


@pytest.mark.parametrize(
    ("params", "accept"), [({"format": "pdf"}, "*/*"), ({}, "application/pdf"), ({}, "image/png;q=0")]
)
def test_formats_that_do_not_exist_are_refused_with_the_choices(
    service: Service, params: dict[str, str], accept: str
) -> None:
    answer = service.client.get(f"{training(service)}/curves", params=params, headers={"Accept": accept})
    assert answer.status_code == 406
    assert all(choice in answer.json()["detail"] for choice in ("json", "csv", "png", "svg"))


def test_curves_have_an_etag_in_every_format_and_settle_when_the_run_is_done(service: Service) -> None:
    service.submit({"variant": "polynomial", "epochs": 1}, name="A name with $ \\frac and\nlines")
    claim = service.claim()
    service.store(claim, [1], train_loss=[1.0])
    path = f"/v1/runs/{claim.runs[0].run_id}/curves"
    assert "no-cache" in service.client.get(path).headers["cache-control"]
    service.finish(claim)
    tags = set()
    for form in ("json", "csv", "png", "svg"):
        answer = service.client.get(path, params={"format": form})
        assert ("max-age" in answer.headers["cache-control"]) == (form in ("json", "csv")), "pictures show names"
        tags.add(answer.headers["etag"])
        again = service.client.get(path, params={"format": form}, headers={"If-None-Match": answer.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
    assert len(tags) == 4


def test_learned_weights_stand_beside_the_true_ones(service: Service) -> None:
    run_id = service.trained(
        {"variant": "polynomial", "degree": 4}, {"layers.0.weight": np.array([[5, 1, -3, 5, 0.0]])}
    )
    found = service.get(f"/v1/runs/{run_id}/weights")
    assert found["weights"] == [5, 1, -3, 5, 0]
    assert found["true_weights"] == [5, 1.2, -3.4, 5.6, 0]
    assert (found["bias"], found["true_bias"]) == (None, None)
    assert found["weight_l2_norm"] == pytest.approx(60**0.5)
    assert found["weight_l1_norm"] == 14
    assert found["largest_absolute_weight"] == 5
    assert found["near_zero"] == {"count": 1, "threshold": 0.001}
    assert (found["checkpoint"], found["epoch"]) == ("last", 2)
    assert service.get(f"/v1/runs/{run_id}/weights", checkpoint="best")["epoch"] == 1


def test_a_polynomial_too_short_still_shows_the_whole_truth(service: Service) -> None:
    run_id = service.trained({"variant": "polynomial", "degree": 1}, {"layers.0.weight": np.array([[5.0, 1.0]])})
    assert service.get(f"/v1/runs/{run_id}/weights")["true_weights"] == [5, 1.2, -3.4, 5.6]


def test_what_counts_as_near_zero_grows_with_the_penalty(service: Service) -> None:
    spec = {"variant": "linear", "n_inputs": 3, "penalty": "l1", "weight_decay": 3, "learning_rate": 0.01}
    tensors = {
        "layers.0.weight": np.array([[0.05, -0.02, 0.5]], dtype=np.float32),
        "layers.0.bias": np.array([math.nan], dtype=np.float32),
    }
    found = service.get(f"/v1/runs/{service.trained(spec, tensors)}/weights")
    assert found["near_zero"] == {"count": 2, "threshold": 0.06}
    assert (found["bias"], found["true_bias"], found["true_weights"]) == (None, 0.05, [0.01] * 3)


def test_l1_leaves_few_weights_and_l2_spreads_them(service: Service) -> None:
    """The book's sentence on penalties, 4.5: l1 concentrates weights on few features, l2 spreads them evenly."""

    def trained(penalty: str) -> dict[str, Any]:
        spec = {"variant": "linear", "weight_decay": 0.03, "penalty": penalty, "learning_rate": 0.01, "epochs": 2000}
        learned = trainings.training([parse_run_spec(spec)])
        for _ in learned:
            pass
        tensors = {name: tensor.numpy() for name, tensor in learned.weights(0).items()}
        found: dict[str, Any] = service.get(f"/v1/runs/{service.trained(spec, tensors)}/weights")
        return found

    l1, l2 = trained("l1"), trained("l2")
    assert l1["near_zero"]["threshold"] == l2["near_zero"]["threshold"] == 0.001
    assert l1["near_zero"]["count"] > 0.9 * 200 > 0.1 * 200 > l2["near_zero"]["count"]
    spread = [np.linalg.norm(one["weights"]) / one["weight_l1_norm"] for one in (l1, l2)]
    assert spread[0] > 2 * spread[1], "the same total lies in fewer weights"
    for one in (l1, l2):
        assert one["largest_absolute_weight"] == max(map(abs, one["weights"]))


def test_an_mlp_has_no_weights_to_list(service: Service) -> None:
    run = service.run_of(service.submit({"variant": "mlp"}))
    answer = service.client.get(run["links"]["weights"])
    assert answer.status_code == 409
    assert answer.json()["type"] == "/problems/not-for-this-variant"


def test_checkpoints_are_listed_and_downloaded(service: Service) -> None:
    run_id = service.trained({"variant": "polynomial"}, CUBIC)
    items = service.get(f"/v1/runs/{run_id}/checkpoints")["items"]
    assert {(item["name"], item["epoch"]) for item in items} == {("best", 1), ("last", 2)}
    for item in items:
        answer = service.client.get(item["href"])
        assert hashlib.sha256(answer.content).hexdigest() == item["sha256"]
        assert answer.headers["etag"] == f'"{item["sha256"]}"'
        assert len(answer.content) == item["size"]
        np.testing.assert_array_equal(load(answer.content)["layers.0.weight"], CUBIC["layers.0.weight"])
        again = service.client.get(item["href"], headers={"If-None-Match": answer.headers["etag"]})
        assert again.status_code == 304
    by_epoch = service.client.get(f"/v1/runs/{run_id}/checkpoints/2")
    assert by_epoch.status_code == 200
    assert "epoch-2.safetensors" in by_epoch.headers["content-disposition"]


@pytest.mark.parametrize("name", ["7", "worst", "0", "-1", "9" * 40, "last%20"])
def test_a_checkpoint_that_is_not_kept_is_not_found(service: Service, name: str) -> None:
    run_id = service.trained({"variant": "polynomial"}, CUBIC)
    answer = service.client.get(f"/v1/runs/{run_id}/checkpoints/{name}")
    assert answer.status_code == 404
    assert answer.json()["type"] == "/problems/no-checkpoint"


def test_a_run_without_checkpoints_says_so(service: Service) -> None:
    run = service.run_of(service.submit())
    assert service.get(run["links"]["checkpoints"]) == {"items": []}
    for path in (run["links"]["weights"], run["links"]["checkpoints"] + "/last"):
        assert "no weights yet" in service.client.get(path).json()["detail"]


@pytest.mark.parametrize(("keep", "said"), [("none", "keep_checkpoints is none"), ("last", "has ended")])
def test_a_run_that_has_ended_without_weights_promises_none(service: Service, keep: str, said: str) -> None:
    run = service.run_of(service.submit({"variant": "polynomial", "keep_checkpoints": keep}))
    service.train(lambda _: {}, lambda _: "failed")
    for path in (run["links"]["weights"], run["links"]["checkpoints"] + "/last", f"/v1/runs/{run['id']}/fit"):
        detail = service.client.get(path).json()["detail"]
        assert said in detail
        assert "yet" not in detail


def test_damaged_weights_are_not_handed_out(service: Service) -> None:
    run_id = service.trained({"variant": "polynomial"}, CUBIC)
    with service.database.write() as session:
        for chunk in session.query(CheckpointChunk):
            chunk.data = chunk.data[:-1] + b"?"
    answer = service.client.get(f"/v1/runs/{run_id}/checkpoints/last")
    assert answer.status_code == 500
    assert answer.json()["type"] == "/problems/checkpoint-damaged"


@pytest.mark.parametrize(
    "params", [{"max_points": 3}, {"max_points": "many"}, {"after_epoch": -1}, {"metric": "los"}, {"metrics": "x"}]
)
def test_impossible_parameters_of_curves_are_pointed_out(
    client: TestClient, service: Service, params: dict[str, Any]
) -> None:
    answer = client.get(f"{training(service, 1)}/curves", params=params)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["in"] == "query"
    assert answer.json()["errors"][0]["pointer"].startswith("/" + next(iter(params)))


def test_a_failed_run_keeps_its_curve(service: Service) -> None:
    run = training(service)
    service.client.post(f"{run}:cancel")
    assert service.get(run)["status"] == Status.RUNNING
    assert service.get(f"{run}/curves")["epochs"] == [1, 2, 3, 4, 5, 6]
