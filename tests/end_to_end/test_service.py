"""A service at work, and what it makes of what may go wrong without any process dying."""

import signal
import socket
import subprocess
from pathlib import Path
from uuid import UUID

import httpx2

from store.engine import Database, make_engine
from store.tables import Experiment
from tests.end_to_end.history import assert_told_once
from tests.end_to_end.service import EPOCHD, FINAL, PAUSE, Service, serving
from tests.end_to_end.specs import MLP, POLYNOMIAL, QUICK
from tests.waiting import wait_until


def test_an_experiment_is_trained(service: Service) -> None:
    run = service.wait_for_end(service.submit({**MLP, "epochs": 3}))
    assert (run["status"], run["claims"], run["device"]) == ("succeeded", 1, "cpu")
    assert set(service.weights(run)) == {"last", "best"}
    assert run["metrics"]["test_accuracy"]["last"] > 0.1
    assert_told_once(service, run["experiment_id"])


def test_one_request_id_leads_through_the_logs_of_api_and_worker(service: Service) -> None:
    headers = {"X-Request-ID": "lesson-4.4", "Prefer": "wait=30", "Idempotency-Key": "lesson"}
    answer = service.http.post("/v1/experiments", json={"spec": QUICK}, headers=headers, timeout=40)
    assert (answer.status_code, answer.headers["x-request-id"]) == (201, "lesson-4.4")

    def is_said(end: str, *what: str) -> bool:
        lines = [line for line in service.log().splitlines() if line.endswith(end)]
        return any(all(words in line for words in what) for line in lines)

    wait_until(lambda: is_said("request_id=lesson-4.4", "api: POST /v1/experiments 201"), what="the API's line")
    of_worker = f"request_id=lesson-4.4 experiment_id={answer.json()['id']}"
    wait_until(lambda: is_said(of_worker, "slot-1: job", "is done"), what="the worker's line")


def test_who_answers_goes_before_who_trains(service: Service) -> None:
    assert service.child().nice() > service.slot().nice() == service.api().nice()


def test_a_deleted_experiment_is_removed_from_the_database(service: Service) -> None:
    experiment = service.submit(QUICK)
    run = service.wait_for_end(experiment)
    assert service.http.delete(f"/v1/experiments/{experiment}").status_code == 204
    assert service.http.get(f"/v1/runs/{run['id']}").status_code == 404
    database = Database(make_engine(service.stack.settings(service.data).url))

    def is_left() -> bool:
        with database.read() as session:
            return session.get(Experiment, UUID(experiment)) is not None

    wait_until(lambda: not is_left(), what="it is removed")
    database.dispose()


def test_a_run_of_a_stack_is_cancelled_alone(service: Service) -> None:
    undisturbed, experiment = (service.submit(POLYNOMIAL, seeds=3) for _ in range(2))
    first, cancelled, last = service.runs_of(experiment)
    path = f"/v1/runs/{cancelled['id']}"
    wait_until(lambda: service.get(path)["progress"]["epoch"], 60, "its first epochs", pause=PAUSE)
    assert service.http.post(f"{path}:cancel").status_code == 202
    wait_until(lambda: service.get(path)["status"] == "cancelled", what="it is cancelled", pause=PAUSE)
    counts = service.get(f"/v1/experiments/{experiment}")["runs"]
    assert (counts["total"], counts["running"], counts["cancelled"]) == (3, 2, 1)

    ended = wait_until(
        lambda: now if (now := service.get(f"/v1/experiments/{experiment}"))["status"] in FINAL else None, 60
    )
    assert (ended["status"], ended["runs"]["succeeded"], ended["runs"]["cancelled"]) == ("succeeded", 2, 1)
    before = service.runs_of(undisturbed)
    for run, same in ((first, before[0]), (last, before[2])):
        assert service.series(run) == service.series(same)
        assert service.weights(run) == service.weights(same)
    kept = service.get(path)["progress"]["epoch"]
    assert 1 <= kept < POLYNOMIAL["epochs"]
    assert service.series(cancelled) == {name: values[:kept] for name, values in service.series(before[1]).items()}
    trained = [event.runs for event in assert_told_once(service, experiment) if event.status == "running"]
    assert trained == [3, None]  # one job with all three, and the experiment


def test_a_run_that_diverges_fails_and_keeps_its_curve(service: Service) -> None:
    run = service.wait_for_end(service.submit({"variant": "linear", "learning_rate": 100.0, "epochs": 200}))
    assert (run["status"], run["error"]["kind"]) == ("failed", "diverged")
    epochs = service.get(f"/v1/runs/{run['id']}/curves")["epochs"]
    assert epochs == list(range(1, len(epochs) + 1))
    assert 1 <= len(epochs) < 200
    assert_told_once(service, run["experiment_id"])


def test_a_lost_hint_is_published_again(service: Service) -> None:
    service.child().suspend()
    try:
        wait_until(lambda: not list((service.data / "broker").glob("*.msg")))
        lost = service.submit(QUICK)
        for message in (service.data / "broker").glob("*.msg"):
            message.unlink(missing_ok=True)
    finally:
        service.child().resume()
    assert service.wait_for_end(lost)["status"] == "succeeded"


def test_a_killed_api_comes_back_and_refuses_nobody(service: Service) -> None:
    api = service.api()
    api.kill()
    api.wait(5)
    answer = httpx2.get(f"{service.url}/healthz", timeout=20)  # the socket is the supervisor's: it waits there
    assert answer.status_code == 200
    service.reconnect()
    assert service.wait_for_end(service.submit(QUICK))["status"] == "succeeded"


def test_a_second_service_is_refused(service: Service) -> None:
    second = subprocess.run(
        [EPOCHD, "up", "--port", "0", "--data", service.data], capture_output=True, text=True, timeout=30, check=False
    )
    assert second.returncode == 1
    assert "in use by another epochd service" in second.stderr
    assert "Traceback" not in second.stderr
    assert service.wait_for_end(service.submit(QUICK))["status"] == "succeeded"


def test_an_occupied_port_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as occupied:
        port = str(occupied.getsockname()[1])
        refused = subprocess.run(
            [EPOCHD, "up", "--port", port, "--data", tmp_path], capture_output=True, text=True, timeout=30, check=False
        )
    assert refused.returncode == 1
    assert f"port {port}" in refused.stderr
    assert "--port" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_damaged_data_set_fails_the_run_with_a_reason_and_no_path(data: Path) -> None:
    damaged = data / "FashionMNIST" / "raw" / "train-labels-idx1-ubyte"
    content = bytearray(damaged.read_bytes())
    content[-1] ^= 1
    damaged.write_bytes(content)
    with serving(data) as service:
        run = service.wait_for_end(service.submit({**MLP, "epochs": 1}))
        assert (run["status"], run["error"]["kind"], run["claims"]) == ("failed", "dataset", 1)
        assert "Fashion-MNIST" in run["error"]["detail"]
        assert str(data) not in run["error"]["detail"]
        assert service.stop(signal.SIGINT) == 0
