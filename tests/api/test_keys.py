"""Who may do what: keys, their scopes and owners, and what holds where there are none."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from fastapi.testclient import TestClient

from api.settings import ApiSettings
from store import jobs, keys, workers
from store.engine import Database, make_engine
from store.jobs import Claim
from store.startup import prepare
from store.tables import ApiKey
from tests.api.service import Service, client_of, problem
from tests.waiting import wait_until

SPEC = {"variant": "polynomial"}
JSON = {"Content-Type": "application/json"}
TOO_MUCH = b"x" * 2_000_000


@dataclass(frozen=True)
class Guarded:
    """An API that asks for keys, and its database."""

    client: TestClient
    database: Database

    def key(self, owner: str = "ann", scope: keys.Scope = "write") -> str:
        with self.database.write() as session:
            return keys.create(session, owner=owner, scope=scope)[1]

    def as_(self, key: str) -> TestClient:
        """Clients share the connection; each sends its own key."""
        client = TestClient(self.client.app, base_url="http://127.0.0.1", headers={"Authorization": f"Bearer {key}"})
        client.app_state.update(self.client.app_state)
        return client

    def submit(self, key: str, **request: Any) -> dict[str, Any]:
        answer = self.as_(key).post("/v1/experiments", json={"spec": SPEC, **request})
        assert answer.status_code == 202, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def claim(self, worker: str) -> Claim:
        with self.database.write() as session:
            claim = jobs.claim(session, worker=worker, queues=["cpu"], lease_seconds=60, device="cpu", threads=1)
        assert claim is not None
        return claim


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> ApiSettings:
    """Settings of a service without keys."""
    settings = ApiSettings(data=tmp_path_factory.mktemp("empty"), database_url=None, broker_url="memory://")
    prepare(settings)
    return settings


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    settings = ApiSettings(data=tmp_path_factory.mktemp("guarded"), database_url=None, broker_url="memory://")
    prepare(settings)
    database = Database(make_engine(settings.url))
    with database.write() as session:
        keys.create(session)
    with client_of(settings) as client:
        yield Guarded(client, database)
    database.dispose()


def challenge(answer: Any) -> str:
    header: str = answer.headers["www-authenticate"]
    assert header.startswith('Bearer realm="epochd"')
    return header


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", "Basic YTpi", "epochd_1"])
def test_no_key_is_401(guarded: Guarded, header: str | None) -> None:
    answer = guarded.client.get("/v1/experiments", headers={} if header is None else {"Authorization": header})
    assert "Authorization: Bearer" in problem(answer, 401, "unauthorized")["detail"]
    assert challenge(answer) == 'Bearer realm="epochd"'


def test_a_wrong_key_is_401(guarded: Guarded) -> None:
    key = guarded.key()
    other_secret = key[:-1] + ("A" if key[-1] != "A" else "B")
    for each in (other_secret, key.replace(key[7:39], uuid4().hex), key[:-1], "nonsense", "é"):
        answer = guarded.client.get("/v1/experiments", headers=[(b"Authorization", f"Bearer {each}".encode())])
        problem(answer, 401, "unauthorized")
        assert 'error="invalid_token"' in challenge(answer)


def test_only_admins_go_before_others(guarded: Guarded) -> None:
    ann, admin = guarded.as_(guarded.key()), guarded.as_(guarded.key(scope="admin"))
    for path in ("/v1/experiments", "/v1/experiments?validate_only=true"):
        refused = ann.post(path, json={"spec": SPEC, "priority": 1})
        assert "takes a key for admin" in problem(refused, 403, "forbidden")["detail"]
        assert admin.post(path, json={"spec": SPEC, "priority": 1}).status_code in (200, 202)
    for priority in (0, -5):
        assert ann.post("/v1/experiments", json={"spec": SPEC, "priority": priority}).status_code == 202


def test_workers_tell_what_they_train_to_those_whose_it_is(guarded: Guarded) -> None:
    ann, admin = guarded.key("workers-ann"), guarded.key(scope="admin")
    mine = guarded.submit(ann)
    claims = (guarded.claim(f"slot-{number}") for number in count(1))
    claim = next(claim for claim in claims if str(claim.experiment_id) == mine["id"])
    work = {"experiment_id": mine["id"], "job_id": str(claim.job_id), "href": mine["links"]["self"]}
    with guarded.database.write() as session:
        workers.heartbeat(session, name=claim.worker, pid=1, hostname="h", queues=["cpu"], device="cpu", threads=1)
    for key, told in ((ann, work), (admin, work), (guarded.key("workers-bob"), None)):
        (worker,) = guarded.as_(key).get("/v1/workers").json()["items"]
        assert (worker["name"], worker["is_busy"], worker["work"]) == (claim.worker, True, told)


def test_a_revoked_key_is_401_within_two_seconds(guarded: Guarded) -> None:
    key = guarded.key()
    client = guarded.as_(key)
    assert client.get("/v1/experiments").status_code == 200
    with guarded.database.write() as session:
        found = keys.find(session, key)
        assert found is not None
        keys.revoke(session, found.id)
    revoked = asked = time.monotonic()
    while client.get("/v1/experiments").status_code == 200:
        assert asked - revoked < 2
        asked = time.monotonic()


def test_a_key_in_the_address_is_401_even_beside_the_right_header(guarded: Guarded) -> None:
    key = guarded.key()
    for params in ({"key": key}, {"page_token": f"x {key} y"}, {key: "1"}):
        answer = guarded.as_(key).get("/v1/experiments", params=params)
        assert "revoke" in problem(answer, 401, "unauthorized")["detail"]
        assert key not in answer.text
    encoded = key.replace("e", "%65")
    problem(guarded.client.get(f"/v1/experiments?key={encoded}"), 401, "unauthorized")


def test_a_key_without_the_scope_is_403_and_says_which(guarded: Guarded) -> None:
    reader = guarded.as_(guarded.key(scope="read"))
    for path in ("/v1/experiments", "/v1/presets/polynomial-normal:run", f"/v1/runs/{uuid4()}:cancel"):
        answer = reader.post(path, json={"spec": SPEC})
        assert "write" in problem(answer, 403, "forbidden")["detail"]
        assert 'error="insufficient_scope", scope="write"' in challenge(answer)


def test_a_key_to_read_may_ask_whatever_changes_nothing(guarded: Guarded) -> None:
    reader = guarded.as_(guarded.key(scope="read"))
    assert reader.get("/v1/experiments").status_code == 200
    assert reader.head("/v1/queue").status_code == 200
    problem(reader.post("/v1/compare", json={}), 422, "invalid")
    problem(reader.post(f"/v1/runs/{uuid4()}/predictions", json={"inputs": [1.0]}), 404, "not-found")


def test_nobody_is_asked_for_a_key_outside_v1(guarded: Guarded) -> None:
    for path in ("/healthz", "/version", "/docs", "/openapi.json", "/problems/unauthorized"):
        assert guarded.client.get(path).status_code == 200


def test_who_may_not_is_refused_before_the_body_is_read_and_whatever_the_address(guarded: Guarded) -> None:
    problem(guarded.client.post("/v1/experiments", content=TOO_MUCH, headers=JSON), 401, "unauthorized")
    problem(guarded.client.get("/v1/nothing"), 401, "unauthorized")
    problem(guarded.client.delete("/v1/experiments"), 401, "unauthorized")


def test_owners_see_only_their_own(guarded: Guarded) -> None:
    mine, other = guarded.key("ann"), guarded.key("bob")
    experiment = guarded.submit(mine, name="ann's")
    assert experiment["owner"] == "ann"
    (run,) = guarded.as_(mine).get(experiment["links"]["runs"]).json()["items"]
    assert run["owner"] == "ann"
    bob = guarded.as_(other)
    addresses = [*experiment["links"].values(), *run["links"].values(), f"/v1/runs/{run['id']}/fit"]
    unknown = str(uuid4())
    for address in addresses:
        ask = bob.post if ":" in address else bob.get
        nowhere = address.replace(experiment["id"], unknown).replace(run["id"], unknown)
        refused, missing = problem(ask(address), 404, "not-found"), problem(ask(nowhere), 404, "not-found")
        assert refused["detail"] == missing["detail"]
    side = {"experiment": experiment["id"]}
    problem(bob.post("/v1/compare", json={"a": side, "b": side}), 404, "not-found")
    problem(bob.post(run["links"]["predictions"], json={"inputs": [1.0]}), 404, "not-found")
    for address in ("/v1/experiments", "/v1/runs"):
        assert bob.get(address).json()["items"] == []
    assert bob.get("/v1/queue").json()["waiting"] == []
    assert guarded.as_(mine).get(experiment["links"]["self"]).json()["status"] == "queued"


def test_an_admin_sees_everybodys_and_may_cancel_it(guarded: Guarded) -> None:
    experiment = guarded.submit(guarded.key("cid"))
    admin = guarded.as_(guarded.key("root", "admin"))
    assert admin.get(experiment["links"]["self"]).json()["owner"] == "cid"
    assert experiment["id"] in {each["id"] for each in admin.get("/v1/experiments").json()["items"]}
    assert experiment["id"] in {each["experiment_id"] for each in admin.get("/v1/queue").json()["waiting"]}
    assert admin.post(experiment["links"]["cancel"]).json()["status"] == "cancelled"


def test_what_an_admin_submits_is_the_admins(guarded: Guarded) -> None:
    assert guarded.submit(guarded.key("root", "admin"))["owner"] == "root"


def test_when_a_key_was_used_is_known(guarded: Guarded) -> None:
    key = guarded.key()
    key_id = UUID(key.split("_")[1])
    for _ in range(2):
        assert guarded.as_(key).get("/v1/queue").status_code == 200
    with guarded.database.read() as session:
        row = session.get(ApiKey, key_id)
        assert row is not None
        assert row.last_used_at is not None
        assert row.last_used_at >= row.created_at


def test_while_there_are_no_keys_this_machine_needs_none_and_others_get_nowhere(empty: ApiSettings) -> None:
    with client_of(empty) as client:
        assert client.post("/v1/experiments", json={"spec": SPEC}).json()["owner"] == "local"
    with client_of(empty, host="192.0.2.7") as client:
        problem(client.get("/v1/experiments"), 401, "unauthorized")
        assert client.get("/healthz").status_code == 200


def test_a_key_meant_for_another_service_does_no_harm_where_none_is_asked_for(empty: ApiSettings) -> None:
    with client_of(empty, key="epochd_of_another_service") as client:
        assert client.get("/v1/experiments").status_code == 200


def test_from_the_first_key_on_this_machine_needs_one_too(tmp_path: Path) -> None:
    settings = ApiSettings(data=tmp_path, database_url=None, broker_url="memory://")
    prepare(settings)
    database = Database(make_engine(settings.url))
    with client_of(settings) as client:
        assert client.get("/v1/experiments").status_code == 200
        with database.write() as session:
            row, key = keys.create(session)
        wait_until(lambda: client.get("/v1/experiments").status_code == 401, what="a key is asked for")
        assert client.get("/v1/experiments", headers={"Authorization": f"Bearer {key}"}).status_code == 200
        with database.write() as session:
            keys.revoke(session, row.id)
        answer = client.get("/v1/experiments")
        problem(answer, 401, "unauthorized")
    database.dispose()


@pytest.mark.parametrize("origin", ["http://evil.example", "https://127.0.0.1:8443", "http://[", "null", ""])
def test_without_a_key_pages_of_other_sites_may_change_nothing(empty: ApiSettings, origin: str) -> None:
    with client_of(empty) as client:
        for path in ("/v1/presets/polynomial-normal:run", "/v1/experiments"):
            answer = client.post(path, json={"spec": SPEC}, headers={"Origin": origin})
            problem(answer, 403, "cross-site")
        assert client.get("/v1/experiments", headers={"Origin": origin}).status_code == 200


def test_the_services_own_pages_may_submit(empty: ApiSettings) -> None:
    with client_of(empty) as client:
        answer = client.post("/v1/experiments", json={"spec": SPEC}, headers={"Origin": "http://127.0.0.1"})
        assert answer.status_code == 202


def test_so_many_runs_of_an_owner_may_wait(tmp_path: Path) -> None:
    settings = ApiSettings(data=tmp_path, database_url=None, broker_url="memory://", max_queued_runs=3)
    prepare(settings)
    database = Database(make_engine(settings.url))
    with database.write() as session:
        ann, bob = (keys.create(session, owner=owner)[1] for owner in ("ann", "bob"))
    with client_of(settings, key=ann) as client:
        service = Service(client, database)
        service.submit(seeds=2)
        answer = client.post("/v1/experiments", json={"spec": SPEC, "seeds": 2})
        assert "2 runs" in problem(answer, 429, "queue-full")["detail"]
        assert int(answer.headers["retry-after"]) >= 1
        service.submit()
        problem(client.post("/v1/presets/polynomial-normal:run"), 429, "queue-full")
        theirs = client.post("/v1/experiments", json={"spec": SPEC}, headers={"Authorization": f"Bearer {bob}"})
        assert theirs.status_code == 202
        service.train(lambda _spec: {"train_loss": [1.0]})
        cancelled = service.submit(seeds=3)
        client.post(cancelled["links"]["cancel"])
        service.submit()
        problem(client.post(cancelled["links"]["retry"]), 429, "queue-full")
        service.train(lambda _spec: {"train_loss": [1.0]})
        assert client.post(cancelled["links"]["retry"]).status_code == 202
    database.dispose()


def test_more_runs_than_may_ever_wait_are_refused_at_the_door(tmp_path: Path) -> None:
    settings = ApiSettings(data=tmp_path, database_url=None, broker_url="memory://", max_queued_runs=3)
    prepare(settings)
    with client_of(settings) as client:
        for params in ({}, {"validate_only": True}):
            answer = client.post("/v1/experiments", params=params, json={"spec": SPEC, "seeds": 4})
            assert "3 waiting" in problem(answer, 422, "invalid")["detail"]
