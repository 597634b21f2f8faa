from uuid import UUID

import pytest

from store import events, experiments, jobs, runs
from store.engine import Database
from store.errors import NotFound
from store.identifiers import new_id
from store.status import Status
from store.tables import Event
from tests.store.samples import claim, experiment, finish, finish_all, submit


def subject(event: Event) -> str:
    if event.run_id is not None:
        return "run"
    return "experiment" if event.job_id is None else "job"


def test_every_change_is_told_in_order_with_its_reason(database: Database) -> None:
    submitted = submit(database)
    finish_all(database, claim(database), Status.FAILED)
    with database.read() as session:
        told = events.of_experiment(session, submitted.id)
    assert [(subject(event), event.status, event.reason) for event in told] == [
        ("experiment", "queued", "submitted"),
        ("job", "running", "claimed by slot-1"),
        ("experiment", "running", "claimed by slot-1"),
        ("run", "failed", "the loss became infinite"),
        ("job", "failed", "its last run ended"),
        ("experiment", "failed", "its last run ended"),
    ]
    assert [event.created_at for event in told] == sorted(event.created_at for event in told)


def test_runs_that_move_with_their_job_are_told_of_once(database: Database) -> None:
    submitted = submit(database, 3)
    held = claim(database)
    finish(database, held, held.runs[0].run_id)
    with database.write() as session:
        jobs.give_back(session, held, "shut down")
    with database.read() as session:
        told = events.of_experiment(session, submitted.id)
    assert [(event.status, event.runs) for event in told if event.job_id == held.job_id and event.run_id is None] == [
        (Status.RUNNING, 3),
        (Status.QUEUED, 2),
    ]
    assert [event.run_id for event in told if event.run_id is not None] == [held.runs[0].run_id]


def history(database: Database, run_id: UUID) -> list[tuple[str | None, str | None]]:
    with database.read() as session:
        return [(event.status, event.reason) for event in events.of_run(session, run_id)]


def test_a_run_has_a_history_with_what_it_shared_with_its_stack(database: Database) -> None:
    submit(database, 4)
    with database.read() as session:
        members = [run.id for run in runs.page(session, owner=None, limit=9, newest_first=False).items]
    with database.write() as session:
        runs.cancel(session, members[0])
    held = claim(database)
    finish(database, held, members[1])
    with database.write() as session:
        runs.cancel(session, members[2])
    with database.write() as session:
        jobs.give_back(session, held, "shut down")
    finish_all(database, claim(database, "slot-2"), Status.FAILED)
    cancelled = ("cancelled", "its cancel was asked for")
    claimed = ("running", "claimed by slot-1")
    assert history(database, members[0]) == [cancelled]
    assert history(database, members[1]) == [claimed, ("succeeded", None)]
    assert history(database, members[2]) == [claimed, (None, None), cancelled]
    assert history(database, members[3]) == [
        claimed,
        ("queued", "shut down"),
        ("running", "claimed by slot-2"),
        ("failed", "the loss became infinite"),
    ]


def test_what_is_not_there_has_no_history(database: Database) -> None:
    with pytest.raises(NotFound), database.read() as session:
        events.of_run(session, new_id())


def test_only_what_is_new_can_be_asked_for(database: Database) -> None:
    submitted = submit(database)
    seen = experiment(database, submitted.id).seq
    with database.write() as session:
        experiments.cancel(session, submitted.id)
    with database.read() as session:
        new = events.of_experiment(session, submitted.id, after_seq=seen)
        assert {event.kind for event in new} == {"cancel_requested", "status"}
        newest = max(event.seq for event in new)
        assert newest == experiments.get(session, submitted.id).seq
        assert events.of_experiment(session, submitted.id, after_seq=newest) == []


def test_a_limit_never_parts_what_happened_at_once(database: Database) -> None:
    submitted = submit(database, 5)
    claim(database)
    with database.read() as session:
        everything = events.of_experiment(session, submitted.id)
        walked: list[Event] = []
        while part := events.of_experiment(session, submitted.id, after_seq=walked[-1].seq if walked else 0, limit=2):
            walked += part
    assert [(event.seq, event.number) for event in walked] == [(event.seq, event.number) for event in everything]


def test_an_event_of_ones_own(database: Database) -> None:
    submitted = submit(database)
    with database.write() as session:
        events.add(session, experiment_id=submitted.id, kind="noted", reason="something happened")
    with database.read() as session:
        assert events.counts(session, submitted.id) == {"status": 1, "noted": 1}
        last = events.of_experiment(session, submitted.id)[-1]
    assert (last.kind, last.reason, last.status) == ("noted", "something happened", None)
    assert last.seq == experiment(database, submitted.id).seq
