"""What is trained: thousands of short runs in small jobs, of a few kinds, so that like runs can be compared."""

import contextlib
import itertools
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any, Final
from uuid import UUID, uuid5

import httpx2

Json = dict[str, Any]

PATIENCE_SECONDS: Final = 60.0
RETRY_SECONDS: Final = 0.1
LOOK_SECONDS: Final = 0.02
KINDS: Final[list[Json]] = [
    {"variant": "linear", "epochs": 60},
    {"variant": "linear", "epochs": 60, "implementation": "concise", "weight_decay": 3},
    {"variant": "polynomial", "epochs": 800},
    {"variant": "polynomial", "epochs": 2000, "degree": 19, "weight_decay": 0.01, "penalty": "l1"},
    {"variant": "polynomial", "epochs": 300, "implementation": "concise", "degree": 1},
    {"variant": "mlp", "epochs": 6, "hidden": [32, 16], "dropout": [0.2, 0.5], "n_train": 500, "n_test": 200},
]


def requests(seed: int, jobs: int, runs: int) -> Iterator[Json]:
    """Draw a request for each job; each has at least one run, a seed each, and together they have `runs`."""
    random = Random(seed)  # noqa: S311 - to be repeated
    for number in range(jobs):
        seeds = runs // jobs + (number < runs % jobs)
        yield {"spec": {"reuse": False, **random.choice(KINDS)}, "seeds": seeds, "tags": {"chaos": str(number)}}


class Submitter:
    """Submits jobs up to an allowed number, each until it is accepted, and writes down what was accepted."""

    def __init__(self, url: str, asked: Iterator[Json], accepted: Path, seed: int) -> None:
        self._url = url
        self._asked = asked
        self._accepted = accepted
        self._seed = seed
        self._allowed = 0
        self._given_up = threading.Event()
        self._thread = threading.Thread(target=self._submit_all, name="submitter", daemon=True)
        self._accepted.touch()
        self._thread.start()

    def allow(self, jobs: int) -> None:
        """Let it submit until there are so many."""
        self._allowed = jobs

    def give_up(self) -> None:
        """Submit nothing more."""
        self._given_up.set()
        self._thread.join(PATIENCE_SECONDS)

    def finish(self) -> None:
        """Wait until everything has been accepted; raises RuntimeError when that did not come to be."""
        self._thread.join()
        if self._given_up.is_set():
            raise RuntimeError("the API did not accept a submission in time")

    def _submit_all(self) -> None:
        with self._accepted.open("a", encoding="utf-8") as accepted:
            for number, request in enumerate(self._asked, 1):
                while number > self._allowed and not self._given_up.wait(LOOK_SECONDS):
                    pass
                if self._given_up.is_set():
                    return
                accepted.write(f"{self._submit(number, request)} {request['seeds']}\n")
                accepted.flush()

    def _submit(self, number: int, request: Json) -> str:
        """Send the same request under the same key until it is answered, as a careful client does."""
        key = str(uuid5(UUID(int=self._seed), str(number)))
        deadline = time.monotonic() + PATIENCE_SECONDS
        for _ in itertools.takewhile(lambda _: time.monotonic() < deadline, itertools.count()):
            with contextlib.suppress(httpx2.TransportError):
                answer = httpx2.post(
                    f"{self._url}/v1/experiments", json=request, headers={"Idempotency-Key": key}, timeout=10
                )
                if answer.status_code < httpx2.codes.INTERNAL_SERVER_ERROR:
                    return str(answer.raise_for_status().json()["id"])
            time.sleep(RETRY_SECONDS)
        self._given_up.set()
        raise RuntimeError(f"submission {number} was not answered within {PATIENCE_SECONDS:g} s")
