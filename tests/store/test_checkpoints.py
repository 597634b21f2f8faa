import hashlib
from collections.abc import Sequence
from uuid import UUID

import pytest
from sqlalchemy import delete, func, select, update

from store import checkpoints, events, jobs
from store.checkpoints import Kind, NewCheckpoint
from store.engine import Database
from store.errors import CheckpointDamaged, LeaseLost, NotFound
from store.jobs import Claim
from store.tables import Checkpoint, CheckpointChunk
from tests.store.samples import claim, finish_all, kinds, submit
from tests.store.statements import counting

KINDS: list[Kind] = ["last", "best", "epoch"]


def put(database: Database, held: Claim, run_id: UUID | None, kind: Kind, epoch: int, data: bytes) -> None:
    with database.write() as session:
        checkpoints.put(session, held, run_id=run_id, kind=kind, epoch=epoch, data=data)


def put_all(database: Database, held: Claim, items: Sequence[NewCheckpoint]) -> None:
    with database.write() as session:
        checkpoints.put_all(session, held, items)


def damage(database: Database, epoch: int, how: str = "flip") -> None:
    with database.write() as session:
        of_epoch = select(Checkpoint.id).where(Checkpoint.epoch == epoch)
        chunks = CheckpointChunk.checkpoint_id.in_(of_epoch)
        statements = {
            "flip": update(CheckpointChunk).where(chunks).values(data=b"something else"),
            "lose": delete(CheckpointChunk).where(chunks),
        }
        session.execute(statements[how])


@pytest.fixture
def held(database: Database) -> Claim:
    submit(database, 2)
    return claim(database)


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints, "CHUNK_BYTES", 1000)


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("size", [0, 1, 999, 1000, 1001, 3500])
def test_bytes_come_back_whole(database: Database, held: Claim, size: int) -> None:
    data = bytes(number % 251 for number in range(size))
    put(database, held, held.runs[0].run_id, "last", 7, data)
    with database.read() as session:
        found = checkpoints.get(session, held.runs[0].run_id, "last")
        largest = session.scalar(select(func.max(func.length(CheckpointChunk.data))))
    assert found.data == data
    assert (found.epoch, found.size, found.kind) == (7, size, "last")
    assert found.sha256 == hashlib.sha256(data).hexdigest()
    assert (largest or 0) <= 1000


def test_a_new_checkpoint_takes_the_place_of_the_one_of_its_kind(database: Database, held: Claim) -> None:
    first, second = (run.run_id for run in held.runs)
    put(database, held, second, "last", 1, b"other")
    for epoch in (3, 5):
        put(database, held, first, "last", epoch, b"last %d" % epoch)
        put(database, held, first, "best", epoch - 1, b"best %d" % epoch)
    with database.read() as session:
        stored = [(row.kind, row.epoch) for row in checkpoints.of_run(session, first)]
        assert stored == [("best", 4), ("last", 5)]
        assert checkpoints.get(session, first, "last").data == b"last 5"
        assert checkpoints.get(session, second, "last").data == b"other"
        assert session.scalar(select(func.count()).select_from(CheckpointChunk)) == 3


def test_checkpoints_of_epochs_stay_beside_each_other(database: Database, held: Claim) -> None:
    run_id = held.runs[0].run_id
    for epoch in (10, 20, 20):
        put(database, held, run_id, "epoch", epoch, b"%d" % epoch)
    put(database, held, run_id, "last", 25, b"25")
    with database.read() as session:
        assert [row.epoch for row in checkpoints.of_run(session, run_id)] == [10, 20, 25]
        for epoch in (10, 20, 25):
            assert checkpoints.get(session, run_id, epoch).data == b"%d" % epoch


@pytest.mark.parametrize("which", ["last", "best", 3])
def test_what_is_not_stored_is_not_found(database: Database, held: Claim, which: int) -> None:
    put(database, held, None, "state", 3, b"a state is no run's")
    with pytest.raises(NotFound, match="no checkpoint"), database.read() as session:
        checkpoints.get(session, held.runs[0].run_id, which)


@pytest.mark.parametrize("how", ["flip", "lose"])
def test_damaged_bytes_are_noticed(database: Database, held: Claim, how: str) -> None:
    put(database, held, held.runs[0].run_id, "last", 5, b"weights")
    damage(database, 5, how)
    with pytest.raises(CheckpointDamaged, match="damaged"), database.read() as session:
        checkpoints.get(session, held.runs[0].run_id, "last")


def test_the_newest_state_is_resumed_and_the_one_before_kept(database: Database, held: Claim) -> None:
    with database.write() as session:
        assert checkpoints.latest_state(session, held.job_id) is None
    for epoch in (2, 4, 6):
        put(database, held, None, "state", epoch, b"state %d" % epoch)
    with database.write() as session:
        newest = checkpoints.latest_state(session, held.job_id)
        epochs = set(session.scalars(select(Checkpoint.epoch).where(Checkpoint.job_id == held.job_id)))
    assert newest is not None
    assert (newest.data, newest.epoch) == (b"state 6", 6)
    assert epochs == {4, 6}


def test_a_damaged_state_gives_way_to_the_one_before_and_an_event_says_so(database: Database, held: Claim) -> None:
    for epoch in (2, 4):
        put(database, held, None, "state", epoch, b"state %d" % epoch)
    damage(database, 4)
    for _ in range(2):
        with database.write() as session:
            found = checkpoints.latest_state(session, held.job_id)
        assert found is not None
        assert found.data == b"state 2"
    assert kinds(database, held.experiment_id)["checkpoint_damaged"] == 1
    put(database, held, None, "state", 4, b"state 4 again")
    damage(database, 4)
    with database.write() as session:
        found = checkpoints.latest_state(session, held.job_id)
    assert found is not None
    assert found.data == b"state 2"  # the good one was not what made room


def test_when_all_states_are_damaged_the_job_starts_anew(database: Database, held: Claim) -> None:
    put(database, held, None, "state", 2, b"state")
    damage(database, 2, "lose")
    with database.write() as session:
        assert checkpoints.latest_state(session, held.job_id) is None
    with database.read() as session:
        reasons = [event.reason or "" for event in events.of_experiment(session, held.experiment_id)]
    assert any(reason.endswith("is damaged. The training begins anew.") for reason in reasons)


def test_a_state_outlives_claims_and_goes_when_its_job_ends(database: Database, held: Claim) -> None:
    put(database, held, None, "state", 2, b"state")
    put(database, held, held.runs[0].run_id, "last", 2, b"weights")
    with database.write() as session:
        jobs.release_worker(session, held.worker, "killed by SIGKILL")
    again = claim(database)
    with database.write() as session:
        assert checkpoints.latest_state(session, again.job_id) is not None
    finish_all(database, again)
    with database.write() as session:
        assert checkpoints.latest_state(session, again.job_id) is None
        assert checkpoints.get(session, again.runs[0].run_id, "last").data == b"weights"


def test_many_are_stored_at_once_in_few_statements(database: Database) -> None:
    submit(database, 300)
    held = claim(database)
    with counting(database) as statements:
        for epoch in (1, 2):
            statements.clear()
            items = [
                NewCheckpoint(member.run_id, kind, epoch, f"{kind} {epoch} of {member.index}".encode())
                for member in held.runs
                for kind in KINDS
            ]
            put_all(database, held, items)
            assert len(statements) < 15
    with database.read() as session:
        for member in held.runs[::50]:
            assert checkpoints.get(session, member.run_id, "last").data == b"last 2 of %d" % member.index
            kept = [(row.kind, row.epoch) for row in checkpoints.of_run(session, member.run_id)]
            assert sorted(kept) == [("best", 2), ("epoch", 1), ("epoch", 2), ("last", 2)]
        assert session.scalar(select(func.count()).select_from(CheckpointChunk)) == 4 * 300


def test_of_two_in_one_place_the_later_stays(database: Database, held: Claim) -> None:
    run_id = held.runs[0].run_id
    items = [("last", 1), ("epoch", 1), ("last", 2), ("epoch", 2), ("epoch", 1)]
    put_all(database, held, [NewCheckpoint(run_id, kind, epoch, b"") for kind, epoch in items])  # type: ignore[arg-type]
    with database.read() as session:
        kept = [(row.kind, row.epoch) for row in checkpoints.of_run(session, run_id)]
    assert sorted(kept) == [("epoch", 1), ("epoch", 2), ("last", 2)]


def test_states_among_many_keep_the_one_before(database: Database, held: Claim) -> None:
    states = [NewCheckpoint(None, "state", epoch, b"state %d" % epoch) for epoch in (1, 2, 3)]
    put_all(database, held, [states[0], NewCheckpoint(held.runs[0].run_id, "last", 3, b"weights"), *states[1:]])
    with database.write() as session:
        newest = checkpoints.latest_state(session, held.job_id)
        epochs = set(session.scalars(select(Checkpoint.epoch).where(Checkpoint.run_id.is_(None))))
    assert newest is not None
    assert newest.data == b"state 3"
    assert epochs == {2, 3}


def test_nothing_to_store_stores_nothing_but_needs_the_lease(database: Database, held: Claim) -> None:
    put_all(database, held, [])
    finish_all(database, held)
    with pytest.raises(LeaseLost):
        put_all(database, held, [])


@pytest.mark.usefixtures("small_chunks")
def test_large_and_small_ones_together_come_back_whole(database: Database, held: Claim) -> None:
    sizes = [0, 400, 700, 1000, 3500, 1, 999]
    data = {epoch: bytes([epoch]) * size for epoch, size in enumerate(sizes)}
    run_id = held.runs[0].run_id
    put_all(database, held, [NewCheckpoint(run_id, "epoch", epoch, each) for epoch, each in data.items()])
    with database.read() as session:
        assert {epoch: checkpoints.get(session, run_id, epoch).data for epoch in data} == data


def test_a_state_is_no_runs_and_other_checkpoints_are(database: Database, held: Claim) -> None:
    for run_id, kind in ((held.runs[0].run_id, "state"), (None, "last")):
        with pytest.raises(ValueError, match="belongs"):
            put(database, held, run_id, kind, 1, b"x")  # type: ignore[arg-type]
