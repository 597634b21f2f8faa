"""`epochd demo` from the outside: what it prints and saves, and that nothing of it is left running."""

import re
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from epochd.commands.demo import EXAMPLES
from tests.epochd.command_line import epochd

REPOSITORY = Path(__file__).parents[2]
SAMPLE = REPOSITORY / "tests" / "fashion_mnist_sample"
FULL_SET = REPOSITORY / "var" / "FashionMNIST"
SERVES = re.compile(r"serves at (http://\S+)")


def start(data: Path) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "epochd", "demo", "--data", str(data)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.fixture
def sample(tmp_path: Path) -> Path:
    (tmp_path / "FashionMNIST").symlink_to(SAMPLE / "FashionMNIST")
    return tmp_path


def rows(output: str) -> dict[str, list[str]]:
    """The table's lines by their first cell."""
    lines = [[cell.strip() for cell in line.split("│")[1:-1]] for line in output.splitlines() if line.startswith("│")]
    return {cells[0]: cells[1:] for cells in lines if cells[0]}


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.skipif(not FULL_SET.is_dir(), reason="the full set is not here: `make data` fetches it")
def test_the_chapters_examples_come_out_as_in_the_book(tmp_path: Path) -> None:
    (tmp_path / "FashionMNIST").symlink_to(FULL_SET)
    process = start(tmp_path)
    output, errors = process.communicate()

    assert process.returncode == 0, output + errors
    table = rows(output)
    assert list(table) == [example.title for example in EXAMPLES]
    assert float(table["4.2 MLP, 60,000 images"][2]) > 0.82
    assert float(table["4.4 polynomial, degree 1"][1]) > 1 > float(table["4.4 polynomial, degree 3"][1])
    plain, decayed = table["4.5 linear, λ = 0"], table["4.5 linear, λ = 3"]
    assert float(decayed[1]) < float(plain[1])
    assert float(decayed[3]) < float(plain[3])


def test_what_failed_is_told_the_rest_is_shown_and_the_exit_status_is_1(sample: Path) -> None:
    process = start(sample)
    output, errors = process.communicate()

    assert process.returncode == 1, output + errors
    assert "4.2 MLP, 60,000 images failed: " in output
    assert rows(output)["4.4 polynomial, degree 3"][1] != "–"
    for example in EXAMPLES:
        assert (sample / "pictures" / f"{example.slug}.png").read_bytes().startswith(b"\x89PNG")
    assert process_ids_naming(sample) == set()


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_what_was_started_is_stopped_when_the_demo_is_interrupted(
    sample: Path, number: signal.Signals, status: int
) -> None:
    process = start(sample)
    assert process.stdout is not None
    assert any(SERVES.search(line) for line in process.stdout)
    assert process_ids_naming(sample)

    process.send_signal(number)
    process.communicate()

    assert process.returncode == status
    assert process_ids_naming(sample) == set()


def test_a_service_that_cannot_start_is_told(sample: Path) -> None:
    (sample / "epochd.db").write_text("not a database")

    process = start(sample)
    output, errors = process.communicate()

    assert process.returncode == 1
    assert "did not start" in errors, output
    assert process_ids_naming(sample) == set()


def test_a_service_that_asks_for_a_key_is_told_with_the_way_out(sample: Path) -> None:
    assert epochd("keys", "create", "--data", sample).returncode == 0

    refused = epochd("demo", "--data", sample)

    assert refused.returncode == 1
    assert "401 " in refused.stderr
    assert " ".join(refused.stderr.split()).endswith(". EPOCHD_KEY gives the key.")


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    refused = epochd("demo", EPOCHD_DATA=str(tmp_path / "file" / "data"))

    assert refused.returncode == 1
    assert "Traceback" not in refused.stderr
    assert "cannot be made: Not a directory; choose another with --data." in " ".join(refused.stderr.split())


def process_ids_naming(folder: Path) -> set[int]:
    """The processes that serve this data folder: it is in their arguments or, of slots and janitor, in EPOCHD_DATA."""
    return {process.pid for process in psutil.process_iter() if str(folder) in _words(process)}


def _words(process: psutil.Process) -> str:
    try:
        return " ".join([*process.cmdline(), process.environ().get("EPOCHD_DATA", "")])
    except psutil.Error:
        return ""
