"""Requests to the service and what comes back: JSON documents, bytes, or an error."""

import json
import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from types import TracebackType
from typing import Any, Final, Self
from uuid import UUID, uuid4

import httpx2

Json = dict[str, Any]
Query = str | int | Sequence[str]

TIMEOUT_SECONDS: Final = 30.0
TIMEOUT: Final = httpx2.Timeout(TIMEOUT_SECONDS, connect=5)
PAUSES: Final = (0.2, 1.0)
"""Seconds before what can safely be sent again is sent again, when no answer came."""

STREAM_TIMEOUT: Final = httpx2.Timeout(45, connect=5)  # the service breaks its silence every 15 s
RECONNECT_SECONDS: Final = 1.0
MOST_FAILURES: Final = 30  # connections in a row that bring nothing

KEY: Final = re.compile(r"[!-~]+")
SENDABLE: Final = re.compile(r"[!-~]([ -~]*[!-~])?")
"""What a header can say: printable ASCII, without blanks at its ends."""


@dataclass(frozen=True)
class Event:
    """A message of an experiment's stream."""

    kind: str
    """status, metrics, progress or end."""
    data: Json
    id: str
    """What to go on after, with another call."""


class EpochdError(Exception):
    """The service refused a request or did not answer; carries its problem document (RFC 9457)."""

    def __init__(self, status: int | None, title: str, detail: str = "", document: Json | None = None) -> None:
        self.status = status
        """The HTTP status; None when there was no answer."""
        self.title = title
        """What kind of problem it is."""
        self.detail = detail
        """What it is in this case."""
        self.document = document or {}
        """The whole problem document; `type` is a page that explains it, `request_id` finds it in the service's log."""
        self.errors: list[dict[str, str]] = self.document.get("errors", [])
        """For 422: where in the request (`pointer`) what is wrong (`detail`)."""
        super().__init__(self._sentence())

    def _sentence(self) -> str:
        head = self.title if self.status is None else f"{self.status} {self.title}"
        if self.errors:  # the detail sums them up
            places = [f"{error.get('pointer') or 'the document'}: {error.get('detail', '')}" for error in self.errors]
            return "\n  ".join([f"{head}:", *places])
        return f"{head}: {self.detail}" if self.detail else head


def with_way_out(problem: EpochdError, way_out: str) -> str:
    """Return what is wrong and, as a sentence of its own, what to do."""
    return f"{str(problem).rstrip('.')}. {way_out}"


class NoAnswer(EpochdError):
    """The service did not answer."""

    def __init__(self, base_url: httpx2.URL, error: httpx2.RequestError) -> None:
        super().__init__(None, f"No answer from {base_url}", str(error))


class Transport:
    """The connections to one service; a context manager, or `close()` it."""

    def __init__(self, base_url: str, key: str | None = None) -> None:
        headers = _authorization(key or os.environ.get("EPOCHD_KEY") or "")
        self._http = httpx2.Client(base_url=_address(base_url), headers=headers, timeout=TIMEOUT)

    def __enter__(self) -> Self:
        """Return the client itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the connections."""
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _pages(self, path: str, query: Mapping[str, Query]) -> Iterator[Json]:
        page = self._json("GET", path, params=query)
        yield from page["items"]
        while token := page.get("next_page_token"):
            page = self._json("GET", path, params={**query, "page_token": token})
            yield from page["items"]

    def _events(self, path: str, query: Mapping[str, Query], last_id: str | None) -> Iterator[Event]:
        """Yield events up to the last, connecting again where the connection ended before; not where none was made."""
        failures, has_heard = 0, False
        while True:
            try:
                for event in self._connected(path, query, last_id):
                    if event is None:
                        return
                    yield event
                    failures, last_id, has_heard = 0, event.id, True
                    if event.kind == "end":
                        return
            except EpochdError as error:
                failures += 1
                may_pass = error.status == HTTPStatus.SERVICE_UNAVAILABLE or (error.status is None and has_heard)
                if failures > MOST_FAILURES or not may_pass:
                    raise
            time.sleep(RECONNECT_SECONDS)

    def _connected(self, path: str, query: Mapping[str, Query], last_id: str | None) -> Iterator[Event | None]:
        """Yield the events of one connection; None where the service says that nothing comes after `last_id`."""
        headers = {} if last_id is None else {"Last-Event-ID": last_id}
        options: dict[str, Any] = {"params": query, "headers": headers, "timeout": STREAM_TIMEOUT}
        try:
            with self._http.sse(path, **options, max_event_size=None) as source:
                if source.response.is_error:
                    source.response.read()
                    raise _refusal(source.response)
                if source.response.status_code == HTTPStatus.NO_CONTENT:
                    yield None
                    return
                for message in source:
                    yield Event(message.event, json.loads(message.data), message.id or last_id or "")
        except httpx2.RequestError as error:
            raise NoAnswer(self._http.base_url, error) from error

    def _json(self, method: str, path: str, **options: Any) -> Json:  # noqa: ANN401 - httpx2's own options
        response = self._request(method, path, **options)
        document = _document(response)
        if document is None:
            raise EpochdError(
                response.status_code, f"Not an answer of epochd at {self._http.base_url}", response.text[:200]
            )
        return document

    def _submit(self, path: str, body: Json, *, wait: int | None, key: str | UUID | None) -> Json:
        """Post what makes something new; the same key with each attempt, so that it is made once."""
        headers = {"Idempotency-Key": _sendable(key or uuid4()), **({"Prefer": f"wait={wait}"} if wait else {})}
        timeout = httpx2.Timeout(TIMEOUT_SECONDS + (wait or 0), connect=5)
        for pause in PAUSES:
            try:
                return self._json("POST", path, json=body, headers=headers, timeout=timeout)
            except EpochdError as error:
                if error.status is not None:
                    raise
            time.sleep(pause)
        return self._json("POST", path, json=body, headers=headers, timeout=timeout)

    def _bytes(self, path: str, query: Mapping[str, Query]) -> bytes:
        return self._request("GET", path, params=query).content

    def _request(self, method: str, path: str, **options: Any) -> httpx2.Response:  # noqa: ANN401
        try:
            response = self._http.request(method, path, **options)
        except httpx2.RequestError as error:
            raise NoAnswer(self._http.base_url, error) from error
        if response.is_error:
            raise _refusal(response)
        return response


def _address(base_url: str) -> httpx2.URL:
    """Return the address of a service; raises EpochdError for what is none."""
    try:
        address = httpx2.URL(base_url)
    except httpx2.InvalidURL as error:
        raise EpochdError(None, f"{base_url} is no address of a service", str(error)) from error
    if address.scheme not in ("http", "https") or not address.host:
        wanted = "it begins with http:// or https:// and a host, such as http://127.0.0.1:8000"
        raise EpochdError(None, f"{base_url or 'An empty text'} is no address of a service", wanted)
    return address


def _authorization(key: str) -> dict[str, str]:
    """Return the header that a key travels in, none for no key; raises EpochdError, without the key, for what is none.

    Line ends and blanks around it come from files and from copying.
    """
    key = key.strip()
    if key and KEY.fullmatch(key) is None:
        wanted = "it has a blank or a character that no key has; give it with --key or EPOCHD_KEY as it was shown"
        raise EpochdError(None, "The API key cannot be sent", wanted)
    return {"Authorization": f"Bearer {key}"} if key else {}


def _sendable(key: str | UUID) -> str:
    """Return an idempotency key as text; raises EpochdError for what no header can say."""
    if SENDABLE.fullmatch(str(key)) is None:
        wanted = "it is printable ASCII, without blanks at its ends, such as a UUID"
        raise EpochdError(None, f"The idempotency key {str(key)!r} cannot be sent", wanted)
    return str(key)


def _document(response: httpx2.Response) -> Json | None:
    """Return the JSON object that is the answer; None when it is something else, perhaps from a proxy on the way."""
    try:
        document = response.json()
    except ValueError:
        return None
    return document if isinstance(document, dict) else None


def _refusal(response: httpx2.Response) -> EpochdError:
    document = _document(response)
    if document is None:
        return EpochdError(response.status_code, response.reason_phrase, response.text[:200])
    title = str(document.get("title", response.reason_phrase))
    return EpochdError(response.status_code, title, str(document.get("detail", "")), document)
