"""The command line where something is not as it should be: a sentence with the way out, and no traceback."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sqlalchemy import text

from epochd import Client, EpochdError
from store.engine import make_engine
from tests.conftest import migrate
from tests.end_to_end.service import EPOCHD
from tests.epochd.command_line import epochd, nobodys_address
from tests.servers import fresh_database

NO_ID = "0198a000-0000-7000-8000-000000000000"
SAMPLE = Path(__file__).parents[1] / "fashion_mnist_sample"
ON_DATA = pytest.mark.parametrize(
    "words", [("up", "--port", "0"), ("keys", "create"), ("keys", "list"), ("keys", "revoke", NO_ID)], ids=" ".join
)

ASKING = pytest.mark.parametrize(
    "words", [("presets",), ("run", "mlp-concise"), ("watch", NO_ID), ("claims",)], ids=lambda words: words[0]
)


def refusal(*words: str | Path, **environment: str) -> str:
    """What a command that does not do its work says, in one line."""
    refused = epochd(*words, **environment)
    assert refused.returncode == 1, refused.stdout + refused.stderr
    assert "Traceback" not in refused.stderr
    return " ".join(refused.stderr.split())


def test_every_command_takes_the_data_folder_of_the_environment(tmp_path: Path) -> None:
    data = tmp_path / "data"
    assert epochd("keys", "create", EPOCHD_DATA=str(data)).returncode == 0
    assert epochd("keys", "list", EPOCHD_DATA=str(data)).stdout.count("local") == 1
    environment = {**os.environ, "EPOCHD_DATA": str(data)}
    with subprocess.Popen([EPOCHD, "up", "--port", "0"], env=environment, stdout=subprocess.PIPE, text=True) as up:
        assert up.stdout is not None
        assert f"data folder: {data}\n" in [next(up.stdout), next(up.stdout)]
        up.terminate()


def test_the_demo_makes_its_folder_in_that_of_the_environment(tmp_path: Path) -> None:
    shutil.copytree(SAMPLE / "FashionMNIST", tmp_path / "FashionMNIST")
    environment = {**os.environ, "EPOCHD_DATA": str(tmp_path)}
    with subprocess.Popen([EPOCHD, "demo"], env=environment, stdout=subprocess.PIPE, text=True) as demo:
        assert demo.stdout is not None
        assert any("epochd serves at" in line for line in demo.stdout)
        demo.terminate()
    (log,) = tmp_path.glob("demo/*/service.log")
    assert log.with_name("FashionMNIST").resolve() == tmp_path / "FashionMNIST"


@ON_DATA
def test_a_data_folder_that_cannot_be_made_is_named(words: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    data = tmp_path / "file" / "data"
    said = refusal(*words, "--data", data)
    if words[-1] in ("0", "create"):
        assert said == f"The data folder {data} cannot be made: Not a directory; choose another with --data."
    else:
        assert said == f"There is no database {data / 'epochd.db'}; choose another with --data."


@ON_DATA
def test_a_database_that_is_none_is_named(words: tuple[str, ...], tmp_path: Path) -> None:
    database = tmp_path / "epochd.db"
    database.write_text("this is no database, however long one looks at it\n" * 100)
    assert refusal(*words, "--data", tmp_path) == (
        f"The database {database} cannot be used: file is not a database; restore a backup or choose another with "
        "--data."
    )


@ON_DATA
def test_a_setting_that_is_wrong_is_named(words: tuple[str, ...], tmp_path: Path) -> None:
    assert refusal(*words, "--data", tmp_path, EPOCHD_START_SECONDS="soon").startswith("EPOCHD_START_SECONDS: ")


@pytest.mark.parametrize("name", ["EPOCHD_THREADS", "EPOCHD_MAX_BODY_BYTES", "EPOCHD_LOG_FORMAT"])
def test_a_wrong_setting_of_any_of_its_processes_keeps_the_service_from_starting(name: str, tmp_path: Path) -> None:
    assert refusal("up", "--port", "0", "--data", tmp_path, **{name: "abc"}).startswith(f"{name}: ")


def test_the_api_alone_names_what_is_wrong_too(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "epochd.serve", "--port", "0"]
    environment = {**os.environ, "EPOCHD_DATA": str(tmp_path), "EPOCHD_MAX_BODY_BYTES": "abc"}
    refused = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert refused.returncode == 1
    assert refused.stderr.startswith("EPOCHD_MAX_BODY_BYTES: ")


@pytest.mark.parametrize("port", ["-1", "65536", "999999", "http"])
def test_the_api_alone_refuses_what_is_no_port(port: str) -> None:
    command = [sys.executable, "-m", "epochd.serve", f"--port={port}"]
    refused = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert refused.returncode == 2
    assert f"{port} is no port" in refused.stderr


@pytest.mark.parametrize("url", ["nonsense", "amqp://somebody:secret@localhost"])
def test_a_broker_of_another_kind_is_refused(url: str, tmp_path: Path) -> None:
    said = refusal("up", "--port", "0", "--data", tmp_path, EPOCHD_BROKER_URL=url)
    assert said.startswith("EPOCHD_BROKER_URL: ")
    assert "redis://" in said
    assert "secret" not in said


@ON_DATA
@pytest.mark.parametrize("url", ["mysql://somebody:secret@localhost/epochd", "nonsense"])
def test_a_database_of_another_kind_is_refused(words: tuple[str, ...], url: str, tmp_path: Path) -> None:
    said = refusal(*words, "--data", tmp_path, EPOCHD_DATABASE_URL=url)
    assert said.startswith("EPOCHD_DATABASE_URL ")
    assert "postgresql://" in said
    assert "secret" not in said


@pytest.mark.parametrize("words", [("list",), ("revoke", NO_ID)], ids=" ".join)
def test_looking_for_keys_makes_no_database(words: tuple[str, ...], tmp_path: Path) -> None:
    data = tmp_path / "typo"
    said = refusal("keys", *words, "--data", data)
    assert said == f"There is no database {data / 'epochd.db'}; choose another with --data."
    assert not data.exists()


@pytest.mark.parametrize("words", [("list",), ("revoke", NO_ID)], ids=" ".join)
def test_looking_for_keys_migrates_no_database(words: tuple[str, ...], tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'epochd.db'}"
    migrate(url, "0001")
    assert "python -m store.schema" in refusal("keys", *words, "--data", tmp_path)
    with make_engine(url).connect() as connection:
        assert connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one() == "0001"
    assert epochd("keys", "create", "--data", tmp_path).returncode == 0
    assert "local" in epochd("keys", "list", "--data", tmp_path).stdout


def test_the_keys_of_a_server_need_no_file(postgresql: str, postgresql_template: str, tmp_path: Path) -> None:
    with fresh_database(postgresql, postgresql_template) as url:
        listed = epochd("keys", "list", "--data", tmp_path / "data", EPOCHD_DATABASE_URL=url)
    assert "There are no keys" in listed.stdout, listed.stderr
    assert not (tmp_path / "data").exists()


def test_whose_a_key_is_by_default_is_in_the_help() -> None:
    assert "[default: (local)]" in " ".join(epochd("keys", "create", "--help", COLUMNS="200").stdout.split())


@ASKING
def test_a_service_that_does_not_answer_is_told_with_the_way_out(words: tuple[str, ...]) -> None:
    url = nobodys_address()
    said = refusal(*words, "--url", url)
    assert url in said
    assert said.endswith(". Is it up (`epochd up`)? --url or EPOCHD_URL says where.")
    assert ".." not in said


@ASKING
@pytest.mark.parametrize("address", ["foo", "127.0.0.1:8000", "http://127.0.0.1:port"])
def test_an_address_that_is_none_is_told(words: tuple[str, ...], address: str) -> None:
    said = refusal(*words, "--url", address)
    assert said.startswith(f"{address} is no address of a service: ")
    assert "Is it up" not in said


@ASKING
def test_a_key_that_cannot_be_sent_is_told_and_not_shown(words: tuple[str, ...]) -> None:
    said = refusal(*words, "--url", nobodys_address(), EPOCHD_KEY="epochd_secret…")
    assert "EPOCHD_KEY" in said
    assert "secret" not in said
    assert "Is it up" not in said


def test_a_preset_of_one_run_is_said_to_have_one(service: str) -> None:
    assert ": 1 run, http" in epochd("run", "polynomial-normal", "--url", service).stdout
    assert "x?y" in refusal("run", "x?y", "--url", service)


def test_events_of_a_service_that_is_not_there_are_not_waited_for() -> None:
    began = time.monotonic()
    with Client(nobodys_address()) as client, pytest.raises(EpochdError, match="No answer"):
        next(client.events(NO_ID))
    assert time.monotonic() - began < 10


def test_an_address_may_end_with_a_slash(service: str) -> None:
    ran = epochd("run", "polynomial-normal", "--url", f"{service}/")
    assert ran.returncode == 0, ran.stderr
    assert f" {service}/v1/experiments/" in ran.stdout
    assert "//v1" not in ran.stdout


def test_make_hands_the_demo_its_data_folder(tmp_path: Path) -> None:
    said = subprocess.run(
        ["make", "-n", "demo", f"DATA={tmp_path}"], cwd=SAMPLE.parents[1], capture_output=True, text=True, check=True
    )
    assert f"EPOCHD_DATA='{tmp_path}' .venv/bin/epochd demo" in said.stdout


def test_where_the_demo_makes_its_folder_is_in_the_help() -> None:
    assert "demo/DATE-TIME in EPOCHD_DATA or var" in " ".join(epochd("demo", "--help", COLUMNS="200").stdout.split())
