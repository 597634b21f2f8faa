"""Two configurations compared over HTTP."""

import json
import math
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import stats

from api import comparisons
from api.labels import point
from api.schemas.comparison import ComparisonRequest
from mlcore.spec import parse_run_spec
from store import experiments
from tests.api.service import Metrics, Service, problem
from tests.store.statements import counting

SPEC = {"variant": "linear", "epochs": 3}
POLYNOMIAL = {"variant": "polynomial", "epochs": 3}
DECAYS = {"weight_decay": [0, 3]}


def losses_of(spec: dict[str, Any]) -> Metrics:
    """Losses that hang on λ and, the same for both sides, on the data seed; lowest after the second epoch."""
    level = 2 - spec["weight_decay"] / 4 + spec["data_seed"] + 0.01 * spec["data_seed"] * spec["weight_decay"]
    level += (spec["fold"] or 0) / 8
    return {"train_loss": [9.0, 5.0, level / 2], "test_loss": [9.0, level - 0.5, level], "valid_loss": [2.0, 1.0, 1.5]}


def sweep(service: Service, **envelope: Any) -> dict[str, Any]:
    """A trained sweep; without more, of two λ with seven data sets each."""
    experiment = service.submit(**{"spec": SPEC, "grid": DECAYS, "data_seeds": 7, **envelope})
    service.train(losses_of)
    return experiment


def side(experiment: dict[str, Any], **where: Any) -> dict[str, Any]:
    return {"experiment": experiment["id"], "where": where}


def ask(service: Service, a: Any, b: Any, **more: Any) -> Any:
    return service.client.post("/v1/compare", json={"a": a, "b": b, **more})


def compared(service: Service, a: Any, b: Any, **more: Any) -> Any:
    answer = ask(service, a, b, **more)
    assert answer.status_code == 200, answer.text
    return answer.json()


def refused(service: Service, a: Any, b: Any, **more: Any) -> dict[str, str]:
    found = problem(ask(service, a, b, **more), 422, "invalid")
    return {error["pointer"]: error["detail"] for error in found["errors"]}


def test_two_configurations_of_a_sweep(service: Service) -> None:
    experiment = sweep(service, name="How much")
    found = compared(service, side(experiment, weight_decay=0), side(experiment, **{"lambda": 3}))
    assert (found["metric"], found["at"], found["pairs"]) == ("test_loss", "last", 7)
    a, b = 2.0 + np.arange(7), 1.25 + 1.03 * np.arange(7)
    test = stats.ttest_rel(a, b)
    low, high = test.confidence_interval(0.95)
    said = found["difference"]
    assert (said["mean"], said["std"]) == (pytest.approx(np.mean(a - b)), pytest.approx(np.std(a - b, ddof=1)))
    assert (said["ci_low"], said["ci_high"]) == (pytest.approx(low), pytest.approx(high))
    assert said["effect_size"] == pytest.approx(np.mean(a - b) / np.std(a - b, ddof=1))
    assert found["test"] == {"p": 2 / 128, "exact": True, "flips": 128, "standard_error": 0, "smallest_p": 2 / 128}
    assert found["power"] == {"pairs_needed": 6, "more_pairs_needed": 0}
    assert found["left_out"] == {"only_a": 0, "only_b": 0, "without_value": 0, "repeated": 0}
    assert found["a"] == {
        "experiment_id": experiment["id"],
        "name": "How much",
        "label": "λ = 0",
        "values": {"weight_decay": 0},
        "runs": {"total": 7, "queued": 0, "running": 0, "succeeded": 7, "failed": 0, "diverged": 0, "cancelled": 0},
        "selected_on": None,
        "mean": pytest.approx(5.0),
        "std": pytest.approx(np.std(a, ddof=1)),
    }
    assert found["verdict"].startswith(
        "B (λ = 3) has the lower test loss, by 0.66 on average, 95 % confidence interval"
    )
    assert found["remarks"] == []


def test_two_experiments_that_share_some_seeds(service: Service) -> None:
    a = sweep(service, grid={}, data_seeds=[1, 2, 3])
    b = sweep(service, spec={**SPEC, "weight_decay": 3}, grid={}, data_seeds=[3, 2, 9, 8])
    found = compared(service, side(a), side(b))
    assert (found["pairs"], found["left_out"]["only_a"], found["left_out"]["only_b"]) == (2, 1, 2)
    assert (found["a"]["mean"], found["b"]["mean"]) == (4.5, pytest.approx(1.25 + 1.03 * 2.5))
    assert "2 pairs cannot go below p = 0.5" in found["verdict"]


def test_folds_are_averaged_before_anything_is_compared(service: Service) -> None:
    experiment = sweep(service, data_seeds=2, folds=3)
    found = compared(service, side(experiment, weight_decay=0), side(experiment, weight_decay=3), metric="valid_loss")
    assert (found["pairs"], found["a"]["runs"]["total"]) == (2, 6)
    found = compared(service, side(experiment, weight_decay=0), side(experiment, weight_decay=3))
    assert found["a"]["mean"] == pytest.approx(2.5 + 1 / 8)


def test_the_best_epoch_is_that_of_the_validation_loss_and_else_of_the_test_loss(service: Service) -> None:
    experiment = sweep(service, spec={**SPEC, "n_valid": 10})
    sides = side(experiment, weight_decay=0), side(experiment, weight_decay=3)
    found = compared(service, *sides, at="best", metric="train_loss")
    assert (found["a"]["mean"], found["a"]["selected_on"], found["remarks"]) == (5.0, "valid", [])
    without = service.submit(SPEC, grid=DECAYS, data_seeds=7)
    service.train(lambda spec: {name: one for name, one in losses_of(spec).items() if name != "valid_loss"})
    found = compared(service, side(without, weight_decay=0), side(without, weight_decay=3), at="best")
    assert (found["a"]["mean"], found["a"]["selected_on"]) == (pytest.approx(4.5), "test")
    assert any("flatters" in remark for remark in found["remarks"])


def test_runs_without_a_value_are_left_out_and_named(service: Service) -> None:
    experiment = service.submit(SPEC, grid=DECAYS, data_seeds=9)
    ends = {(3, 1): "diverged", (3, 2): "diverged", (0, 3): "failed", (0, 4): "cancelled", (0, 5): "running"}
    service.train(losses_of, lambda spec: ends.get((spec["weight_decay"], spec["data_seed"]), "succeeded"))
    found = compared(service, side(experiment, weight_decay=0), side(experiment, weight_decay=3))
    assert (found["pairs"], found["left_out"]["without_value"]) == (4, 5)
    assert (found["a"]["runs"]["running"], found["b"]["runs"]["diverged"]) == (1, 2)
    assert "Left out: 5 pairs, in which b (λ = 3) diverged (2), a (λ = 0) failed (1)" in found["verdict"]


def test_values_that_are_not_finite_are_no_values(service: Service) -> None:
    experiment = service.submit(SPEC, grid=DECAYS, data_seeds=2)
    service.train(lambda spec: {"test_loss": [[math.nan, math.inf][spec["data_seed"]]]})
    for at in ("last", "best"):
        found = compared(service, side(experiment, weight_decay=0), side(experiment, weight_decay=3), at=at)
        assert (found["pairs"], found["test"], found["power"]) == (0, None, None)
        assert set(found["difference"].values()) == {None}
        assert found["verdict"].startswith("There is nothing to compare")


def test_what_still_waits_is_nothing_to_compare_yet(service: Service) -> None:
    experiment = service.submit(SPEC, grid=DECAYS)
    found = compared(service, side(experiment, weight_decay=0), side(experiment, weight_decay=3))
    assert "a (λ = 0) has not ended (1), b (λ = 3) has not ended (1)" in found["verdict"]


def test_one_data_set_is_remarked(service: Service) -> None:
    experiment = sweep(service, seeds=3, data_seeds=None)
    found = compared(service, side(experiment, weight_decay=0), side(experiment, weight_decay=3))
    assert any("not for other data" in remark for remark in found["remarks"])


@pytest.mark.parametrize(
    "grid",
    [
        {"keep_checkpoints": ["none", "last"]},
        {"reuse": [True, False]},
        {"coefficients": [[0.125] * 19 + [last] for last in (1.25, 1.75)], "init": [{"scheme": "normal"}]},
    ],
)
def test_sides_of_a_sweep_are_told_apart_by_their_labels(service: Service, grid: dict[str, Any]) -> None:
    experiment = sweep(service, spec=POLYNOMIAL, grid=grid, name="a sweep")
    field, values = next(iter(grid.items()))
    found = compared(service, *(side(experiment, **{field: value}) for value in values))
    for name, value in zip("ab", values, strict=True):
        assert found[name]["label"] == point({field: value})


def test_a_label_of_many_fields_ends_with_a_whole_one(service: Service) -> None:
    fields: dict[str, list[Any]] = {
        "degree": [2, 3],
        "learning_rate": [0.00125, 0.00225],
        "noise_std": [0.25, 0.5],
        "n_train": [20, 30],
    }
    experiment = sweep(service, spec=POLYNOMIAL, grid={**fields, "batch_size": [5, 10]}, data_seeds=1)
    a, b = ({name: values[place] for name, values in fields.items()} for place in (0, 1))
    found = compared(service, side(experiment, **a, batch_size=5), side(experiment, **b, batch_size=10))
    *whole, rest = found["b"]["label"].split(", ")
    assert rest == "…"
    assert set(whole) < {point({name: found["b"]["values"][name]}) for name in found["b"]["values"]}


@pytest.mark.parametrize(
    ("variant", "field", "values", "metric", "remarks"),
    [
        ("polynomial", "coefficients", [[1.0], [2.0]], "test_loss", 1),
        ("polynomial", "noise_std", [0.1, 1.0], "train_loss", 1),
        ("linear", "true_weight", [0.1, 1.0], "test_loss", 1),
        ("linear", "n_inputs", [10, 20], "test_loss", 1),
        ("polynomial", "n_test", [10, 20], "test_loss", 1),
        ("polynomial", "n_test", [10, 20], "train_loss", 0),
    ],
)
def test_losses_on_different_data_are_remarked(
    service: Service, variant: str, field: str, values: list[Any], metric: str, remarks: int
) -> None:
    experiment = sweep(service, spec={"variant": variant, "epochs": 2}, grid={field: values})
    a, b = (side(experiment, **{field: value}) for value in values)
    found = compared(service, a, b, metric=metric)["remarks"]
    assert sum("different data" in remark and field in remark for remark in found) == remarks


def test_fields_that_decide_no_result_do_not_set_sides_apart(service: Service) -> None:
    a = sweep(service, grid={}, name="first")
    b = sweep(service, grid={}, spec={**SPEC, "keep_checkpoints": "none", "reuse": False})
    found = compared(service, side(a), side(b))
    assert (found["a"]["values"], found["a"]["label"], found["b"]["label"]) == ({}, "first", "linear, 200 inputs")
    assert found["verdict"] == "Both sides have the same test loss in all 7 pairs: no difference is to be seen."


def test_a_side_of_many_configurations_is_told_how_to_be_narrowed(service: Service) -> None:
    experiment = sweep(service, grid={**DECAYS, "learning_rate": [0.001, 0.003], "batch_size": [5]}, data_seeds=2)
    one = side(experiment, weight_decay=0, learning_rate=0.001)
    said = refused(service, side(experiment), one)
    assert set(said) == {"/a/where"}
    assert (
        "leaves 4 configurations, which differ in weight_decay (0.0, 3.0), learning_rate (0.001, 0.003)"
        in said["/a/where"]
    )
    assert refused(service, one, side(experiment, weight_decay=3))["/b/where"].startswith("leaves 2 configurations")
    assert compared(service, one, side(experiment, weight_decay=3, learning_rate=0.003, batch_size=5))["pairs"] == 2


def test_objects_and_lists_choose_as_summaries_show_them(service: Service) -> None:
    grid = {"init": [{"scheme": "normal"}, {"scheme": "linear_default"}]}
    experiment = sweep(service, grid=grid)
    shown = [one["values"] for one in service.get(experiment["links"]["summary"])["configurations"]]
    found = compared(service, side(experiment, **shown[0]), side(experiment, **shown[1]))
    assert [found["a"]["values"], found["b"]["values"]] == shown
    assert compared(service, *(side(experiment, init=one) for one in grid["init"]))["a"]["values"] == shown[0]


@pytest.mark.parametrize(
    ("where", "pointer", "said"),
    [
        ({"weight_decay": False}, "/a/where/weight_decay", "must be a number"),
        ({"reuse": 1}, "/a/where/reuse", "must be true or false"),
        ({"init": {"scheme": "uniform"}}, "/a/where/init", "normal, linear_default"),
        ({"weight_decay": 5}, "/a/where/weight_decay", "in no configuration; there is 0.0, 3.0"),
        ({"degree": 3}, "/a/where/degree", "is no field of linear"),
        ({"data_seed": 3}, "/a/where/data_seed", "cannot choose a configuration"),
        ({"lambda": 0, "weight_decay": 0}, "/a/where/lambda", "name it once"),
        ({"lambda": 5}, "/a/where/lambda", "in no configuration; there is 0.0, 3.0"),
        ({"a/b": 0}, "/a/where/a~1b", "is no field"),
        ({"epochs": 4}, "/a/where/epochs", "there is 3"),
    ],
)
def test_a_side_that_is_no_configuration_is_pointed_out(
    service: Service, where: dict[str, Any], pointer: str, said: str
) -> None:
    experiment = sweep(service, data_seeds=1)
    found = refused(service, side(experiment, **where), side(experiment, weight_decay=3))
    assert set(found) == {pointer}
    assert said in found[pointer]


def test_what_does_not_compare_is_refused(service: Service) -> None:
    linear = sweep(service)
    one, other = side(linear, weight_decay=0), side(linear, weight_decay=3)
    assert refused(service, one, one) == {"/b": "is the same configuration as a"}
    polynomial = service.submit({"variant": "polynomial"})
    assert "only runs of one variant" in refused(service, one, side(polynomial))["/b"]
    concise = sweep(service, spec={**SPEC, "implementation": "concise"}, grid={})
    assert refused(service, one, side(concise))["/metric"].startswith("is half_squared_error for a and mse for b")
    assert compared(service, one, side(concise), metric="weight_l2_norm")["pairs"] == 0
    assert "train_loss" in refused(service, one, other, metric="valid_loss")["/metric"]
    assert "test_loss" in refused(service, one, other, metric="test_accuracy")["/metric"]
    assert set(refused(service, one, other, metric="loss", at="first", c=1)) == {"/metric", "/at", "/c"}
    assert set(refused(service, {"experiment": "none"}, {"where": {}})) == {"/a/experiment", "/b/experiment"}


def test_what_is_not_there_or_somebody_elses_is_not_found(service: Service) -> None:
    with service.database.write() as session:
        job = experiments.NewJob("cpu", [parse_run_spec(SPEC).model_dump(mode="json")])
        theirs = experiments.create(session, request={}, owner="somebody", jobs=[job], code_version="1")
    mine = side(service.submit(SPEC))
    for unknown in (theirs.id, uuid4()):
        found = problem(ask(service, mine, {"experiment": str(unknown)}), 404, "not-found")
        assert found["detail"].startswith("There is no experiment with the id of b;")


def test_a_configuration_of_a_large_sweep_takes_few_queries(service: Service) -> None:
    experiment = service.submit(SPEC, grid={"weight_decay": list(range(100))}, data_seeds=12)
    body = {"a": side(experiment, weight_decay=7), "b": side(experiment, weight_decay=50)}
    with counting(service.database) as statements, service.database.read() as session:
        found = comparisons.answer(session, "local", ComparisonRequest.model_validate(body))
    assert found.a.runs.total == 12
    assert len([one for one in statements if "SELECT" in one]) == 6


WORTHY = st.none() | st.integers() | st.floats() | st.text(max_size=4) | st.just({"scheme": "normal"}) | st.just([1])
FIELDS = st.sampled_from(["weight_decay", "lambda", "init", "seed", "fold", "degree", "x", ""])


@given(where=st.dictionaries(FIELDS, WORTHY, max_size=2), more=st.dictionaries(FIELDS, WORTHY, max_size=1))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_question_makes_the_service_fail(service: Service, where: dict[str, Any], more: dict[str, Any]) -> None:
    there = service.get("/v1/experiments", q="fuzzed")["items"] or [service.submit(SPEC, grid=DECAYS, name="fuzzed")]
    body = {"a": {**side(there[0]), "where": where}, "b": {**side(there[0], weight_decay=3), **more}}
    answer = service.client.post("/v1/compare", content=json.dumps(body), headers={"Content-Type": "application/json"})
    if answer.status_code != 200:
        problem(answer, 422, "invalid")
