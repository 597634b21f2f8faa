"""A stack that does not fit is trained in halves; the fault point is a Training that has room for so many runs."""

from collections.abc import Iterator
from threading import Event
from typing import Any

import numpy as np
import pytest
import torch
from sqlalchemy import func, select

from mlcore.training import EpochReport, Tick, Training
from store import curves, events
from store.engine import Database
from store.history import SPLIT
from store.tables import Job
from tests.worker.conftest import Submit, run_of, statuses
from worker.execution import Trainer
from worker.settings import WorkerSettings

POLYNOMIAL = {"variant": "polynomial", "epochs": 60, "reuse": False}


def make_room_for(runs: int, monkeypatch: pytest.MonkeyPatch, *, after_epoch: int = 0) -> None:
    """Let a larger stack run out of memory, when it is laid out or after an epoch."""

    class Small(Training):
        def __init__(self, specs: Any, **options: Any) -> None:
            if not after_epoch:
                self._check(specs)
            super().__init__(specs, **options)

        def __iter__(self) -> Iterator[EpochReport | Tick]:
            for report in super().__iter__():
                yield report
                if after_epoch and self.epoch >= after_epoch:
                    self._check(self.specs)

        @staticmethod
        def _check(specs: Any) -> None:
            if len(specs) > runs:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 3.00 GiB.")

    monkeypatch.setattr("worker.execution.Training", Small)


def train(database: Database, settings: WorkerSettings) -> None:
    Trainer(database, settings, "slot", 1, Event()).work()


def final_losses(database: Database, ids: list[Any]) -> list[float]:
    with database.read() as session:
        return [float(curves.read(session, run).series["test_loss"][-1]) for run in ids]


@pytest.mark.parametrize("after_epoch", [0, 20])
def test_a_stack_that_does_not_fit_is_trained_in_parts(
    database: Database, settings: WorkerSettings, submit: Submit, monkeypatch: pytest.MonkeyPatch, after_epoch: int
) -> None:
    specs = [POLYNOMIAL | {"data_seed": seed} for seed in range(5)]
    whole = submit(*specs)
    train(database, settings)
    make_room_for(2, monkeypatch, after_epoch=after_epoch)
    cut = submit(*specs)
    train(database, settings)
    assert statuses(database, cut) == ["succeeded"] * 5
    np.testing.assert_allclose(final_losses(database, cut), final_losses(database, whole), rtol=1e-9)
    with database.read() as session:
        for run in cut:
            assert curves.read(session, run).epochs.tolist() == list(range(1, 61))
        of_cut = Job.experiment_id == run_of(database, cut[0]).experiment_id
        assert session.scalar(select(func.count()).where(of_cut)) == 3  # 5 → 3 + 2, 3 → 2 + 1
        assert events.counts(session, run_of(database, cut[0]).experiment_id)[SPLIT] == 3


def test_a_run_that_does_not_fit_alone_fails_with_the_reason_and_the_others_train(
    database: Database, settings: WorkerSettings, submit: Submit, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_room_for(0, monkeypatch)
    tight = submit(POLYNOMIAL, POLYNOMIAL | {"seed": 1})
    train(database, settings)
    assert statuses(database, tight) == ["failed"] * 2
    error = run_of(database, tight[0]).error
    assert error is not None
    assert error["kind"] == "out_of_memory"
    assert "does not fit into the memory of its device, cpu" in error["detail"]
    assert "batch_size" in error["detail"]
    make_room_for(1, monkeypatch)
    roomy = submit(POLYNOMIAL)
    train(database, settings)
    assert statuses(database, roomy) == ["succeeded"]


def test_a_precision_that_the_device_does_not_have_fails_in_a_sentence(
    database: Database, settings: WorkerSettings, submit: Submit
) -> None:
    (run,) = submit({"variant": "mlp", "precision": "tf32"})
    train(database, settings)
    error = run_of(database, run).error
    assert error is not None
    assert (error["kind"], "float32" in error["detail"]) == ("device", True)
