"""What the janitor puts right."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from sqlalchemy import update

from store import runs, workers
from store.engine import Database
from store.tables import Experiment, Run
from tests.stacks import Stack
from tests.waiting import wait_until
from tests.worker.conftest import Submit, claim, run_of, statuses
from worker.janitor import run_once
from worker.settings import WorkerSettings

SPEC = {"variant": "linear"}


def heartbeat(database: Database, name: str, *queues: str) -> None:
    with database.write() as session:
        workers.heartbeat(
            session, name=name, pid=1, hostname="here", queues=queues or ("cpu",), device="cpu", threads=1
        )


def hints(database: Database, settings: WorkerSettings) -> list[str]:
    published: list[str] = []
    run_once(database, published.append, settings)
    return published


def test_a_job_whose_lease_ran_out_is_queued_again(
    database: Database, settings: WorkerSettings, submit: Submit
) -> None:
    ids = submit(SPEC)
    held = claim(database, lease_seconds=-1)
    heartbeat(database, "idle")
    assert hints(database, settings) == ["cpu"]
    assert statuses(database, ids) == ["queued"]
    assert claim(database).fence > held.fence


def test_a_job_that_goes_on_crashing_fails(database: Database, settings: WorkerSettings, submit: Submit) -> None:
    (run,) = submit(SPEC)
    for _ in range(settings.max_crashes):
        claim(database, lease_seconds=-1)
        hints(database, settings)
    error = run_of(database, run).error
    assert error is not None
    assert error["kind"] == "crashed"


def test_there_are_as_many_hints_as_idle_slots_can_take(
    database: Database, settings: WorkerSettings, submit: Submit
) -> None:
    assert hints(database, settings) == []
    for _ in range(3):
        submit(SPEC)
    assert hints(database, settings) == []  # nobody is there to take them
    for name in ("one", "two"):
        heartbeat(database, name)
    assert hints(database, settings) == ["cpu", "cpu"]
    claim(database, worker="one")
    assert hints(database, settings) == ["cpu"]
    claim(database, worker="two")
    assert hints(database, settings) == []


def test_hints_go_to_the_queue_of_the_job(database: Database, settings: WorkerSettings, submit: Submit) -> None:
    submit(SPEC, queue="gpu")
    heartbeat(database, "cpu")
    assert hints(database, settings) == []
    heartbeat(database, "gpu", "gpu", "cpu")
    assert hints(database, settings) == ["gpu"]


def test_slots_that_have_been_silent_for_long_are_forgotten(database: Database, settings: WorkerSettings) -> None:
    heartbeat(database, "gone")
    impatient = settings.model_copy(update={"heartbeat_seconds": 0.001})

    def known() -> list[str]:
        hints(database, impatient)
        with database.read() as session:
            return [worker.name for worker in workers.live(session, within_seconds=60)]

    wait_until(lambda: known() == [])


def test_ephemeral_experiments_are_deleted_and_what_is_deleted_is_purged(
    database: Database, settings: WorkerSettings, submit: Submit
) -> None:
    (kept,), (gone,) = submit(SPEC), submit(SPEC)
    with database.write() as session:
        mine = Experiment.id == run_of(database, gone).experiment_id
        session.execute(update(Experiment).where(mine).values(ephemeral=True))
        runs.cancel(session, gone)
    hints(database, settings)
    assert statuses(database, [kept, gone]) == ["queued", "cancelled"]
    hints(database, settings.model_copy(update={"ephemeral_seconds": 0.0}))
    assert statuses(database, [kept]) == ["queued"]
    with database.read() as session:
        assert session.get(Run, gone) is None


def test_the_process_works_without_torch_until_it_is_told_to_stop(
    database: Database, settings: WorkerSettings, stack: Stack, submit: Submit, tmp_path: Path
) -> None:
    ids = submit(SPEC)
    claim(database, lease_seconds=-1)
    with (tmp_path / "imported").open("w") as log:  # not a pipe: one that nobody empties would hold it up
        janitor = subprocess.Popen(
            [sys.executable, "-X", "importtime", "-m", "worker.janitor"],
            env={**os.environ, **stack.environment, "EPOCHD_DATA": str(settings.data)},
            stderr=log,
        )
    wait_until(lambda: statuses(database, ids) == ["queued"], 30)
    janitor.send_signal(signal.SIGTERM)
    assert janitor.wait(10) == 0
    imported = (tmp_path / "imported").read_text()
    assert " sqlalchemy" in imported
    assert " torch\n" not in imported
