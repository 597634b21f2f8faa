"""Submitting sweeps: what a grid, seeds and folds stand for, and how their runs are followed."""

from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from api.settings import ApiSettings
from mlcore.expansion import expand
from mlcore.spec import ExperimentSpec
from store import jobs
from store.engine import Database, make_engine
from store.startup import prepare
from tests.api.service import Service, client_of, problem
from tests.waiting import wait_until

SWEEP: dict[str, Any] = {
    "spec": {"variant": "polynomial", "epochs": 4},
    "grid": {"n_train": [100, 50], "lambda": [0, 0.1]},
    "seeds": 2,
    "data_seeds": [7, 5],
    "folds": 2,
}


def runs_of(service: Service, experiment: dict[str, Any]) -> list[dict[str, Any]]:
    """All runs of an experiment, from one page to the next."""
    answer = service.client.get(experiment["links"]["runs"], params={"page_size": 7})
    found: list[dict[str, Any]] = answer.json()["items"]
    while "next" in answer.links:
        answer = service.client.get(answer.links["next"]["url"])
        found += answer.json()["items"]
    assert answer.json()["next_page_token"] is None
    return found


def test_a_sweep_has_a_run_per_combination_numbered_in_their_order(service: Service) -> None:
    experiment = service.submit(**SWEEP)
    assert experiment["runs"] == {
        "total": 32,
        "queued": 32,
        "running": 0,
        "succeeded": 0,
        "failed": 0,
        "cancelled": 0,
    }
    assert experiment["progress"]["epochs"] == 32 * 4
    assert experiment["request"] == SWEEP
    runs = runs_of(service, experiment)
    expected = expand(ExperimentSpec.model_validate(SWEEP))
    assert [run["number"] for run in runs] == list(range(32))
    assert [run["spec"] for run in runs] == [spec.model_dump(mode="json") for spec in expected]
    for run in runs:
        assert {name: run[name] for name in ("seed", "data_seed", "fold")} == {
            name: run["spec"][name] for name in ("seed", "data_seed", "fold")
        }


def test_runs_of_one_shape_are_one_job(service: Service) -> None:
    service.submit(**SWEEP)
    first, second = service.claim(), service.claim()
    assert service.try_claim() is None
    for claim in (first, second):
        assert len(claim.runs) == 16
        assert len({run.spec["n_train"] for run in claim.runs}) == 1


def test_every_example_of_a_sweep_says_what_it_would_train(service: Service) -> None:
    body = {"spec": {"variant": "polynomial"}, "grid": {"degree": list(range(20)), "lambda": [0, 1]}, "data_seeds": 10}
    answer = service.client.post("/v1/experiments", params={"validate_only": True}, json=body)
    assert answer.status_code == 200
    said = answer.json()
    assert (said["runs"], said["jobs"], said["epochs"], said["workers"]) == (400, 1, 160_000, 0)
    assert 0 < said["estimated_seconds"] < 10
    assert len(said["specs"]) == 100
    assert [spec["data_seed"] for spec in said["specs"][:11]] == [*range(10), 0]
    assert service.get("/v1/experiments")["items"] == []


def test_more_workers_need_less_time_down_to_the_longest_job(service: Service) -> None:
    body = {"spec": {"variant": "mlp"}, "grid": {"hidden": [[8], [16], [32], [64]]}}

    def estimate() -> float:
        said = service.client.post("/v1/experiments", params={"validate_only": True}, json=body).json()
        assert said["jobs"] == 4
        seconds: float = said["estimated_seconds"]
        return seconds

    alone = estimate()
    for number in range(4):
        service.heartbeat("cpu", name=f"slot-{number}")
    assert alone / 4 <= estimate() < alone


def test_no_more_hints_than_workers_are_published(tmp_path: Path) -> None:
    settings = ApiSettings(data=tmp_path, database_url=None, broker_url=None)
    prepare(settings)
    database = Database(make_engine(settings.url))

    def hints() -> int:
        return len(list(settings.broker_folder.glob("*")))

    with client_of(settings) as client:
        service = Service(client, database)
        service.heartbeat("cpu", name="slot-1")
        service.heartbeat("cpu", "gpu", name="slot-2")
        service.submit(device="gpu")
        wait_until(lambda: hints() == 1, what="the hint for one job")
        service.submit({"variant": "mlp"}, grid={"hidden": [[1], [2], [3]]})
        wait_until(lambda: hints() >= 3, what="a hint per worker")
        service.submit()
        wait_until(lambda: hints() >= 4, what="the hint after those")
        assert hints() == 4
    database.dispose()


@pytest.mark.parametrize(
    ("envelope", "pointer", "said"),
    [
        ({"grid": {"degree": [1]}}, "/grid/degree", "weight_decay"),
        ({"grid": {"no/field": [1]}}, "/grid/no~1field", "weight_decay"),
        ({"grid": {"weight_decay": []}}, "/grid/weight_decay", "at least one"),
        ({"grid": {"weight_decay": [0, -1]}}, "/grid/weight_decay/1", "must be at least 0"),
        ({"grid": {"lambda": [0, "3"]}}, "/grid/lambda/1", "must be a number"),
        ({"grid": {"lambda": [0], "weight_decay": [1]}}, "/grid/weight_decay", "once"),
        ({"grid": {"weight_decay": [0, 0.0]}}, "/grid/weight_decay/1", "same run"),
        ({"grid": {"weight_decay": 3}}, "/grid/weight_decay", "must be a list"),
        ({"grid": {"learning_rate": [n / 1e4 for n in range(1, 1001)]}, "seeds": 1000}, "", "100000"),
        ({"grid": {"epochs": list(range(1, 1001)), "batch_size": list(range(1, 1001))}}, "", "1000000 runs"),
        ({"seeds": 10**6}, "/seeds", "100000"),
        ({"seeds": []}, "/seeds", "at least one"),
        ({"seeds": [1, 1]}, "/seeds", "twice"),
        ({"data_seeds": [-1]}, "/data_seeds/0", "at least 0"),
        ({"folds": 1}, "/folds", "at least 2"),
        ({"folds": 21}, "/folds", "20 training examples"),
        ({"grid": {"n_inputs": [10, 10_000], "n_train": [100_000, 5]}}, "/grid", "24000000"),
    ],
)
def test_what_makes_no_sweep_is_pointed_out(
    service: Service, envelope: dict[str, Any], pointer: str, said: str
) -> None:
    answer = service.client.post("/v1/experiments", json={"spec": {"variant": "linear"}, **envelope})
    found = {error["pointer"]: error["detail"] for error in problem(answer, 422, "invalid")["errors"]}
    assert set(found) == {pointer}
    assert said in found[pointer]
    assert service.get("/v1/experiments")["items"] == []


@pytest.mark.parametrize(("seeds", "kept"), [(100, "last_and_best"), (101, "last")])
def test_large_sweeps_keep_their_last_weights_only(service: Service, seeds: int, kept: str) -> None:
    service.submit({"variant": "linear"}, seeds=seeds)
    assert {run.spec["keep_checkpoints"] for run in service.claim().runs} == {kept}


def test_runs_of_an_experiment_are_narrowed_by_status(service: Service) -> None:
    experiment = service.submit({"variant": "linear", "epochs": 2}, seeds=4)
    service.train(lambda _: {"test_loss": [2.0, 1.0]}, lambda spec: "diverged" if spec["seed"] else "succeeded")
    failed = service.get(experiment["links"]["runs"], status="failed")["items"]
    assert [run["seed"] for run in failed] == [1, 2, 3]
    assert {run["error"]["kind"] for run in failed} == {"diverged"}
    assert service.get(experiment["links"]["runs"], status="cancelled")["items"] == []


def test_progress_and_counts_add_up_while_stacks_run(service: Service) -> None:
    experiment = service.submit(**SWEEP)
    first = service.claim()
    service.store(first, [1, 2], test_loss=[2.0, 1.0])
    service.finish(first)
    found = service.get(experiment["links"]["self"])
    assert found["status"] == "running"
    assert found["runs"] == {"total": 32, "queued": 16, "running": 15, "succeeded": 1, "failed": 0, "cancelled": 0}
    assert found["progress"]["epochs_done"] == 2
    assert found["progress"]["eta_seconds"] >= 0
    run = service.get(f"/v1/runs/{first.runs[0].run_id}")
    assert run["progress"]["eta_seconds"] is None
    assert run["progress"]["epoch"] == 2


def test_one_run_of_a_stack_is_cancelled_alone(service: Service) -> None:
    experiment = service.submit({"variant": "linear"}, seeds=3)
    runs = runs_of(service, experiment)
    assert service.client.post(runs[1]["links"]["cancel"]).json()["status"] == "cancelled"
    found = service.get(experiment["links"]["self"])
    assert (found["status"], found["runs"]["queued"], found["runs"]["cancelled"]) == ("queued", 2, 1)


def test_a_reused_run_says_whose_result_it_has(service: Service) -> None:
    run = service.run_of(service.submit())
    assert (run["reused"], run["reused_from"]) == (False, None)
    earlier = uuid4()
    service.mark_reused(run["id"], earlier)
    found = service.get(run["links"]["self"])
    assert (found["reused"], found["reused_from"]) == (True, str(earlier))


def test_a_thousand_runs_are_one_short_answer(service: Service) -> None:
    grid = {"degree": list(range(20)), "lambda": [n / 10 for n in range(10)], "learning_rate": [0.001, 0.01, 0.02]}
    answer = service.client.post("/v1/experiments", json={"spec": {"variant": "polynomial"}, "grid": grid})
    assert answer.status_code == 202
    assert answer.json()["runs"]["total"] == 600
    assert len(answer.content) < 4000
    with service.database.read() as session:
        assert jobs.queued(session) == {"cpu": 1}
