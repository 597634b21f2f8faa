"""Services that are stopped or killed as a whole, and started again."""

import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.end_to_end.history import assert_told_once, crashes
from tests.end_to_end.service import OFTEN, Service, serving
from tests.end_to_end.specs import MLP, QUICK
from tests.stacks import STACKS, Stack, stack_of

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("name", "kill"),
    list(zip(STACKS, [Service.kill_everything, Service.kill_supervisor], strict=True)),
    ids=["all", "supervisor"],
)
def test_a_killed_service_goes_on_when_it_is_started_again(
    request: pytest.FixtureRequest, data: Path, name: str, kill: Callable[[Service], None]
) -> None:
    with stack_of(request, name) as stack:
        with serving(data, stack=stack, settings=OFTEN) as service:
            uninterrupted = service.weights(service.wait_for_end(service.submit(MLP)))
            running = service.submit(MLP)
            queued = [service.submit(QUICK) for _ in range(3)]
            service.wait_for_epoch(running, MLP["epochs"] // 4)
            kill(service)
        with serving(data, stack=stack, settings=OFTEN) as service:
            run = service.wait_for_end(running)
            assert (run["status"], run["claims"]) == ("succeeded", 2)
            assert service.weights(run) == uninterrupted
            assert [service.wait_for_end(each)["status"] for each in queued] == ["succeeded"] * 3
            assert service.stop() == 0
        for experiment in (running, *queued):
            assert_told_once(service, experiment)


def test_sigterm_while_training_gives_the_job_back_within_ten_seconds_and_counts_no_crash(
    stack: Stack, data: Path
) -> None:
    with serving(data, stack=stack) as service:
        uninterrupted = service.weights(service.wait_for_end(service.submit(MLP)))
        experiment = service.submit(MLP)
        done = service.wait_for_epoch(experiment, MLP["epochs"] // 4)["progress"]["epoch"]
        assert service.stop(signal.SIGTERM, seconds=10) == 0
        assert "was given back after epoch" in service.log()
    with serving(data, stack=stack) as service:
        run = service.wait_for_end(experiment)
        assert (run["status"], run["claims"]) == ("succeeded", 2)
        assert service.weights(run) == uninterrupted
        resumed = int(service.log().partition("goes on after epoch ")[2].split()[0])
        assert resumed >= done
    assert crashes(assert_told_once(service, experiment)) == []
