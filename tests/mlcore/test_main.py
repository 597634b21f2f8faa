"""`python -m mlcore` trains with no database and no broker."""

import os
import subprocess
import sys
from pathlib import Path


def run(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mlcore", *arguments]
    return subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, cwd=cwd)


def test_it_trains_and_prints_the_metrics(tmp_path: Path) -> None:
    done = run("--variant", "polynomial", "--degree", "19", "--epochs", "40", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "epoch    40  train_loss" in done.stdout
    assert not list(tmp_path.iterdir())


def test_the_help_lists_each_option_once_and_says_the_default_variant(tmp_path: Path) -> None:
    said = run("--help", cwd=tmp_path, COLUMNS="200").stdout
    assert "\n  --degree JSON\n" in said
    assert "\n  --batch_size JSON, --batch-size JSON\n" in said
    assert "what to train (polynomial)" in said


def test_a_wrong_value_is_named(tmp_path: Path) -> None:
    done = run("--variant", "mlp", "--epochs", "0", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr == "--epochs: Input should be greater than or equal to 1\n"


def test_the_images_are_those_of_the_data_folder_of_the_environment(tmp_path: Path, sample_root: Path) -> None:
    sizes = ("--n_train", "20", "--n_test", "20", "--epochs", "1")
    done = run("--variant", "mlp", *sizes, cwd=tmp_path, EPOCHD_DATA=str(sample_root))
    assert done.returncode == 0, done.stderr
    assert "train_loss" in done.stdout
