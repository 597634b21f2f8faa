"""What becomes of experiments when processes die: the same as if they had not."""

import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil
import pytest

from store.history import CRASHED
from store.tables import Event
from tests.end_to_end.history import assert_told_once
from tests.end_to_end.service import Service, serving
from tests.end_to_end.specs import MLP, POLYNOMIAL, QUICK, Json
from tests.waiting import wait_until

OFTEN = {"EPOCHD_CHECKPOINT_SECONDS": "0.2"}  # so that a resumed run has something to resume from

pytestmark = pytest.mark.slow


def crashes(events: Sequence[Event]) -> list[str]:
    return [event.reason or "" for event in events if event.kind == CRASHED]


def has_ended(process: psutil.Process) -> bool:
    """Whether it runs no more; an orphan stays a zombie until init has looked at it."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@pytest.mark.parametrize("spec", [POLYNOMIAL, MLP], ids=["polynomial", "mlp"])
def test_a_killed_training_process_leaves_no_trace_in_the_weights(data: Path, spec: Json) -> None:
    with serving(data, settings=OFTEN) as service:
        uninterrupted = service.wait_for_end(service.submit(spec))
        experiment = service.submit(spec)
        service.wait_for_epoch(experiment, spec["epochs"] // 4)
        service.child().kill()
        run = service.wait_for_end(experiment)
        assert (run["status"], run["claims"]) == ("succeeded", 2)
        assert service.weights(run) == service.weights(uninterrupted)
        assert "goes on after epoch" in service.log()
    (crash,) = crashes(assert_told_once(service, experiment))
    assert "killed by SIGKILL" in crash


def test_a_killed_slot_is_replaced_and_its_job_goes_on(data: Path) -> None:
    with serving(data, settings=OFTEN) as service:
        experiment = service.submit(POLYNOMIAL)
        service.wait_for_epoch(experiment, 200)
        slot, child, killed_at = service.slot(), service.child(), time.monotonic()
        slot.kill()
        wait_until(lambda: service.run_of(experiment)["claims"] == 2, 20, "the job is claimed again")
        assert time.monotonic() - killed_at < 20
        assert has_ended(child)
        assert service.wait_for_end(experiment)["status"] == "succeeded"
    (crash,) = crashes(assert_told_once(service, experiment))
    assert "killed by SIGKILL" in crash


def test_a_training_process_that_hangs_loses_its_job_and_is_replaced(data: Path) -> None:
    hasty = {"EPOCHD_LEASE_SECONDS": "1", "EPOCHD_HEARTBEAT_SECONDS": "0.5", "EPOCHD_JANITOR_SECONDS": "0.5"}
    with serving(data, settings={**OFTEN, **hasty}) as service:
        experiment = service.submit(POLYNOMIAL)
        service.wait_for_epoch(experiment, 200)
        slot, child = service.slot(), service.child()
        child.suspend()
        assert service.wait_for_end(experiment)["status"] == "succeeded"
        assert has_ended(slot)
        assert has_ended(child)
    (crash,) = crashes(assert_told_once(service, experiment))
    assert "no sign of life" in crash


@pytest.mark.parametrize("kill", [Service.kill_everything, Service.kill_supervisor], ids=["all", "supervisor"])
def test_a_killed_service_goes_on_when_it_is_started_again(data: Path, kill: Callable[[Service], None]) -> None:
    with serving(data, settings=OFTEN) as service:
        uninterrupted = service.weights(service.wait_for_end(service.submit(MLP)))
        running = service.submit(MLP)
        queued = [service.submit(QUICK) for _ in range(3)]
        service.wait_for_epoch(running, MLP["epochs"] // 4)
        kill(service)
    with serving(data, settings=OFTEN) as service:
        run = service.wait_for_end(running)
        assert (run["status"], run["claims"]) == ("succeeded", 2)
        assert service.weights(run) == uninterrupted
        assert [service.wait_for_end(each)["status"] for each in queued] == ["succeeded"] * 3
        assert service.stop() == 0
    for experiment in (running, *queued):
        assert_told_once(service, experiment)


def test_a_stopped_service_gives_its_job_back_without_a_crash(data: Path) -> None:
    with serving(data) as service:
        uninterrupted = service.weights(service.wait_for_end(service.submit(MLP)))
        experiment = service.submit(MLP)
        done = service.wait_for_epoch(experiment, MLP["epochs"] // 4)["progress"]["epoch"]
        assert service.stop(signal.SIGTERM, seconds=10) == 0
        assert "was given back after epoch" in service.log()
    with serving(data) as service:
        run = service.wait_for_end(experiment)
        assert (run["status"], run["claims"]) == ("succeeded", 2)
        assert service.weights(run) == uninterrupted
        resumed = int(service.log().partition("goes on after epoch ")[2].split()[0])
        assert resumed >= done
    assert crashes(assert_told_once(service, experiment)) == []


def test_kills_at_random_lose_nothing_and_repeat_nothing(data: Path) -> None:
    spec = {**POLYNOMIAL, "epochs": 1000}
    with serving(data, slots=2, settings=OFTEN) as service:
        experiments = [service.submit({**spec, "seed": number % 3}) for number in range(6)]
        victims: list[Callable[[], object]] = [
            lambda: service.child(1).kill(),
            lambda: service.slot(2).kill(),
            lambda: service.child(2).kill(),
        ]
        for number, kill in enumerate(victims):
            service.wait_for_end(experiments[number])
            kill()
        runs = [service.wait_for_end(experiment, 90) for experiment in experiments]
        assert [run["status"] for run in runs] == ["succeeded"] * len(runs)
        weights = [service.weights(run) for run in runs]
    assert all(weights[number] == weights[number % 3] for number in range(len(weights)))
    for experiment in experiments:
        assert_told_once(service, experiment)
