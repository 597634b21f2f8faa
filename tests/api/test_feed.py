"""What a stream says is the history, whole and once, wherever it is taken up again."""

import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import update

from api.feed import Cursor, Feed, Message
from api.problems import Problem
from api.schemas.events import EventQuery
from store import curves, following, jobs, runs, splitting
from store.engine import Database
from store.errors import NotFound
from store.identifiers import new_id
from store.reuse import reuse_earlier
from store.status import Status
from store.tables import Job
from tests.store.samples import claim, finish, finish_all, store_epochs, submit

Story = tuple[UUID, list[UUID]]


def a_story(database: Database) -> Story:
    """Train five runs with a reused result, a crash, a split, a failure and a cancel; return it with its runs."""
    submit(database)
    earlier = claim(database)
    store_epochs(database, earlier, 1, 10)
    finish_all(database, earlier, result_key="same")

    submitted = submit(database, 3, 2)
    held = claim(database)
    with database.write() as session:
        reuse_earlier(session, held, {held.runs[0].run_id: "same"})
    other = claim(database, "slot-2")
    store_epochs(database, held, 1, 1)
    store_epochs(database, held, 2, 4)
    store_epochs(database, other, 1, 2)
    with database.write() as session:
        session.execute(update(Job).where(Job.id == held.job_id).values(lease_until=0))
        jobs.expire(session)
    held = claim(database)
    with database.write() as session:
        splitting.split(session, other, "too large")
    other, half = claim(database, "slot-2"), claim(database, "slot-3")
    store_epochs(database, other, 3, 3)
    store_epochs(database, half, 2, 5)  # of these the first is stored already
    store_epochs(database, other, 4, 6)
    store_epochs(database, held, 3, 6)  # of these the first two are stored already
    finish(database, held, held.runs[1].run_id, Status.FAILED)
    store_epochs(database, held, 7, 10)
    with database.write() as session:
        runs.cancel(session, other.runs[0].run_id)
    finish(database, other, other.runs[0].run_id, Status.CANCELLED)
    finish(database, held, held.runs[2].run_id)
    store_epochs(database, half, 6, 10)
    finish(database, half, half.runs[0].run_id)
    with database.read() as session:
        return submitted.id, following.first_runs(session, submitted.id, 9)


def feed(database: Database, story: Story, *numbers: int, metrics: Sequence[str] = ()) -> Feed:
    experiment_id, run_ids = story
    query = EventQuery(run=[run_ids[number] for number in numbers], metric=list(metrics))
    return Feed.open(database, experiment_id, None, query)


def everything(feed: Feed, cursor: Cursor = Cursor()) -> list[Message]:  # noqa: B008  frozen
    """All messages after the cursor, however many batches they come in."""
    found: list[Message] = []
    while True:
        batch = feed.read(cursor)
        assert batch.cursor == cursor or batch.messages or batch.progress is None
        found += batch.messages
        cursor = batch.cursor
        if batch.progress is not None:
            return found


def said(messages: Sequence[Message], event: str) -> list[dict[str, Any]]:
    return [json.loads(message.data) for message in messages if message.event == event]


@pytest.fixture(params=[None, 1, 3], ids=["at once", "one at a time", "three at a time"])
def small_batches(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param is not None:
        monkeypatch.setattr(following, "ROWS_AT_ONCE", request.param)
        monkeypatch.setattr(following, "EPOCHS_AT_ONCE", request.param)


@pytest.mark.usefixtures("small_batches")
@pytest.mark.parametrize("numbers", [(), (0,), (1, 4), (2,), (3, 2, 1)])
def test_every_stored_epoch_comes_once_and_in_order(database: Database, numbers: tuple[int, ...]) -> None:
    story = a_story(database)
    followed = feed(database, story, *numbers)
    epochs: defaultdict[str, list[int]] = defaultdict(list)
    losses: defaultdict[str, list[float]] = defaultdict(list)
    for message in said(everything(followed), "metrics"):
        for run in message["runs"]:
            epochs[run["run_id"]] += run["epochs"]
            losses[run["run_id"]] += run["series"]["test_loss"]
    assert set(epochs) == {str(run_id) for run_id in followed.run_ids}
    with database.read() as session:
        for run_id in followed.run_ids:
            stored = curves.read(session, run_id)
            assert epochs[str(run_id)] == stored.epochs.tolist()
            assert losses[str(run_id)] == stored.series["test_loss"].tolist()


@pytest.mark.usefixtures("small_batches")
@pytest.mark.parametrize("numbers", [(), (0,), (1, 4)])
def test_taken_up_after_any_id_the_rest_comes_without_gap_or_repeat(
    database: Database, numbers: tuple[int, ...]
) -> None:
    followed = feed(database, a_story(database), *numbers)
    whole = [(str(message.cursor), message.event) for message in everything(followed)]
    assert len({known_as for known_as, _ in whole}) == len(whole)
    for place, (known_as, _) in enumerate(whole):
        rest = everything(followed, Cursor.parse(known_as))
        assert told(rest) == told(everything(followed)[place + 1 :])


def told(messages: Sequence[Message]) -> dict[str, list[Any]]:
    """What is told, in order: of each run its epochs, of all the changes. Where a message ends is of no matter."""
    found: defaultdict[str, list[Any]] = defaultdict(list)
    for message in messages:
        data = json.loads(message.data)
        for run in data.get("runs", []):
            found[run["run_id"]] += run["epochs"]
        found["changes"] += data.get("changes", [])
    return found


def test_changes_tell_what_happened_to_whom(database: Database) -> None:
    story = a_story(database)
    changes = [
        change for message in said(everything(feed(database, story, 1)), "status") for change in message["changes"]
    ]
    of_experiment = [change["status"] for change in changes if change["of"] == "experiment"]
    assert of_experiment == ["queued", "running", "succeeded"]
    assert [change["kind"] for change in changes if change["of"] == "job" and change["status"] is None] == ["crashed"]
    of_runs = [(change["run_id"], change["runs"], change["status"]) for change in changes if change["of"] == "run"]
    assert (str(story[1][1]), None, "failed") in of_runs
    assert [each[1:] for each in of_runs if each[0] is None] == [
        (1, "succeeded"),  # by reuse
        (1, None),  # leaves the job that is split
        (1, "queued"),
        (1, None),  # a cancel is asked for
        (1, "cancelled"),
        (1, "succeeded"),
        (1, "succeeded"),
    ]
    assert next(change["reason"] for change in changes if change["status"] == "failed") == "the loss became infinite"


def test_runs_that_change_alike_are_counted(database: Database) -> None:
    submitted = submit(database, 200)
    held = claim(database)
    with database.write() as session:
        runs.finish_all(session, held, [runs.Outcome(run.run_id, Status.SUCCEEDED, {}) for run in held.runs])
    changes = said(everything(feed(database, (submitted.id, [run.run_id for run in held.runs]), 5)), "status")[-1][
        "changes"
    ]
    assert sorted((change["of"], change["runs"], change["status"]) for change in changes if change["runs"]) == [
        ("run", 199, "succeeded")
    ]
    assert len(json.dumps(changes)) < 2000


def test_only_the_metrics_asked_for_come(database: Database) -> None:
    followed = feed(database, a_story(database), 1, metrics=["train_loss"])
    series = [run["series"] for message in said(everything(followed), "metrics") for run in message["runs"]]
    assert {name for each in series for name in each} == {"train_loss"}


def test_by_default_the_first_fifty_runs_are_followed(database: Database) -> None:
    submitted = submit(database, 60)
    with database.read() as session:
        members = following.first_runs(session, submitted.id, 100)
    assert feed(database, (submitted.id, [])).run_ids == members[:50]


def test_runs_of_another_experiment_are_pointed_out(database: Database) -> None:
    story = a_story(database)
    with pytest.raises(Problem) as caught:
        Feed.open(database, story[0], None, EventQuery(run=[story[1][0], new_id()]))
    assert [(fault.place, fault.pointer) for fault in caught.value.errors] == [("query", "/run/1")]


@pytest.mark.parametrize("text", ["", "x", "-1", "1.2", "1.0", "12345678901234567890", "1 ", "1.end2"])
def test_ids_that_were_never_given_are_refused(text: str) -> None:
    with pytest.raises(Problem) as caught:
        Cursor.parse(text)
    assert [(fault.place, fault.pointer) for fault in caught.value.errors] == [("header", "/Last-Event-ID")]


def test_an_id_of_the_future_is_refused(database: Database) -> None:
    followed = feed(database, a_story(database))
    with pytest.raises(Problem, match="not given yet"):
        followed.read(Cursor.parse("1000000"))


@pytest.mark.parametrize("make", [lambda: Cursor(7, 7), lambda: Cursor(7, 6), lambda: Cursor(7, 7, has_end=True)])
def test_a_cursor_is_read_as_it_was_written(make: Callable[[], Cursor]) -> None:
    assert Cursor.parse(str(make())) == make()


def test_what_is_not_there_or_somebody_elses_cannot_be_followed(database: Database) -> None:
    story = a_story(database)
    for experiment_id, owner in ((new_id(), None), (story[0], "bob")):
        with pytest.raises(NotFound):
            Feed.open(database, experiment_id, owner, EventQuery())
