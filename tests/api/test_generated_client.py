"""A client made by openapi-python-client: its types hold, and it submits, waits and reads a curve."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.end_to_end.service import serving

BIN: Final = Path(__file__).parents[2] / ".venv-client" / "bin"

USE: Final = """
import sys

from epochd_client import AuthenticatedClient
from epochd_client.api.experiments import create_experiment, get_experiment, list_experiment_runs
from epochd_client.api.results import get_run_curves
from epochd_client.models import Experiment, ExperimentRequest, PolynomialSpec, RunCurves, RunPage, Status
from epochd_client.types import Unset

client = AuthenticatedClient(base_url=sys.argv[1], token="none is needed here")
request = ExperimentRequest(spec=PolynomialSpec(variant="polynomial", degree=3, epochs=20), name="generated")
experiment = create_experiment.sync(client=client, body=request, prefer="wait=30", idempotency_key="generated")
assert isinstance(experiment, Experiment), experiment
assert experiment.status == Status.SUCCEEDED, experiment
again = get_experiment.sync(experiment.id, client=client)
assert isinstance(again, Experiment)
assert again.name == "generated"
page = list_experiment_runs.sync(experiment.id, client=client)
assert isinstance(page, RunPage)
curves = get_run_curves.sync(page.items[0].id, client=client)
assert isinstance(curves, RunCurves)
series = curves.series.additional_properties["test_loss"]
print(len(curves.epochs), min(value for value in series if value is not None) < 100)
"""

TYPES: Final = """
[mypy]
strict = true
warn_redundant_casts = false
[mypy-epochd_client.client]
# The generator's own, the same for every service.
ignore_errors = true
"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not BIN.exists(), reason="`make test` installs openapi-python-client, in .venv-client"),
]


def run(*command: str | Path, folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=110)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_a_generated_client_is_well_typed_and_works(tmp_path: Path) -> None:
    with serving(tmp_path / "data") as service:
        (tmp_path / "openapi.json").write_text(json.dumps(service.get("/openapi.json")))
        options = ["--path", "openapi.json", "--meta", "none", "--output-path", "epochd_client"]
        said = run(BIN / "openapi-python-client", "generate", *options, folder=tmp_path)
        assert "omitted" not in said
        assert "Unable" not in said
        (tmp_path / "use.py").write_text(USE)
        (tmp_path / "mypy.ini").write_text(TYPES)
        python = BIN / "python"
        run(sys.executable, "-m", "mypy", "--python-executable", python, "use.py", "epochd_client", folder=tmp_path)
        assert run(python, "use.py", service.url, folder=tmp_path) == "20 True\n"
