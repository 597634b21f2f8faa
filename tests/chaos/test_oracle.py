"""An oracle that never finds anything proves nothing: each kind of damage is done here, and has to be found."""

from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from store import checkpoints
from store.checkpoints import NewCheckpoint
from store.engine import Database, make_engine
from store.history import Note, record
from store.status import Status
from store.tables import Checkpoint, CurveSegment, Experiment, Job, Run
from tests.chaos import oracle
from tests.store import samples

Harm = Callable[[Session, Run], object]


@pytest.fixture
def database(tmp_path: Path, sqlite_template: Path) -> Iterator[Database]:
    """Two jobs of three runs each that went well."""
    copy = tmp_path / "epochd.db"
    copy.write_bytes(sqlite_template.read_bytes())
    database = Database(make_engine(f"sqlite:///{copy}"))
    for _ in range(2):
        samples.submit(database, 3)
        held = samples.claim(database)
        samples.store_epochs(database, held, 1, 10)
        with database.write() as session:
            kept = [NewCheckpoint(run.run_id, "last", 10, b"weights of %d" % run.index) for run in held.runs]
            checkpoints.put_all(session, held, kept)
        samples.finish_all(database, held)
    yield database
    database.dispose()


def test_what_went_well_is_well(database: Database) -> None:
    verdict = judged(database)
    assert (verdict["accepted"], verdict["succeeded"]) == (6, 6)
    assert not any(verdict[name] for name in verdict.keys() - {"accepted", "succeeded"})


def _requeue(session: Session, run: Run) -> None:
    session.execute(update(Run).where(Run.id == run.id).values(status=Status.QUEUED))


def _end_again(session: Session, run: Run) -> None:
    record(session, run.experiment_id, [Note("status", "again", run.job_id, run.id, Status.SUCCEEDED)])


def _lose_epochs(session: Session, run: Run) -> None:
    session.execute(delete(CurveSegment).where(CurveSegment.run_id == run.id))


def _change_weights(session: Session, run: Run) -> None:
    session.execute(update(Checkpoint).where(Checkpoint.run_id == run.id).values(sha256="0" * 64))


def _miscount(session: Session, run: Run) -> None:
    session.execute(update(Experiment).where(Experiment.id == run.experiment_id).values(succeeded=2, failed=1))


@pytest.mark.parametrize(
    ("harm", "found_as"),
    [
        (_requeue, "lost"),
        (_end_again, "finished_twice"),
        (_lose_epochs, "broken_curves"),
        (_change_weights, "other_bits"),
        (_miscount, "wrong_counts"),
    ],
)
def test_damage_is_found(database: Database, harm: Harm, found_as: str) -> None:
    with database.write() as session:
        run = session.scalars(select(Run).order_by(Run.id.desc())).first()
        assert run is not None
        harm(session, run)
    assert judged(database)[found_as]


def test_an_experiment_that_is_gone_is_lost(database: Database) -> None:
    with database.read() as session:
        accepted = dict.fromkeys(session.scalars(select(Experiment.id)), 3)
    assert judged(database, {**accepted, UUID(int=1): 5})["lost"] == 5


@pytest.mark.parametrize("change", [{"fence": 0}, {"status": Status.RUNNING}])
def test_what_goes_back_is_seen(database: Database, change: dict[str, object]) -> None:
    verdict = oracle.Verdict()
    watch = oracle.Watch(database, verdict)
    watch.look()
    with database.write() as session:
        session.execute(update(Job).values(**change))
    watch.look()
    assert len(verdict.went_back) == 2


def judged(database: Database, accepted: dict[UUID, int] | None = None) -> dict[str, object]:
    verdict = oracle.Verdict()
    with database.read() as session:
        asked = accepted or dict.fromkeys(session.scalars(select(Experiment.id)), 3)
    oracle.judge(database, asked, verdict)
    return asdict(verdict)
