"""What tests of the API do again and again: submit over HTTP, and train through the store as a worker would."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

import numpy as np
from fastapi.testclient import TestClient
from safetensors.numpy import save
from sqlalchemy import update

from api import curves
from api.app import create_app
from api.settings import ApiSettings
from store import checkpoints, flushes, jobs, runs, workers
from store.curves import Curve, Segment
from store.engine import Database
from store.jobs import Claim
from store.status import Status
from store.tables import Run

LEASE = 60.0
Values = list[float]
Metrics = Mapping[str, Sequence[float] | np.ndarray]


def client_of(settings: ApiSettings, host: str = "127.0.0.1", key: str | None = None) -> TestClient:
    """A client of an API of its own, which it reaches at this address or name; to be used as a context manager."""
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    return TestClient(create_app(settings), base_url=f"http://{host}", headers=headers)


@dataclass(frozen=True)
class Service:
    """A client, and the hands of a worker."""

    client: TestClient
    database: Database

    def submit(self, spec: dict[str, Any] | None = None, **envelope: Any) -> dict[str, Any]:
        """Post an experiment; return it as the API answers."""
        answer = self.client.post("/v1/experiments", json={"spec": spec or {"variant": "polynomial"}, **envelope})
        assert answer.status_code == 202, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def run_of(self, experiment: dict[str, Any]) -> dict[str, Any]:
        """The experiment's first run, as lists show it."""
        found: dict[str, Any] = self.get(f"/v1/experiments/{experiment['id']}/runs")["items"][0]
        return found

    def get(self, path: str, **params: Any) -> Any:
        """Fetch JSON that has to be there."""
        answer = self.client.get(path, params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def heartbeat(self, *queues: str, name: str = "slot-1", **card: Any) -> None:
        """Say that a worker lives."""
        details = {"pid": 1, "hostname": "here", "device": "cpu", "threads": 1, **card}
        with self.database.write() as session:
            workers.heartbeat(session, name=name, queues=queues or ("cpu",), **details)

    def claim(self) -> Claim:
        """Take up the next job."""
        claim = self.try_claim()
        assert claim is not None
        return claim

    def try_claim(self) -> Claim | None:
        """Take up the next job, if there is one."""
        with self.database.write() as session:
            return jobs.claim(session, worker="slot-1", queues=("cpu",), lease_seconds=LEASE, device="cpu", threads=2)

    def store(self, claim: Claim, epochs: list[int], **metrics: Values) -> None:
        """Store epochs of the claim's first run."""
        series = {name: np.array(values, dtype=np.float64) for name, values in metrics.items()}
        segment = Segment(claim.runs[0].run_id, np.array(epochs, dtype=np.int64), series)
        with self.database.write() as session:
            flushes.write(session, claim, [segment], LEASE)

    def keep(
        self, claim: Claim, kind: Literal["last", "best", "epoch"], epoch: int, tensors: dict[str, np.ndarray]
    ) -> bytes:
        """Store weights of the claim's first run; return their bytes."""
        data: bytes = save(tensors)
        with self.database.write() as session:
            checkpoints.put(session, claim, run_id=claim.runs[0].run_id, kind=kind, epoch=epoch, data=data)
        return data

    def finish(
        self,
        claim: Claim,
        status: Status = Status.SUCCEEDED,
        summary: dict[str, Any] | None = None,
        error: dict[str, str] | None = None,
        result_key: str | None = None,
    ) -> None:
        """End the claim's first run."""
        with self.database.write() as session:
            assert runs.finish(session, claim, claim.runs[0].run_id, status, summary or {}, error, result_key)

    def end(self, claim: Claim, ends: Mapping[UUID, str]) -> None:
        """End some runs of the claim, without metrics."""
        with self.database.write() as session:
            runs.finish_all(session, claim, [runs.Outcome(run_id, Status(end), {}) for run_id, end in ends.items()])

    def mark_reused(self, run_id: str, earlier: UUID) -> None:
        """Let a run have the result of an earlier one."""
        with self.database.write() as session:
            session.execute(update(Run).where(Run.id == UUID(run_id)).values(reused_from=earlier))

    def train(
        self, curve_of: Callable[[dict[str, Any]], Metrics], outcome_of: Callable[[dict[str, Any]], str] | None = None
    ) -> None:
        """Train all that waits: each run gets the metrics that its spec has here, from epoch 1 on, and ends.

        `outcome_of` says how: succeeded, failed, diverged, cancelled (each with its curve), or running.
        """
        while (claim := self.try_claim()) is not None:
            segments = {run.run_id: segment(run.run_id, curve_of(run.spec)) for run in claim.runs}
            ends = {run.run_id: "succeeded" if outcome_of is None else outcome_of(run.spec) for run in claim.runs}
            with self.database.write() as session:
                flushes.write(session, claim, [one for one in segments.values() if len(one.epochs)], LEASE)
                runs.finish_all(
                    session,
                    claim,
                    [_outcome(segments[run_id], end) for run_id, end in ends.items() if end != "running"],
                )

    def trained(self, spec: dict[str, Any], tensors: dict[str, np.ndarray], **envelope: Any) -> UUID:
        """A run that has succeeded after two epochs, with these weights as its last and best."""
        self.submit(spec, **envelope)
        claim = self.claim()
        self.store(claim, [1, 2], train_loss=[3.0, 1.0], test_loss=[4.0, 2.0])
        self.keep(claim, "last", 2, tensors)
        self.keep(claim, "best", 1, tensors)
        summary = {"test_loss": {"last": 2.0, "min": 2.0, "min_epoch": 2, "max": 4.0}}
        self.finish(claim, summary=summary)
        return claim.runs[0].run_id


def segment(run_id: UUID, metrics: Metrics, first: int = 1) -> Segment:
    """A run's metrics from the first of these epochs on."""
    series = {name: np.asarray(values, np.float64) for name, values in metrics.items()}
    return Segment(run_id, first + np.arange(len(next(iter(series.values()), ()))), series)


def _outcome(segment: Segment, end: str) -> runs.Outcome:
    status = Status.FAILED if end == "diverged" else Status(end)
    error = {"kind": "diverged" if end == "diverged" else "crashed", "detail": "It ended early."}
    summary = curves.metrics(Curve(segment.epochs, dict(segment.metrics)))
    return runs.Outcome(segment.run_id, status, summary, error if status == Status.FAILED else None)


def problem(answer: Any, status: int, slug: str) -> dict[str, Any]:
    """The document, once it is certain that it is a whole one."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    found: dict[str, Any] = answer.json()
    assert found["type"] == f"/problems/{slug}"
    assert found["status"] == status
    assert found["title"]
    assert found["detail"]
    assert found["request_id"] == answer.headers["x-request-id"]
    return found
