"""GET /v1/experiments/{id}/events."""

import json
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from api import event_stream
from api.settings import ApiSettings
from store.engine import Database
from tests.api.live import Live, follow, serving
from tests.api.service import Service, problem
from tests.waiting import wait_until

SHORT = {"variant": "polynomial", "epochs": 3}


@pytest.fixture(scope="module")
def shared_live(settings: ApiSettings) -> Iterator[Live]:
    with serving(settings) as live:
        yield live


@pytest.fixture
def live(shared_live: Live, database: Database) -> Live:
    return shared_live


def trained(service: Service, **envelope: Any) -> dict[str, Any]:
    experiment = service.submit(SHORT, **envelope)
    service.train(lambda _: {"train_loss": [3.0, 2.0, 1.0]})
    return experiment


def events_of(experiment: dict[str, Any]) -> str:
    return str(experiment["links"]["events"])


def test_the_whole_history_of_a_finished_experiment_comes_and_ends(service: Service) -> None:
    experiment = trained(service, seeds=2)
    with service.client.sse(events_of(experiment)) as source:
        assert source.response.headers["content-type"].startswith("text/event-stream")
        assert source.response.headers["cache-control"] == "no-store"
        told = list(source)
    assert [event.event for event in told] == ["status", "status", "metrics", "status", "progress", "end"]
    progress, end = json.loads(told[-2].data), json.loads(told[-1].data)
    assert progress["status"] == "succeeded"
    assert progress["runs"]["succeeded"] == 2
    assert progress["progress"]["fraction"] == 1
    assert end == {"reason": "finished", "status": "succeeded"}
    assert [run["epochs"] for run in json.loads(told[2].data)["runs"]] == [[1, 2, 3]] * 2


def test_who_has_had_the_end_is_told_not_to_come_back(service: Service) -> None:
    experiment = trained(service)
    *_, before, _, end = follow(service.client, events_of(experiment))
    answer = service.client.get(events_of(experiment), headers={"Last-Event-ID": end.id})
    assert (answer.status_code, answer.content) == (204, b"")
    again = list(follow(service.client, events_of(experiment), before.id))
    assert [event.event for event in again] == ["progress", "end"]


def test_the_last_id_can_be_in_the_address(service: Service) -> None:
    path = events_of(trained(service))
    whole = [event.id for event in follow(service.client, path)]
    assert [event.id for event in follow(service.client, path, last_event_id=whole[1])][:2] == whole[2:4]


def test_a_head_is_answered_at_once(live: Live, service: Service) -> None:
    with live.client() as client:
        assert client.head(events_of(service.submit())).status_code == 200


@pytest.mark.parametrize("last_id", ["x", "99"])
def test_a_made_up_id_is_pointed_out(service: Service, last_id: str) -> None:
    answer = service.client.get(events_of(service.submit()), headers={"Last-Event-ID": last_id})
    found = problem(answer, 422, "invalid")
    assert [(error["in"], error["pointer"]) for error in found["errors"]] == [("header", "/Last-Event-ID")]


def test_more_than_fifty_runs_are_refused(service: Service) -> None:
    run = service.run_of(experiment := service.submit())
    answer = service.client.get(events_of(experiment), params={"run": [run["id"]] * 51})
    assert [error["pointer"] for error in problem(answer, 422, "invalid")["errors"]] == ["/run"]


def test_an_unknown_experiment_has_no_events(service: Service) -> None:
    problem(service.client.get("/v1/experiments/0198a000-0000-7000-8000-000000000000/events"), 404, "not-found")


def test_what_happens_comes_when_it_happens(live: Live, service: Service) -> None:
    experiment = service.submit(SHORT)
    with live.client() as client:
        told = follow(client, events_of(experiment))
        assert [next(told).event for _ in range(2)] == ["status", "progress"]
        claim = service.claim()
        assert json.loads(next(told).data)["changes"][0]["status"] == "running"
        assert json.loads(next(told).data)["status"] == "running"
        service.store(claim, [1, 2], train_loss=[3.0, float("nan")])
        assert json.loads(next(told).data)["runs"][0]["series"]["train_loss"] == [3.0, None]
        assert json.loads(next(told).data)["progress"]["epochs_done"] == 2
        service.finish(claim)
        assert [event.event for event in told] == ["status", "progress", "end"]


def test_a_restart_of_the_api_leaves_neither_gap_nor_repeat(settings: ApiSettings, service: Service) -> None:
    experiment = service.submit({**SHORT, "epochs": 40})
    claim = service.claim()
    told: list[Any] = []

    def train() -> None:
        for epoch in range(1, 41):
            service.store(claim, [epoch], train_loss=[1 / epoch])
            wait_until(lambda: epochs_in(told)[-1:] == [epoch] or epoch % 4)  # noqa: B023
        service.finish(claim)

    with serving(settings) as live:
        training = threading.Thread(target=train)
        training.start()
        while not told or told[-1].event != "end":
            last_id = next((event.id for event in reversed(told) if event.id), None)
            with live.client() as client:
                seen = len(told)
                for event in follow(client, events_of(experiment), last_id):
                    told.append(event)
                    if event.event == "metrics" and len(told) > seen + 6 and epochs_in(told)[-1] < 30:
                        threading.Thread(target=live.stop).start()
            if told[-1].event != "end":
                wait_until(lambda: not live._thread.is_alive())  # type: ignore[union-attr]
                live.start()
        training.join()
    assert epochs_in(told) == list(range(1, 41))
    ids = [event.id for event in told if event.event in ("status", "metrics")]
    assert len(set(ids)) == len(ids)


def epochs_in(told: list[Any]) -> list[int]:
    metrics = [json.loads(event.data) for event in told if event.event == "metrics"]
    return [epoch for message in metrics for run in message["runs"] for epoch in run["epochs"]]


def test_silence_is_broken_by_comments(live: Live, service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_stream, "HEARTBEAT_SECONDS", 0.02)
    with live.client() as client, client.stream("GET", events_of(service.submit())) as answer:
        lines = answer.iter_lines()
        wait_until(lambda: next(lines) == ":" and next(lines) == "" and next(lines) == ":")


def test_deleting_ends_the_stream(live: Live, service: Service) -> None:
    experiment = service.submit(SHORT)
    claim = service.claim()
    with live.client() as client:
        told = follow(client, events_of(experiment))
        wait_until(lambda: next(told).event == "progress")
        problem(client.delete(experiment["links"]["self"]), 409, "still-running")
        waiting = service.submit(SHORT)
        other = follow(client, events_of(waiting))
        wait_until(lambda: next(other).event == "progress")
        assert client.delete(waiting["links"]["self"]).status_code == 204
        *_, last = other
        assert json.loads(last.data) == {"reason": "deleted", "status": None}
        service.finish(claim)
        *_, last = told
        assert json.loads(last.data) == {"reason": "finished", "status": "succeeded"}


def test_clients_that_are_gone_leave_nothing_behind(live: Live, service: Service) -> None:
    path = events_of(service.submit())
    before = live.waiting()
    clients = [live.client() for _ in range(20)]
    streams = [follow(client, path) for client in clients]
    for stream in streams:
        next(stream)
    assert live.waiting() == before + 20
    for stream in streams:
        stream.close()
    for client in clients:
        client.close()
    wait_until(lambda: live.waiting() == before, what="their streams have ended")


def test_a_client_that_reads_nothing_harms_nobody(live: Live, service: Service) -> None:
    experiment = service.submit({**SHORT, "epochs": 20_000}, seeds=40)
    claim = service.claim()
    host, port = live.address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as deaf, live.client() as client:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.sendall(f"GET {events_of(experiment)} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        told = follow(client, events_of(experiment))
        wait_until(lambda: next(told).event == "progress")
        done = 0
        for first in range(1, 20_000, 4000):
            service.store(claim, list(range(first, first + 4000)), train_loss=[1.0 / epoch for epoch in range(1, 4001)])
            done += 4000
            reached = 0
            while reached < done:
                event = next(told)
                reached = json.loads(event.data)["progress"]["epochs_done"] if event.event == "progress" else reached
        for run in claim.runs:
            service.end(claim, {run.run_id: "succeeded"})
        assert [event.event for event in told][-1] == "end"
    wait_until(lambda: live.waiting() == 0, what="its stream has ended")
