"""Requests that schemathesis makes up from the OpenAPI document: no 5xx, and every answer is as the document says.

Not asked of it: event streams, which do not end, and that whatever fits the schema is accepted: not all that makes a
request valid can be said in JSON Schema, and the rest is a 422 that says what.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest

from api.settings import ApiSettings
from tests.api.live import serving
from tests.api.service import Service
from tests.end_to_end.conftest import make_data
from tests.end_to_end.service import serving as serving_with_workers

LINEAR: Final = {"layers.0.weight": np.zeros((1, 2)), "layers.0.bias": np.zeros(1)}
CASES: Final = 10_000
ROOT: Final = Path(__file__).parents[2]
SCHEMATHESIS: Final = Path(sys.executable).with_name("schemathesis")


def test_a_first_hundred_requests_break_nothing(settings: ApiSettings, service: Service, tmp_path: Path) -> None:
    service.heartbeat()
    run_ids = [str(service.trained({"variant": "linear", "n_inputs": 2}, LINEAR)) for _ in range(2)]
    experiments = [service.submit(seeds=2)["id"] for _ in range(3)]
    service.train(lambda _: {"test_loss": [1.0, 2.0]})
    patient = settings.model_copy(update={"worker_seen_seconds": 1e6})
    with serving(patient) as live:
        said = schemathesis(
            tmp_path, live.address, run_ids, experiments, "--max-examples", "2", "--phases", "examples,fuzzing"
        )
    assert cases(said) > 80


@pytest.mark.soak
def test_ten_thousand_requests_break_nothing(tmp_path: Path, sample_root: Path) -> None:
    with serving_with_workers(make_data(tmp_path, sample_root)) as service:
        specs: list[dict[str, Any]] = [
            {"variant": "polynomial"},
            {"variant": "linear"},
            {"variant": "mlp", "n_train": 100, "n_test": 50},
        ]
        experiments = [service.submit({**spec, "epochs": 3}, seeds=2) for spec in specs * 20]
        for experiment in experiments:
            service.wait_for_experiment(experiment)
        run_ids = [run["id"] for experiment in experiments for run in service.runs_of(experiment)]
        total, seed = 0, 0
        while total < CASES:
            options = ["--max-examples", "60", "--seed", str(seed), "--request-timeout", "60"]
            total += cases(schemathesis(tmp_path, service.url, run_ids, experiments, *options))
            seed += 1
            print(f"{total} requests")


def schemathesis(folder: Path, url: str, run_ids: list[str], experiment_ids: list[str], *options: str) -> str:
    """Run it against a service in which these runs and experiments are; return what it says."""
    known = {"run_id": run_ids, "experiment_id": experiment_ids}
    lines = [f"[dictionaries.{name}]\nvalues = {json.dumps(ids)}\n" for name, ids in known.items()]
    lines += [f'[parameters."path.{name}"]\ndictionary = "{name}"\nprobability = 0.8\n' for name in known]
    (folder / "schemathesis.toml").write_text("\n".join(lines))
    leave_out = ["--exclude-path-regex", "/events$", "--exclude-checks", "positive_data_acceptance"]
    done = subprocess.run(
        [SCHEMATHESIS, "run", f"{url}/openapi.json", "--no-color", *leave_out, *options],
        cwd=folder,
        env={**os.environ, "SCHEMATHESIS_HOOKS": "tests.api.schemathesis_hooks", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def cases(said: str) -> int:
    found = re.search(r"(\d+) generated", said)
    assert found is not None, said
    return int(found[1])
