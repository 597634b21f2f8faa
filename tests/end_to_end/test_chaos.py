"""Nothing is lost and nothing is done twice, whatever is killed whenever; `make chaos` does it at greater length."""

from typing import Any

import pytest

from tests.chaos.__main__ import Options, cause, is_well
from tests.stacks import STACKS


@pytest.mark.parametrize("stack", STACKS)
@pytest.mark.timeout(300)
def test_sigkills_at_random_of_all_processes(stack: str, request: pytest.FixtureRequest) -> None:
    if stack == "servers":
        request.getfixturevalue("postgresql")  # says what to do where there is none
        request.getfixturevalue("redis")
    report = caused(Options(stack, runs=40, jobs=16, kills=5, slots=2, seed=1, mean_seconds=1))
    assert report["submitted"] == 40
    assert report["kills"] == 5


@pytest.mark.soak
def test_two_hundred_sigkills_among_ten_thousand_runs_on_servers() -> None:
    report = caused(Options("servers", runs=10_000, jobs=2000, kills=220, slots=2, seed=11, mean_seconds=2))
    assert report["submitted"] == 10_000
    assert report["kills"] >= 200
    assert report["hits"] >= 100


@pytest.mark.soak
def test_sixty_sigkills_among_two_thousand_runs_embedded() -> None:
    report = caused(Options("embedded", runs=2000, jobs=400, kills=60, slots=2, seed=12, mean_seconds=2))
    assert report["submitted"] == 2000
    assert report["kills"] >= 60


def caused(options: Options) -> dict[str, Any]:
    """Cause chaos and assert that nothing came of it; the report is printed, for whoever wants to keep it."""
    report = cause(options)
    print(report)
    assert is_well(report), report
    return report
