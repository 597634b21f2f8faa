"""Every preset, cut down to seconds, through a service: it succeeds, and its figure is a picture."""

import subprocess
from typing import Any

import httpx2
import pytest

from mlcore.presets import PRESETS
from tests.api.pictures import assert_png, assert_svg
from tests.end_to_end.service import EPOCHD, Service

MOST = {"epochs": 2, "n_train": 100, "n_valid": 20, "n_test": 50, "n_inputs": 20}
UNSTATED = {"mlp": {"n_train": 60_000, "n_test": 10_000}}
REPEATS = ("seeds", "data_seeds", "folds")


def reduced(request: dict[str, Any]) -> dict[str, Any]:
    """The same experiment, small: two epochs, few examples, the ends of each axis of the grid."""
    spec = UNSTATED.get(request["spec"]["variant"], {}) | request["spec"]
    small = {field: min(value, MOST.get(field, value)) if field in MOST else value for field, value in spec.items()}
    grid = {field: _ends(field, values) for field, values in request.get("grid", {}).items()}
    return {**request, "spec": small, "grid": grid} | {axis: 2 for axis in REPEATS if axis in request}


def _ends(field: str, values: list[Any]) -> list[Any]:
    return [min(values), MOST[field]] if field in MOST else [values[0], values[-1]]


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_trained_and_drawn(service: Service, name: str) -> None:
    preset = service.get(f"/v1/presets/{name}")
    posted = service.http.post("/v1/experiments", json=reduced(preset["request"])).raise_for_status().json()
    found = service.wait_for_experiment(posted["id"])
    assert found["status"] == "succeeded"
    assert found["runs"]["failed"] == 0
    figure = preset["figure"].format(experiment_id=posted["id"])
    assert_png(service.http.get(figure).raise_for_status().content)
    assert_svg(service.http.get(figure.replace("format=png", "format=svg")).raise_for_status().content)


def epochd(*words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([EPOCHD, *words], capture_output=True, text=True, timeout=60, check=False)


def test_the_command_line_lists_and_runs_presets(service: Service) -> None:
    listed = epochd("presets", "--url", service.url)
    assert listed.returncode == 0, listed.stderr
    assert all(name in listed.stdout for name in PRESETS)
    trained = epochd("run", "weight-decay-scratch", "--url", service.url)
    assert trained.returncode == 0, trained.stderr
    assert_png(httpx2.get(trained.stdout.split()[-1], timeout=20).content)


def test_the_command_line_says_what_is_wrong(service: Service) -> None:
    unknown = epochd("run", "weight-decay", "--url", service.url)
    assert unknown.returncode == 1
    assert "weight-decay-scratch" in unknown.stderr
    absent = epochd("presets", "--url", "http://127.0.0.1:9")
    assert absent.returncode == 1
    assert "http://127.0.0.1:9" in absent.stderr
    assert "Traceback" not in absent.stderr
