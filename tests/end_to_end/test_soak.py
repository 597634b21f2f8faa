"""The bars that take long: run by `make soak`, on real services."""

import json
import statistics
import time
from pathlib import Path

import pytest

from tests.end_to_end.history import assert_told_once
from tests.end_to_end.service import PAUSE, Service, serving
from tests.end_to_end.specs import ENDLESS, Json
from tests.stacks import Stack
from tests.waiting import wait_until

pytestmark = pytest.mark.soak

EPOCHS = 8
CANCELS = 50
KILLS = 10
HASTY = {
    "EPOCHD_LEASE_SECONDS": "3",
    "EPOCHD_FLUSH_SECONDS": "0",
    "EPOCHD_CHECKPOINT_SECONDS": "0",
    "EPOCHD_CHECKPOINT_SHARE": "0.9",
}
# A second or more an epoch, so that HTTP sees each of them.
MLP: Json = {"variant": "mlp", "hidden": [1024], "dropout": [0.5], "n_train": 1000, "n_test": 100, "batch_size": 1}
POLYNOMIAL: Json = {"variant": "polynomial", "n_train": 100_000, "batch_size": 2}
LINEAR: Json = {"variant": "linear", "n_train": 100_000, "batch_size": 2}


def tell(what: str, stack: Stack, seconds: list[float]) -> None:
    """Print one JSON line."""
    ordered = sorted(seconds)
    told = {
        "measured": what,
        "stack": "servers" if stack.database_url else "embedded",
        "n": len(ordered),
        "median": round(statistics.median(ordered), 3),
        "p95": round(ordered[int(0.95 * (len(ordered) - 1))], 3),
        "worst": round(ordered[-1], 3),
    }
    print(json.dumps(told))


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("implementation", ["scratch", "concise"])
@pytest.mark.parametrize("spec", [MLP, POLYNOMIAL, LINEAR], ids=["mlp", "polynomial", "linear"])
def test_a_run_whose_worker_is_killed_in_every_epoch_has_the_bits_of_one_never_killed(
    stack: Stack, data: Path, spec: Json, implementation: str
) -> None:
    whole = {**spec, "implementation": implementation, "epochs": EPOCHS}
    with serving(data, stack=stack, settings=HASTY) as service:
        uninterrupted = service.weights(service.wait_for_end(service.submit(whole), 300))
        experiment = service.submit(whole)
        for epoch in range(EPOCHS):
            kill_in_epoch(service, experiment, epoch + 1)
        run = service.wait_for_end(experiment, 300)
        assert (run["status"], run["claims"]) == ("succeeded", EPOCHS + 1)
        assert service.weights(run) == uninterrupted
    assert_told_once(service, experiment)


def kill_in_epoch(service: Service, experiment: str, epoch: int) -> None:
    def is_in_it() -> bool:
        run = service.run_of(experiment)
        assert run["progress"]["epoch"] < epoch
        return bool(run["status"] == "running" and run["claims"] == epoch and run["progress"]["epoch"] == epoch - 1)

    wait_until(is_in_it, 120, f"epoch {epoch}", pause=PAUSE)
    service.child().kill()


@pytest.mark.timeout(900)
def test_a_sigkilled_worker_has_its_job_running_again_within_twenty_seconds(stack: Stack, data: Path) -> None:
    took = []
    with serving(data, stack=stack) as service:
        for number in range(KILLS):
            experiment = service.submit({**ENDLESS, "seed": number})
            service.wait_for_epoch(experiment, 100)
            (service.slot() if number % 2 else service.child()).kill()
            start = time.monotonic()
            wait_until_it_runs_again(service, experiment)
            took.append(time.monotonic() - start)
            assert service.http.post(f"/v1/experiments/{experiment}:cancel").status_code == 202
            service.wait_for_end(experiment)
    tell("SIGKILL until the job was running again", stack, took)
    assert max(took) < 20


def wait_until_it_runs_again(service: Service, experiment: str) -> None:
    def is_running_again() -> bool:
        run = service.run_of(experiment)
        return bool(run["claims"] == 2 and run["status"] == "running")

    wait_until(is_running_again, 60, "it runs again", pause=PAUSE)


@pytest.mark.timeout(900)
def test_of_fifty_cancels_ninety_five_percent_take_effect_within_two_seconds(stack: Stack, data: Path) -> None:
    took = []
    with serving(data, stack=stack) as service:
        for number in range(CANCELS):
            experiment = service.submit({**ENDLESS, "seed": number})
            service.wait_for_epoch(experiment, 1)
            start = time.monotonic()
            assert service.http.post(f"/v1/experiments/{experiment}:cancel").status_code == 202
            assert service.wait_for_end(experiment)["status"] == "cancelled"
            took.append(time.monotonic() - start)
    tell("cancel until the run was cancelled", stack, took)
    assert sorted(took)[int(0.95 * (CANCELS - 1))] < 2
