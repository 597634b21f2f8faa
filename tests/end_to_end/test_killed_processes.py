"""What becomes of experiments when the processes that train them die: the same as if they had not."""

import time
from pathlib import Path

import psutil
import pytest

from tests.end_to_end.history import assert_told_once, crashes
from tests.end_to_end.service import OFTEN, PAUSE, Service, serving
from tests.end_to_end.specs import LONG_EPOCHS, MLP, POLYNOMIAL, QUICK, Json
from tests.stacks import Stack
from tests.waiting import wait_until

HASTY = {"EPOCHD_LEASE_SECONDS": "1", "EPOCHD_HEARTBEAT_SECONDS": "0.5", "EPOCHD_JANITOR_SECONDS": "0.5"}

pytestmark = pytest.mark.slow


def has_ended(process: psutil.Process) -> bool:
    """Whether it runs no more; an orphan stays a zombie until init has looked at it."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@pytest.mark.parametrize("spec", [POLYNOMIAL, MLP], ids=["polynomial", "mlp"])
def test_sigkill_of_the_training_process_leaves_no_trace_in_the_weights(either: Service, spec: Json) -> None:
    uninterrupted = either.wait_for_end(either.submit(spec))
    experiment = either.submit(spec)
    either.wait_for_epoch(experiment, spec["epochs"] // 4)
    either.child().kill()
    run = either.wait_for_end(experiment)
    assert (run["status"], run["claims"]) == ("succeeded", 2)
    assert either.weights(run) == either.weights(uninterrupted)
    assert "goes on after epoch" in either.log()
    (crash,) = crashes(assert_told_once(either, experiment))
    assert "killed by SIGKILL" in crash


def test_sigkill_of_a_whole_worker_gets_its_job_running_again_within_twenty_seconds(either: Service) -> None:
    experiment = either.submit(POLYNOMIAL)
    either.wait_for_epoch(experiment, 200)
    slot, child, killed_at = either.slot(), either.child(), time.monotonic()
    slot.kill()
    wait_until(lambda: either.run_of(experiment)["claims"] == 2, what="the job is claimed again")
    assert time.monotonic() - killed_at < 20
    assert has_ended(child)
    assert either.wait_for_end(experiment)["status"] == "succeeded"
    (crash,) = crashes(assert_told_once(either, experiment))
    assert "killed by SIGKILL" in crash


def test_sigkill_of_an_idle_training_process_gets_the_slot_replaced(either: Service) -> None:
    slot, child = either.slot(), either.child()
    child.kill()
    wait_until(lambda: has_ended(slot), what="the slot leaves")
    run = either.wait_for_end(either.submit(QUICK))
    assert (run["status"], run["claims"]) == ("succeeded", 1)
    assert either.child() != child


def test_a_job_that_always_kills_its_worker_fails_and_the_others_do_not(either: Service) -> None:
    poison = either.submit(LONG_EPOCHS)
    other = either.submit(QUICK)
    for claim in (1, 2, 3):
        wait_for_claim(either, poison, claim)
        either.child().kill()
    run = either.wait_for_end(poison)
    assert (run["status"], run["claims"], run["error"]["kind"]) == ("failed", 3, "crashed")
    assert "killed by SIGKILL" in run["error"]["detail"]
    assert "3 times without progress" in run["error"]["detail"]
    assert either.wait_for_end(other)["status"] == "succeeded"
    assert len(crashes(assert_told_once(either, poison))) == 3


def wait_for_claim(service: Service, experiment: str, claim: int) -> None:
    """Wait until it trains again, and has not got anywhere."""

    def is_training() -> bool:
        run = service.run_of(experiment)
        assert run["progress"]["epoch"] == 0
        return bool(run["status"] == "running" and run["claims"] == claim)

    wait_until(is_training, 60, f"claim {claim}", pause=PAUSE)


def test_training_that_hangs_loses_its_job_and_its_worker_is_replaced(stack: Stack, data: Path) -> None:
    with serving(data, stack=stack, settings={**OFTEN, **HASTY}) as service:
        experiment = service.submit(POLYNOMIAL)
        service.wait_for_epoch(experiment, 200)
        slot, child = service.slot(), service.child()
        child.suspend()
        assert service.wait_for_end(experiment)["status"] == "succeeded"
        assert has_ended(slot)
        assert has_ended(child)
    (crash,) = crashes(assert_told_once(service, experiment))
    assert "no sign of life" in crash
