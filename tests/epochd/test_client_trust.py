"""What a client relies on: submissions are made once, events come once, and what is deleted is gone."""

import http.server
import threading
from collections.abc import Sequence
from uuid import uuid4

import httpx2
import pytest
from typer.testing import CliRunner

from epochd import Client, EpochdError, Event
from epochd.commands import app

QUICK = {"variant": "polynomial", "epochs": 20}


def test_the_events_of_an_experiment_come_once_and_lead_to_its_end(client: Client) -> None:
    experiment = client.submit({**QUICK, "epochs": 2000})

    told = list(client.events(experiment["id"], metric="train_loss"))

    assert _epochs(told) == list(range(1, 2001))
    assert told[-1].data == {"reason": "finished", "status": "succeeded"}
    place = next(number for number, event in enumerate(told) if event.kind == "metrics")
    rest = list(client.events(experiment["id"], told[place].id))
    assert _epochs(rest) == _epochs(told[place + 1 :])
    assert [event.id for event in rest if event.kind in ("status", "end")] == [
        event.id for event in told[place:] if event.kind in ("status", "end")
    ]


def test_nothing_comes_after_the_end(client: Client) -> None:
    experiment = client.submit(QUICK, wait=30)
    end = list(client.events(experiment["id"]))[-1]

    assert end.kind == "end"
    assert list(client.events(experiment["id"], last_id=end.id)) == []


def _epochs(told: Sequence[Event]) -> list[int]:
    return [epoch for event in told if event.kind == "metrics" for epoch in event.data["runs"][0]["epochs"]]


def test_following_what_is_not_there_is_an_error(client: Client) -> None:
    with pytest.raises(EpochdError, match="404"):
        next(client.events("0198a000-0000-7000-8000-000000000000"))


def test_an_experiment_is_watched_from_the_command_line(client: Client, service: str) -> None:
    experiment = client.submit(QUICK)

    watched = CliRunner().invoke(app, ["watch", experiment["id"], "--url", service])

    assert watched.exit_code == 0, watched.output
    assert "experiment queued: submitted" in watched.output
    assert "experiment succeeded" in watched.output
    client.delete(experiment["id"])
    gone = CliRunner().invoke(app, ["watch", experiment["id"], "--url", service])
    assert gone.exit_code == 1
    assert "404" in gone.output


def test_submitting_can_wait_for_the_end(client: Client) -> None:
    assert client.submit(QUICK, wait=30)["status"] == "succeeded"


def test_the_same_key_submits_once(client: Client) -> None:
    first, again = (client.submit(QUICK, idempotency_key=f"suite-{id(client)}") for _ in range(2))

    assert first["id"] == again["id"]


def test_a_uuid_is_a_key_as_its_text_is(client: Client) -> None:
    key = uuid4()
    first, again = (client.submit(QUICK, idempotency_key=each) for each in (key, str(key)))

    assert first["id"] == again["id"]


def test_a_submission_whose_answer_is_lost_is_sent_again_and_made_once(client: Client, service: str) -> None:
    answers: list[httpx2.Response] = []

    class Lossy(http.server.BaseHTTPRequestHandler):
        """Passes requests on, and lets the connection break where the first answer is due."""

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name: self.headers[name] for name in ("Content-Type", "Idempotency-Key")}
            answers.append(httpx2.post(service + self.path, content=body, headers=headers))
            if len(answers) > 1:
                self.send_response(answers[-1].status_code)
                self.send_header("Content-Length", str(len(answers[-1].content)))
                self.end_headers()
                self.wfile.write(answers[-1].content)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with http.server.HTTPServer(("127.0.0.1", 0), Lossy) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        with Client(f"http://127.0.0.1:{server.server_port}") as unlucky:
            experiment = unlucky.submit(QUICK, name="answer lost")
        server.shutdown()
        thread.join()

    assert [answer.json()["id"] for answer in answers] == [experiment["id"]] * 2
    assert [each["id"] for each in client.experiments(q="answer lost")] == [experiment["id"]]


def test_experiments_are_renamed_and_deleted(client: Client) -> None:
    experiment = client.submit(QUICK, wait=30)

    assert client.update(experiment["id"], name="kept", tags={"a": "b"})["tags"] == {"a": "b"}
    client.delete(experiment["id"])
    with pytest.raises(EpochdError, match="404"):
        client.experiment(experiment["id"])
