"""Sweeps that have been trained, to ask about."""

import csv
import io
from typing import Any

import numpy as np

from tests.api.service import Metrics, Service

PNG = b"\x89PNG\r\n\x1a\n"
EPOCHS = 6


def losses_of(spec: dict[str, Any]) -> Metrics:
    """Losses that tell every run apart."""
    start = 1 + spec.get("degree", 0) + 10 * spec["weight_decay"] + spec["seed"] / 100 + (spec["fold"] or 0) / 1000
    train = start / np.arange(1, spec["epochs"] + 1)
    return {"train_loss": train, "test_loss": 2 * train}


def sweep(service: Service, **envelope: Any) -> dict[str, Any]:
    """A trained sweep; without more, of two degrees and two λ with three seeds each."""
    grid = {"degree": [7, 3], "lambda": [0, 1]}
    request = {"spec": {"variant": "polynomial", "epochs": EPOCHS}, "grid": grid, "seeds": 3, **envelope}
    experiment = service.submit(**request)
    service.train(losses_of)
    return experiment


def table(service: Service, experiment: dict[str, Any], **params: Any) -> list[dict[str, str]]:
    answer = service.client.get(experiment["links"]["curves"], params={"format": "csv", **params})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    return list(csv.DictReader(io.StringIO(answer.text, newline=""), strict=True))
