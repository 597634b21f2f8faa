import pytest

from store import experiments, following
from store.engine import Database
from store.following import Happened
from store.identifiers import new_id
from store.jobs import Claim
from store.status import Status
from tests.store.samples import claim, experiment, finish, finish_all, store_epochs, submit


@pytest.fixture
def held(database: Database) -> Claim:
    """The job of an experiment of five runs that has been trained and has succeeded, but for one run that failed."""
    submit(database, 5)
    held = claim(database)
    store_epochs(database, held, 1, 3)
    store_epochs(database, held, 4, 10)
    finish(database, held, held.runs[2].run_id, Status.FAILED)
    finish_all(database, held)
    return held


def happened(database: Database, held: Claim, *followed: int, after: int = 0) -> Happened:
    upto = experiment(database, held.experiment_id).seq
    run_ids = [held.runs[number].run_id for number in followed]
    with database.read() as session:
        return following.happened(
            session, held.experiment_id, run_ids, flushes_after=after, changes_after=after, upto=upto
        )


def test_flushes_and_changes_come_in_order(database: Database, held: Claim) -> None:
    found = happened(database, held, 2)
    assert [(flush.first_epoch, flush.last_epoch) for flush in found.flushes] == [(1, 3), (4, 10)]
    told = [(change.of_runs, change.run_id, change.runs, change.status) for change in found.changes]
    assert told == [
        (False, None, None, "queued"),
        (False, None, 5, "running"),
        (False, None, None, "running"),
        (True, held.runs[2].run_id, None, "failed"),
        *[(True, None, 1, "succeeded")] * 4,
        (False, None, None, "succeeded"),
        (False, None, None, "succeeded"),
    ]
    seqs = [change.seq for change in found.changes]
    assert seqs == sorted(seqs)
    assert found.upto == seqs[-1]


def test_after_a_number_only_the_rest_comes(database: Database, held: Claim) -> None:
    whole = happened(database, held, 0)
    for after in range(whole.upto + 1):
        rest = happened(database, held, 0, after=after)
        assert [flush.seq for flush in rest.flushes] == [f.seq for f in whole.flushes if f.seq > after]
        assert rest.changes == [change for change in whole.changes if change.seq > after]


def test_what_happens_at_once_is_told_whole_however_much_it_is(database: Database) -> None:
    many = following.ROWS_AT_ONCE + 200
    submitted = submit(database, *[1] * many)
    with database.write() as session:
        experiments.cancel(session, submitted.id)
    seq = experiment(database, submitted.id).seq
    told = []
    after = 0
    while after < seq:
        with database.read() as session:
            found = following.happened(session, submitted.id, [], flushes_after=after, changes_after=after, upto=seq)
        told += found.changes
        after = found.upto
    cancelled = [change for change in told if change.status == Status.CANCELLED]
    assert sum(change.of_runs for change in cancelled) == many
    assert sum(change.job_id is not None and not change.of_runs for change in cancelled) == many
    assert sum(change.job_id is None for change in cancelled) == 1


def test_only_runs_of_the_experiment_can_be_followed(database: Database, held: Claim) -> None:
    other = submit(database)
    with database.read() as session:
        strange = following.first_runs(session, other.id, 1)
        wanted = [held.runs[1].run_id, *strange, new_id()]
        found = following.followed(session, held.experiment_id, wanted)
        assert [run.id for run in found] == [held.runs[1].run_id]
        assert found[0].job_id == held.job_id
        assert following.first_runs(session, held.experiment_id, 2) == [run.run_id for run in held.runs[:2]]


def test_how_many_experiments_stand_is_read_in_one_look(database: Database, held: Claim) -> None:
    waiting = submit(database)
    with database.read() as session:
        found = experiments.standings(session, [held.experiment_id, waiting.id, new_id()])
    assert found[waiting.id] == (1, Status.QUEUED)
    assert found[held.experiment_id].status is Status.SUCCEEDED
    assert len(found) == 2
