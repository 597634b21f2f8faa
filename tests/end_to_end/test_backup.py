"""The backup that docs/operations.md describes, taken in the middle of a training, brings everything back."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests.end_to_end.conftest import make_data
from tests.end_to_end.service import serving
from tests.end_to_end.specs import MLP, QUICK

OPERATIONS = Path(__file__).parents[2] / "docs" / "operations.md"
OFTEN = {"EPOCHD_CHECKPOINT_SECONDS": "0.2"}  # so that there is a resume state in it


def test_a_data_folder_is_restored_and_a_run_in_it_ends_with_the_same_bits(tmp_path: Path, sample_root: Path) -> None:
    command = re.search(r'python -c "(.+)"$', OPERATIONS.read_text(), re.MULTILINE)
    assert command is not None
    data = make_data(tmp_path, sample_root).rename(tmp_path / "var")
    with serving(data, settings=OFTEN) as service:
        uninterrupted = service.wait_for_end(service.submit(MLP))
        experiment = service.submit(MLP)
        service.wait_for_epoch(experiment, MLP["epochs"] // 4)
        subprocess.run([sys.executable, "-c", command[1]], cwd=tmp_path, check=True)
        expected = service.weights(uninterrupted)
        later = service.submit(QUICK)
        service.kill_everything()
    for name in ("epochd.db", "epochd.db-wal", "epochd.db-shm"):
        (data / name).unlink(missing_ok=True)
    shutil.move(tmp_path / "backup.db", data / "epochd.db")
    with serving(data) as service:
        assert service.weights(uninterrupted) == expected
        run = service.wait_for_end(experiment)
        assert (run["status"], run["claims"]) == ("succeeded", 2)
        assert service.weights(run) == expected
        assert int(service.log().partition("goes on after epoch ")[2].split()[0]) >= 1
        assert service.http.get(f"/v1/experiments/{later}").status_code == 404
