"""`epochd claims` from the outside: cheap claims, checked by a service that is up, or by its own."""

import json
import subprocess
import sys
from base64 import b64decode
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from epochd import Client
from epochd.claim_words import claimed, number
from epochd.transport import Json
from tests.end_to_end.conftest import make_data
from tests.end_to_end.service import Service, serving
from tests.epochd.test_demo import process_ids_naming

QUICK = ("degree-1-underfits", "weight-decay-weight-l2-norm", "scratch-is-concise-with-decay", "dropout-keeps-the-mean")
SVG = "data:image/svg+xml;base64,"
VOID = {"meta", "img", "br"}


def epochd_claims(*words: str | Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "epochd", "claims", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)


class Page(HTMLParser):
    """What a browser would look up, and whether elements are closed in their order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.sources: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag not in {"script", "link", "iframe", "object"}
        found = dict(attrs)
        for name, seen in (("id", self.ids), ("href", self.links), ("src", self.sources)):
            if name in found:
                seen.append(found[name] or "")
        assert tag != "img" or found["alt"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, sample_root: Path) -> Iterator[Service]:
    with serving(make_data(tmp_path_factory.mktemp("service"), sample_root)) as running:
        yield running


@pytest.fixture(scope="module")
def out(service: Service, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report on a few claims that take seconds."""
    folder = tmp_path_factory.mktemp("out") / "new"
    checked = epochd_claims(*QUICK, "--url", service.url, "--out", folder)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert checked.stdout.count("HOLDS") == len(QUICK)
    assert "claims.html" in checked.stdout
    return folder


@pytest.fixture
def claims(out: Path) -> dict[str, Json]:
    return {one["name"]: one for one in json.loads((out / "claims.json").read_text())["claims"]}


def test_claims_are_judged_from_what_the_service_has_stored(
    out: Path, claims: dict[str, Json], service: Service
) -> None:
    assert set(claims) == set(QUICK)
    assert all(one["holds"] and one["fraction"] == 1 and one["replicates"] >= 20 for one in claims.values())
    shrunk = claims["weight-decay-weight-l2-norm"]
    assert shrunk["effect"]["low"] <= shrunk["effect"]["mean"] <= shrunk["effect"]["high"] < 0.1
    assert claims["dropout-keeps-the-mean"]["effect"]["mean"] == pytest.approx(1, abs=0.02)
    found = json.loads((out / "claims.json").read_text())
    decay = next(one for one in found["experiments"] if one["training"] == "weight-decay")
    with Client(service.url) as client:
        runs = client.runs(decay["id"])
    norms = {one["spec"]["weight_decay"]: one["metrics"]["weight_l2_norm"]["last"] for one in reversed(runs)}
    assert shrunk["values"][0] == pytest.approx(norms[3] / norms[0])


def test_paired_claims_carry_what_the_service_says_of_the_pairs(claims: dict[str, Json]) -> None:
    said = claims["weight-decay-weight-l2-norm"]["comparison"]
    assert "has the lower weight l2 norm" in said["verdict"]
    assert said["p"] < 0.001
    assert said["pairs"] == claims["weight-decay-weight-l2-norm"]["replicates"]
    assert claims["dropout-keeps-the-mean"]["comparison"] is None


def test_the_report_is_one_file_that_needs_nothing_else(out: Path, claims: dict[str, Json]) -> None:
    text = (out / "claims.html").read_text()
    page = Page(text)
    assert {f"#{name}" for name in claims} <= set(page.links)
    assert {link.removeprefix("#") for link in page.links} <= set(page.ids)
    assert len(page.sources) > len(claims)
    for source in page.sources:
        assert source.startswith(SVG)
        assert ET.fromstring(b64decode(source.removeprefix(SVG))).tag.endswith("svg")  # noqa: S314  our own
    style = text[text.index("<style>") : text.index("</style>")]
    assert "url(" not in style
    assert "@import" not in style
    for one in claims.values():
        assert one["reason"] in text


def test_what_could_not_be_trained_is_told_and_the_rest_is_judged(service: Service, tmp_path: Path) -> None:
    checked = epochd_claims("scratch-is-concise", QUICK[-1], "--url", service.url, "--out", tmp_path)
    assert checked.returncode == 1
    assert "images" in checked.stdout
    lost, kept = json.loads((tmp_path / "claims.json").read_text())["claims"]
    assert (lost["holds"], lost["replicates"], lost["left_out"], lost["effect"]) == (None, 0, 5, None)
    assert kept["holds"] is True
    Page((tmp_path / "claims.html").read_text())


def test_a_service_of_its_own_is_started_and_stopped(tmp_path: Path, sample_root: Path) -> None:
    data = make_data(tmp_path, sample_root)
    checked = epochd_claims(QUICK[-1], "--data", data, "--out", tmp_path / "out")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert (tmp_path / "out" / "claims.html").is_file()
    assert process_ids_naming(data) == set()


def test_an_unknown_claim_and_an_absent_service_are_told(tmp_path: Path) -> None:
    unknown = epochd_claims("degree-2", "--out", tmp_path)
    assert unknown.returncode == 1
    assert "degree-1-underfits" in unknown.stderr
    absent = epochd_claims(QUICK[-1], "--url", "http://127.0.0.1:9", "--out", tmp_path)
    assert absent.returncode == 1
    assert "http://127.0.0.1:9" in absent.stderr
    assert "Traceback" not in absent.stderr


def test_a_folder_for_the_report_that_cannot_be_made_is_told_before_anything_is_trained(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    refused = epochd_claims(QUICK[-1], "--url", "http://127.0.0.1:9", "--out", tmp_path / "file" / "out")
    assert refused.returncode == 1
    said = " ".join(refused.stderr.split())
    assert said.endswith("/out cannot be made: Not a directory; choose another with --out.")


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0.85, "0.850"),
        (202.4, "202"),
        (1940.3, "1,940"),
        (1.3e8, "1.30 × 10⁸"),
        (-2.5e-12, "−2.50 × 10⁻¹²"),
        (0.0, "0"),
        (None, "–"),
        (9.999e-4, "0.00100"),
        (-0.0202, "−0.0202"),
    ],
)
def test_numbers_have_three_digits(value: float | None, said: str) -> None:
    assert number(value) == said


def test_bounds_are_said() -> None:
    assert claimed({"claimed_above": 1.0, "claimed_below": None}) == "above 1"
    assert claimed({"claimed_above": None, "claimed_below": 0.1}) == "below 0.100"
    assert claimed({"claimed_above": 0.95, "claimed_below": 1.05}) == "between 0.950 and 1.05"
