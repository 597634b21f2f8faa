"""What the client makes of answers that are no success, or none of the service's."""

import http.server
import threading

import pytest

from epochd import Client, EpochdError
from tests.epochd.command_line import nobodys_address


def test_a_refusal_is_an_error_that_says_what_is_wrong_and_where(client: Client) -> None:
    with pytest.raises(EpochdError) as caught:
        client.submit({"variant": "polynomial", "epochs": 0})

    assert caught.value.status == 422
    assert caught.value.errors[0]["pointer"] == "/spec/epochs"
    assert "/spec/epochs" in str(caught.value)
    assert caught.value.document["request_id"]


def test_an_unknown_id_is_an_error(client: Client) -> None:
    with pytest.raises(EpochdError, match=r"^404 Not found: ") as caught:
        client.experiment("0198a000-0000-7000-8000-000000000000")

    assert caught.value.status == 404
    assert caught.value.errors == []


def test_no_answer_is_an_error_that_names_the_address() -> None:
    address = nobodys_address()

    with Client(address) as client, pytest.raises(EpochdError, match=address) as caught:
        client.ready()

    assert caught.value.status is None


@pytest.mark.parametrize("status", [502, 200])
@pytest.mark.parametrize("body", [b"<html>A page</html>", b"[1, 2]", b"", b"\xff\xfe"])
def test_an_answer_of_something_else_is_an_error_too(status: int, body: bytes) -> None:
    class Gateway(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with http.server.HTTPServer(("127.0.0.1", 0), Gateway) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        with (
            Client(f"http://127.0.0.1:{server.server_port}") as client,
            pytest.raises(EpochdError, match=str(status)) as caught,
        ):
            client.ready()
        thread.join()

    assert caught.value.status == status


@pytest.mark.parametrize("key", ["secret", "secret ", " secret\n"])
def test_the_key_travels_as_a_bearer_token(key: str) -> None:
    received: list[str | None] = []

    class Keeper(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            received.append(self.headers["Authorization"])
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with http.server.HTTPServer(("127.0.0.1", 0), Keeper) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        with Client(f"http://127.0.0.1:{server.server_port}", key=key) as client:
            client.ready()
        thread.join()

    assert received == ["Bearer secret"]


@pytest.mark.parametrize("key", ["secret…", "secret key", "secret\nkey", "secret\x00"])
def test_a_key_that_cannot_be_sent_is_refused_and_not_shown(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(EpochdError, match="--key or EPOCHD_KEY") as caught:
        Client(nobodys_address(), key)
    assert "secret" not in str(caught.value)
    monkeypatch.setenv("EPOCHD_KEY", key.replace("\x00", "\x01"))
    with pytest.raises(EpochdError, match="--key or EPOCHD_KEY"):
        Client(nobodys_address())


@pytest.mark.parametrize("key", ["lesson…", " lesson", "lesson\n"])
def test_an_idempotency_key_that_cannot_be_sent_is_refused(key: str) -> None:
    with Client(nobodys_address()) as client, pytest.raises(EpochdError, match="idempotency key"):
        client.submit({"variant": "polynomial"}, idempotency_key=key)


@pytest.mark.parametrize("address", ["", "foo", "127.0.0.1:8000", "ftp://127.0.0.1", "http://", "http://[::1"])
def test_an_address_that_is_none_is_refused_at_once(address: str) -> None:
    with pytest.raises(EpochdError, match="is no address of a service"):
        Client(address)
