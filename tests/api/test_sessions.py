"""POST and DELETE /v1/session: a browser signs in with a key and is known by its cookie."""

from collections.abc import Iterator
from http.cookies import Morsel, SimpleCookie
from typing import Any

import pytest
from fastapi.testclient import TestClient

from api.settings import ApiSettings
from store import keys
from store.engine import Database, make_engine
from store.startup import prepare
from tests.api.service import client_of, problem
from tests.waiting import wait_until

HOST = "lab.example"
HERE = {"Origin": f"https://{HOST}"}
SPEC = {"variant": "polynomial"}


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> ApiSettings:
    """Settings of a service that asks for keys and is known by a name."""
    data = tmp_path_factory.mktemp("data")
    found = ApiSettings(data=data, database_url=None, broker_url="memory://", trusted_hosts=(HOST,))
    prepare(found)
    return found


@pytest.fixture(scope="module")
def database(settings: ApiSettings) -> Iterator[Database]:
    found = Database(make_engine(settings.url))
    with found.write() as session:
        keys.create(session)
    yield found
    found.dispose()


@pytest.fixture
def browser(settings: ApiSettings, database: Database) -> Iterator[TestClient]:
    """A client without a key that keeps the cookies it is given."""
    assert database.engine.dialect.name == "sqlite"
    with client_of(settings, host=HOST) as client:
        yield client


def new_key(database: Database, scope: keys.Scope = "write") -> str:
    with database.write() as session:
        return keys.create(session, owner="ann", scope=scope)[1]


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def sign_in(browser: TestClient, key: str) -> None:
    answer = browser.post("/v1/session", headers=bearer(key))
    assert answer.status_code == 204, answer.text


def cookie(answer: Any) -> Morsel[str]:
    (found,) = SimpleCookie(answer.headers["set-cookie"]).values()
    return found


def test_a_key_becomes_a_cookie_that_scripts_and_other_sites_cannot_use(
    browser: TestClient, database: Database
) -> None:
    answer = browser.post("/v1/session", headers=bearer(new_key(database)))
    assert (answer.status_code, answer.content) == (204, b"")
    found = cookie(answer)
    assert found["httponly"]
    assert found["samesite"] == "strict"
    assert found["path"] == "/v1"
    assert not found["max-age"], "it goes with the browser"
    assert not found["expires"]
    assert not found["domain"]


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_over_tls_the_cookie_never_goes_without(settings: ApiSettings, database: Database, scheme: str) -> None:
    with client_of(settings, host=HOST) as client:
        answer = client.post(f"{scheme}://{HOST}/v1/session", headers=bearer(new_key(database)))
    assert bool(cookie(answer)["secure"]) == (scheme == "https")


def test_the_cookie_is_good_for_what_the_key_is(browser: TestClient, database: Database) -> None:
    problem(browser.get("/v1/queue"), 401, "unauthorized")
    sign_in(browser, new_key(database))
    assert browser.get("/v1/queue").status_code == 200
    made = browser.post("/v1/experiments", json={"spec": SPEC}, headers=HERE)
    assert made.status_code == 202
    assert made.json()["owner"] == "ann"
    assert browser.get(f"{made.headers['location']}/curves?format=svg").status_code == 200
    assert browser.delete(made.headers["location"], headers=HERE).status_code == 204


def test_a_reading_key_signs_in_and_may_still_only_read(browser: TestClient, database: Database) -> None:
    sign_in(browser, new_key(database, "read"))
    assert browser.get("/v1/queue").status_code == 200
    problem(browser.post("/v1/experiments", json={"spec": SPEC}, headers=HERE), 403, "forbidden")


@pytest.mark.parametrize("origin", [None, "https://evil.example", "null", "", f"https://{HOST}:8443"])
def test_writes_by_cookie_need_a_matching_origin(browser: TestClient, database: Database, origin: str | None) -> None:
    key = new_key(database)
    sign_in(browser, key)
    headers = {} if origin is None else {"Origin": origin}
    problem(browser.post("/v1/experiments", json={"spec": SPEC}, headers=headers), 403, "cross-site")
    problem(browser.post("/v1/presets/polynomial-normal:run", headers=headers), 403, "cross-site")
    assert browser.get("/v1/queue", headers=headers).status_code == 200
    by_header = browser.post("/v1/experiments", json={"spec": SPEC}, headers={**headers, **bearer(key)})
    assert by_header.status_code == 202


def test_a_key_in_the_header_counts_before_the_cookie(browser: TestClient, database: Database) -> None:
    sign_in(browser, new_key(database))
    problem(browser.get("/v1/queue", headers=bearer("nonsense")), 401, "unauthorized")


def test_a_proxys_own_login_does_not_hide_the_cookie(browser: TestClient, database: Database) -> None:
    sign_in(browser, new_key(database))
    assert browser.get("/v1/queue", headers={"Authorization": "Basic YTpi"}).status_code == 200


@pytest.mark.parametrize("key", ["nonsense", ""])
def test_without_a_good_key_there_is_no_cookie(browser: TestClient, key: str) -> None:
    answer = browser.post("/v1/session", headers=bearer(key))
    problem(answer, 401, "unauthorized")
    assert "set-cookie" not in answer.headers


def test_signing_out_takes_the_cookie_away(browser: TestClient, database: Database) -> None:
    sign_in(browser, new_key(database))
    answer = browser.delete("/v1/session")
    assert answer.status_code == 204
    assert cookie(answer)["max-age"] == "0"
    problem(browser.get("/v1/queue"), 401, "unauthorized")
    assert browser.delete("/v1/session").status_code == 204, "once more does no harm"


def test_a_revoked_keys_cookie_is_good_for_nothing_but_signing_out(browser: TestClient, database: Database) -> None:
    key = new_key(database)
    sign_in(browser, key)
    with database.write() as session:
        found = keys.find(session, key)
        assert found is not None
        keys.revoke(session, found.id)
    wait_until(lambda: browser.get("/v1/queue").status_code == 401, what="the cookie is refused")
    assert browser.delete("/v1/session").status_code == 204


def test_where_no_key_is_asked_for_there_is_nothing_to_sign_in_to(tmp_path_factory: pytest.TempPathFactory) -> None:
    settings = ApiSettings(data=tmp_path_factory.mktemp("open"), database_url=None, broker_url="memory://")
    prepare(settings)
    with client_of(settings) as client:
        answer = client.post("/v1/session", headers=bearer("whatever"))
        assert answer.status_code == 204
        assert "set-cookie" not in answer.headers
