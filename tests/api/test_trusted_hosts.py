"""The names the service answers to, and what browsers are told about its answers."""

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from api.settings import ApiSettings
from tests.api.service import Service, client_of, problem


@pytest.fixture(scope="module")
def named(settings: ApiSettings) -> Iterator[TestClient]:
    with client_of(settings.model_copy(update={"trusted_hosts": ("Lab.example.org", "*.class.example")})) as client:
        yield client


@pytest.mark.parametrize(
    "host",
    [
        *("localhost", "localhost:8000", "LOCALHOST", "127.0.0.1:8000", "[::1]:8000", "192.0.2.7"),
        *("lab.example.org", "LAB.example.org:443", "a.class.example"),
    ],
)
def test_it_answers_to_addresses_and_to_names_it_was_told(named: TestClient, host: str) -> None:
    assert named.get("/healthz", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example", "lab.example.org.evil.example", "class.example", "localhost.evil.example", "testserver"),
        *("", "evil.example@127.0.0.1", "127.0.0.1.evil.example", "[evil.example]", "a b", "127.0.0.1/evil.example"),
    ],
)
def test_it_does_not_answer_to_others(named: TestClient, host: str) -> None:
    for path in ("/healthz", "/v1/experiments", "/docs"):
        found = problem(named.get(path, headers={"Host": host}), 400, "untrusted-host")
        assert "EPOCHD_TRUSTED_HOSTS" in found["detail"]


def test_names_come_from_the_environment_with_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EPOCHD_TRUSTED_HOSTS", "lab.example.org, *.class.example,")
    assert ApiSettings().trusted_hosts == ("lab.example.org", "*.class.example")
    monkeypatch.setenv("EPOCHD_TRUSTED_HOSTS", "")
    assert ApiSettings().trusted_hosts == ()


def test_no_answer_can_be_embedded_sniffed_or_scripted(service: Service) -> None:
    drawing = "/v1/concepts/activations/relu?format=svg"
    for path in ("/healthz", "/v1/experiments", "/v1/nothing", "/problems", drawing, "/docs"):
        headers = service.client.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert "default-src 'none'" in headers["content-security-policy"]
        assert ("script-src" in headers["content-security-policy"]) == (path == "/docs")
