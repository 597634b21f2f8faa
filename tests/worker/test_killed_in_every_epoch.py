"""The promise of bits: a run that is killed once in every epoch has the weights of one that never was."""

import multiprocessing
import shutil
import signal
from pathlib import Path
from uuid import UUID

import pytest

from store import checkpoints, curves, jobs
from store.engine import Database
from tests.waiting import wait_until
from tests.worker import mortal
from tests.worker.conftest import Json, Submit, run_of, statuses
from worker.janitor import run_once
from worker.settings import WorkerSettings

EPOCHS = 8

MLP: Json = {"variant": "mlp", "hidden": [64], "dropout": [0.5], "n_train": 500, "n_test": 100, "batch_size": 20}
POLYNOMIAL: Json = {"variant": "polynomial"}
LINEAR: Json = {"variant": "linear"}
SPECS = [
    pytest.param(
        {**spec, "implementation": implementation, "epochs": EPOCHS, "reuse": False},
        stack,
        id=f"{spec['variant']}-{implementation}-{stack}",
    )
    for spec in (MLP, POLYNOMIAL, LINEAR)
    for implementation in ("scratch", "concise")
    for stack in ("embedded", *(["servers"] if (spec, implementation) == (MLP, "scratch") else []))
]

FORKED = multiprocessing.get_context("forkserver")
FORKED.set_forkserver_preload(["worker.execution", "torch._dynamo"])  # imported once, and not for each death


def train(settings: WorkerSettings, dies_in: int | None = None) -> int | None:
    """Train what is queued in a process of its own; returns its exit status."""
    process = FORKED.Process(target=mortal.train, args=(settings, "slot", dies_in))
    process.start()
    process.join(60)
    return process.exitcode


def rescued(database: Database, settings: WorkerSettings, run_id: UUID) -> bool:
    """Whether the janitor finds that the run's lease has run out."""
    run_once(database, lambda _queue: None, settings)
    return statuses(database, [run_id]) == ["queued"]


def learned(database: Database, run_id: UUID) -> tuple[list[tuple[str, int, str]], dict[str, bytes]]:
    """Return the run's checkpoints by their sha256, and its curves, bit by bit."""
    with database.read() as session:
        kept = [(kept.kind, kept.epoch, kept.sha256) for kept in checkpoints.of_run(session, run_id)]
        curve = curves.read(session, run_id)
    assert curve.epochs.tolist() == list(range(1, EPOCHS + 1))
    return kept, {name: values.tobytes() for name, values in curve.series.items()}


@pytest.mark.slow
@pytest.mark.parametrize(("spec", "stack"), SPECS, indirect=["stack"])
def test_a_run_killed_once_in_every_epoch_has_the_bits_of_one_never_killed(
    database: Database, settings: WorkerSettings, submit: Submit, sample_root: Path, spec: Json
) -> None:
    shutil.copytree(sample_root / "FashionMNIST", settings.data / "FashionMNIST")
    often = {"lease_seconds": 0.2, "flush_seconds": 0.0, "checkpoint_seconds": 0.0, "checkpoint_share": 0.99}
    hasty = settings.model_copy(update=often)
    (whole,) = submit(spec)
    assert train(hasty) == 0
    (killed,) = submit(spec)
    for epoch in range(1, EPOCHS + 1):
        assert train(hasty, dies_in=epoch) == -signal.SIGKILL
        assert run_of(database, killed).epochs_done == epoch - 1
        wait_until(lambda: rescued(database, hasty, killed), what="its lease runs out")
    assert train(hasty) == 0
    assert statuses(database, [whole, killed]) == ["succeeded", "succeeded"]
    assert learned(database, killed) == learned(database, whole)
    with database.read() as session:
        assert jobs.get(session, run_of(database, killed).job_id).claims == EPOCHS + 1
