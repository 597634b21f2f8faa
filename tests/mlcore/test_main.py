"""`python -m mlcore` trains with no database and no broker."""

import subprocess
import sys
from pathlib import Path


def run(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "mlcore", *arguments], capture_output=True, text=True, cwd=cwd)


def test_it_trains_and_prints_the_metrics(tmp_path: Path) -> None:
    done = run("--variant", "polynomial", "--degree", "19", "--epochs", "40", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "epoch    40  train_loss" in done.stdout
    assert not list(tmp_path.iterdir())


def test_a_wrong_value_is_named(tmp_path: Path) -> None:
    done = run("--variant", "mlp", "--epochs", "0", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr == "--epochs: Input should be greater than or equal to 1\n"
