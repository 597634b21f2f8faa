import numpy as np
from sqlalchemy import select

from store import curves, experiments, flushes, jobs
from store.curves import Segment
from store.engine import Database
from store.status import Status
from store.tables import Event, Flush
from tests.store.processes import Crew
from tests.store.samples import (
    check_all_adds_up,
    claim,
    experiment,
    finish,
    run,
    segment,
    store_epochs,
    submit,
)


def stored(database: Database) -> list[tuple[int, int, int]]:
    with database.read() as session:
        return list(session.execute(select(Flush.seq, Flush.first_epoch, Flush.last_epoch)).all())


def test_a_flush_stores_and_counts(database: Database) -> None:
    submitted = submit(database, 2)
    held = claim(database)
    assert store_epochs(database, held, 1, 4) == set()
    now = experiment(database, submitted.id)
    assert now.epochs_done == 8
    assert [run(database, member.run_id).epochs_done for member in held.runs] == [4, 4]
    assert stored(database) == [(now.seq, 1, 4)]


def test_epochs_that_are_stored_already_are_left_out(database: Database) -> None:
    submitted = submit(database)
    held = claim(database)
    store_epochs(database, held, 1, 4)
    with database.write() as session:
        jobs.give_back(session, held, "shut down")
    again = claim(database)
    store_epochs(database, again, 3, 6)  # resumed from a state after epoch 2
    with database.read() as session:
        curve = curves.read(session, held.runs[0].run_id)
    assert curve.epochs.tolist() == [1, 2, 3, 4, 5, 6]
    assert experiment(database, submitted.id).epochs_done == 6
    assert [epochs for _seq, *epochs in stored(database)] == [[1, 4], [5, 6]]


def test_nothing_new_advances_nothing(database: Database) -> None:
    submitted = submit(database)
    held = claim(database)
    store_epochs(database, held, 1, 4)
    before = experiment(database, submitted.id).seq
    store_epochs(database, held, 2, 4)
    with database.write() as session:
        assert flushes.write(session, held, [], 60) == set()
    assert experiment(database, submitted.id).seq == before
    assert len(stored(database)) == 1


def test_final_runs_get_no_more_epochs(database: Database) -> None:
    submit(database, 2)
    held = claim(database)
    store_epochs(database, held, 1, 2)
    finish(database, held, held.runs[0].run_id, Status.FAILED)
    store_epochs(database, held, 3, 4)
    assert [run(database, member.run_id).epochs_done for member in held.runs] == [2, 4]
    check_all_adds_up(database)


def test_a_run_of_another_job_gets_no_epochs(database: Database) -> None:
    submit(database, 1, 1)
    held, other = claim(database), claim(database)
    with database.write() as session:
        flushes.write(session, held, [segment(other.runs[0].run_id, 1, 2)], 60)
    assert run(database, other.runs[0].run_id).epochs_done == 0


def test_runs_of_a_stack_may_be_at_different_epochs(database: Database) -> None:
    submitted = submit(database, 2)
    held = claim(database)
    first, second = (member.run_id for member in held.runs)
    with database.write() as session:
        flushes.write(session, held, [segment(first, 1, 5), segment(second, 1, 3)], 60)
    assert [run(database, member.run_id).epochs_done for member in held.runs] == [5, 3]
    assert experiment(database, submitted.id).epochs_done == 8


def test_epochs_between_evaluations_count_as_done(database: Database) -> None:
    submitted = submit(database)
    held = claim(database)
    epochs = np.array([5, 10])
    with database.write() as session:
        flushes.write(session, held, [Segment(held.runs[0].run_id, epochs, {"loss": np.ones(2)})], 60)
    assert run(database, held.runs[0].run_id).epochs_done == 10
    assert experiment(database, submitted.id).epochs_done == 10


def test_what_cannot_be_committed_is_not_there(database: Database) -> None:
    submitted = submit(database)
    held = claim(database)
    before = experiment(database, submitted.id).seq
    try:
        with database.write() as session:
            flushes.write(session, held, [segment(held.runs[0].run_id, 1, 5)], 60)
            raise KeyboardInterrupt
    except KeyboardInterrupt:
        pass
    assert experiment(database, submitted.id).seq == before
    assert run(database, held.runs[0].run_id).epochs_done == 0
    assert stored(database) == []


def test_every_flush_and_change_has_its_own_place_in_the_experiments_order(database: Database, crew: Crew) -> None:
    submitted = submit(database, *[1] * 12)
    crew.do(database, *[("train_until_empty", f"slot-{number}") for number in range(4)])
    with database.read() as session:
        flushed = list(session.scalars(select(Flush.seq).where(Flush.experiment_id == submitted.id)))
        changed = set(session.scalars(select(Event.seq).where(Event.experiment_id == submitted.id)))
        newest = experiments.get(session, submitted.id).seq
    assert len(flushed) == 12 * 3
    assert sorted([*flushed, *changed]) == list(range(1, newest + 1))
    check_all_adds_up(database)
