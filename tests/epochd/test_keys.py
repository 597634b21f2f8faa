"""`epochd keys`, and what the service and its clients make of keys: real processes."""

import csv
import io
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from epochd import Client, EpochdError
from epochd.commands.roster import NewKey, RosterUnusable, read_roster
from tests.end_to_end.service import Service, serving
from tests.epochd.command_line import epochd
from tests.waiting import wait_until

ROSTER = "owner,scope,group\nann@example.org,,1\nbob@example.org,read,2\n"


def create(data: Path, *words: str) -> str:
    made = epochd("keys", "create", "--data", data, *words)
    assert made.returncode == 0, made.stderr
    return made.stdout.strip()


@pytest.fixture(scope="module")
def classroom(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Service, dict[str, str]]]:
    """A service that other machines reach, and the key of each of its users."""
    data = tmp_path_factory.mktemp("classroom") / "data"
    keys = {"ann": create(data, "--owner", "ann"), "root": create(data, "--owner", "root", "--scope", "admin")}
    with serving(data, host="0.0.0.0") as service:  # noqa: S104 - what is tested
        yield service, keys


def test_it_refuses_to_serve_other_machines_without_a_key_and_says_how_to_make_one(tmp_path: Path) -> None:
    refused = epochd("up", "--host", "0.0.0.0", "--port", "0", "--data", tmp_path / "data")  # noqa: S104
    assert refused.returncode == 1
    assert "epochd keys create" in refused.stderr
    assert "Traceback" not in refused.stderr
    alone = [sys.executable, "-m", "epochd.serve", "--host", "0.0.0.0", "--port", "0"]  # noqa: S104
    settings = {"EPOCHD_DATA": str(tmp_path / "data")}
    again = subprocess.run(
        alone, capture_output=True, text=True, timeout=60, check=False, env={**os.environ, **settings}
    )
    assert again.returncode == 1
    assert "epochd keys create" in again.stderr
    assert "Traceback" not in again.stderr


def test_a_client_with_a_key_trains_and_one_without_is_refused(classroom: tuple[Service, dict[str, str]]) -> None:
    service, keys = classroom
    with Client(service.url, keys["ann"]) as ann, Client(service.url) as nobody:
        experiment = ann.wait(ann.submit({"variant": "linear", "epochs": 5})["id"], timeout=60)
        assert (experiment["status"], experiment["owner"]) == ("succeeded", "ann")
        with pytest.raises(EpochdError, match="401 A key is needed"):
            nobody.experiment(experiment["id"])
    with Client(service.url, keys["root"]) as root:
        assert [each["id"] for each in root.experiments()] == [experiment["id"]]


def test_the_command_line_takes_a_key_as_an_option_or_from_the_environment(
    classroom: tuple[Service, dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    service, keys = classroom
    refused = epochd("presets", "--url", service.url)
    assert (refused.returncode, "401" in refused.stderr) == (1, True)
    assert refused.stderr.endswith(". --key or EPOCHD_KEY gives the key.\n")
    assert epochd("presets", "--url", service.url, "--key", keys["ann"]).returncode == 0
    monkeypatch.setenv("EPOCHD_KEY", keys["ann"])
    assert epochd("presets", "--url", service.url).returncode == 0
    monkeypatch.delenv("EPOCHD_KEY")
    with Client(service.url, keys["ann"]) as ann:
        experiment = ann.submit({"variant": "linear", "epochs": 5}, wait=30)["id"]
    assert epochd("watch", experiment, "--url", service.url, "--key", keys["ann"]).returncode == 0
    assert "401" in epochd("watch", experiment, "--url", service.url).stderr
    monkeypatch.setenv("EPOCHD_KEY", keys["ann"])
    with Client(service.url) as client:
        assert client.presets()


def test_keys_are_listed_and_revoked_while_the_service_runs(classroom: tuple[Service, dict[str, str]]) -> None:
    service, _ = classroom
    key = create(service.data, "--owner", "cid", "--scope", "read", "--label", "for [the] poster")
    listed = epochd("keys", "list", "--data", service.data).stdout
    (line,) = [line for line in listed.splitlines() if " cid " in line]
    assert "read" in line
    assert "for [the] poster" in line
    assert key not in listed
    with Client(service.url, key) as client:
        assert client.experiments() is not None
        assert epochd("keys", "revoke", line.split()[0], "--data", service.data).returncode == 0

        def is_refused() -> bool:
            try:
                next(iter(client.experiments()), None)
            except EpochdError as problem:
                return problem.status == 401
            return False

        wait_until(is_refused, what="the key is refused")
    again = epochd("keys", "revoke", line.split()[0], "--data", service.data)
    assert again.returncode == 1
    assert "no valid key" in again.stderr


@pytest.mark.parametrize("words", [("--owner", ""), ("--owner", "", "--from", "-")], ids=len)
def test_nobody_is_no_owner(words: tuple[str, ...], tmp_path: Path) -> None:
    refused = epochd("keys", "create", *words, "--data", tmp_path / "data", given=ROSTER, COLUMNS="200")
    assert refused.returncode == 2
    assert ("an owner has 1 to 200" if len(words) == 2 else "the file says whose") in refused.stderr
    assert not (tmp_path / "data").exists()


def test_a_class_gets_its_keys_from_a_roster(tmp_path: Path) -> None:
    made = epochd("keys", "create", "--from", "-", "--data", tmp_path / "data", given=ROSTER)
    assert made.returncode == 0, made.stderr
    rows = list(csv.DictReader(io.StringIO(made.stdout)))
    assert [(row["owner"], row["scope"]) for row in rows] == [("ann@example.org", "write"), ("bob@example.org", "read")]
    assert len({row["key"] for row in rows}) == 2
    listed = epochd("keys", "list", "--data", tmp_path / "data").stdout
    assert all(row["owner"] in listed for row in rows)


def test_a_roster_with_a_fault_makes_no_key_at_all(tmp_path: Path) -> None:
    roster = tmp_path / "roster.csv"
    roster.write_text(ROSTER + "cid@example.org,boss,3\n")
    refused = epochd("keys", "create", "--from", roster, "--data", tmp_path / "data")
    assert refused.returncode == 2
    assert "line 4" in refused.stderr.replace("\n", " ")
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "no column owner"),
        ("name,mail\nann,a@example.org\n", "its columns: name, mail"),
        ("owner\n", "lists nobody"),
        ("owner\nann\nbob\nann\n", "ann is there twice"),
        ("owner,scope\nann,boss\n", "line 2: there is no scope 'boss'"),
        ("owner,scope\n ,read\n", "line 2: an owner has"),
        (f"owner\n{'x' * 201}\n", "line 2: an owner has"),
    ],
)
def test_a_roster_that_is_none_is_refused_with_its_line(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "roster.csv"
    path.write_text(content)
    with pytest.raises(RosterUnusable) as refused:
        read_roster(path, "write")
    assert said in str(refused.value)


def test_rosters_as_spreadsheets_write_them(tmp_path: Path) -> None:
    path = tmp_path / "roster.csv"
    ann = NewKey("Ann Müller", "read", "bench 3")
    for content in (
        "owner,label\nAnn Müller,bench 3\n",
        "label;owner;scope\r\nbench 3;Ann Müller;\r\n",
        '\ufeff"owner","label"\n"Ann Müller",bench 3',
    ):
        path.write_text(content, encoding="utf-8")
        assert read_roster(path, "read") == [ann]
    path.write_bytes("owner\nMüller\n".encode("utf-16"))
    with pytest.raises(RosterUnusable, match="UTF-8"):
        read_roster(path, "read")
