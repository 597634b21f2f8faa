from collections.abc import Callable
from typing import Any

import pytest

from store import experiments, runs
from store.engine import Database
from store.identifiers import new_id
from store.paging import NO_FILTERS, Filters, Page
from store.status import Status
from store.tables import Experiment, Run
from tests.store.samples import SPEC, claim, submit
from tests.store.statements import counting

MLP = {**SPEC, "variant": "mlp"}


def walk(database: Database, read: Callable[..., Page[Any, Any]], limit: int, **more: Any) -> list[Any]:
    rows: list[Any] = []
    after = None
    while True:
        with database.read() as session:
            page = read(session, limit=limit, after=after, **more)
        assert len(page.items) <= limit
        rows += page.items
        if page.next is None:
            return rows
        after = page.next


@pytest.mark.parametrize("limit", [1, 3, 7, 8, 50])
@pytest.mark.parametrize("newest_first", [True, False])
def test_a_walk_sees_each_row_once_in_order(database: Database, limit: int, *, newest_first: bool) -> None:
    submitted = [submit(database, 2).id for _ in range(7)]
    seen = [row.id for row in walk(database, experiments.page, limit, owner=None, newest_first=newest_first)]
    assert seen == (submitted[::-1] if newest_first else submitted)
    members = walk(database, runs.page, limit, owner=None, newest_first=newest_first)
    assert len({member.id for member in members}) == len(members) == 14
    in_order = [(submitted.index(member.experiment_id), member.number) for member in members]
    assert in_order == sorted(in_order, reverse=newest_first)


def test_rows_made_during_a_walk_do_not_shift_it(database: Database) -> None:
    submitted = [submit(database).id for _ in range(4)]
    with database.read() as session:
        first = experiments.page(session, owner=None, limit=2)
    submit(database)
    with database.read() as session:
        second = experiments.page(session, owner=None, limit=2, after=first.next)
    assert [row.id for row in first.items + second.items] == submitted[::-1]
    assert second.next is None


def test_owners_see_their_own(database: Database) -> None:
    ann, bob = submit(database, owner="ann"), submit(database, owner="bob")
    assert [row.id for row in walk(database, experiments.page, 9, owner="ann")] == [ann.id]
    assert {row.id for row in walk(database, experiments.page, 9, owner=None)} == {ann.id, bob.id}
    assert [row.owner for row in walk(database, runs.page, 9, owner="bob")] == ["bob"]


def test_ephemeral_experiments_are_not_listed(database: Database) -> None:
    submitted = submit(database, ephemeral=True)
    assert walk(database, experiments.page, 9, owner=None) == []
    assert walk(database, runs.page, 9, owner=None) == []
    with database.read() as session:
        assert len(runs.of_experiment(session, submitted.id, limit=9).items) == 1


def submit_out_of_order(database: Database) -> Experiment:
    """An experiment whose jobs have its runs in another order than that of their numbers."""
    new = [experiments.NewJob("cpu", [SPEC] * 2, [3, 0]), experiments.NewJob("cpu", [SPEC] * 3, [1, 4, 2])]
    with database.write() as session:
        return experiments.create(session, request={}, owner="ann", jobs=new, code_version="1")


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 50])
def test_the_runs_of_one_experiment_come_in_the_order_of_their_numbers(database: Database, limit: int) -> None:
    submitted, _other = submit_out_of_order(database), submit(database, 2)
    found: list[Run] = walk(database, runs.of_experiment, limit, experiment_id=submitted.id)
    assert [run.number for run in found] == [0, 1, 2, 3, 4]
    assert {run.experiment_id for run in found} == {submitted.id}
    with database.write() as session:
        runs.cancel(session, found[3].id)
        runs.cancel(session, found[1].id)
    for status, numbers in ((Status.CANCELLED, [1, 3]), (Status.QUEUED, [0, 2, 4]), (Status.FAILED, [])):
        some = walk(database, runs.of_experiment, limit, experiment_id=submitted.id, status=status)
        assert [run.number for run in some] == numbers


@pytest.mark.parametrize("status", [None, Status.FAILED])
def test_a_page_of_an_experiments_runs_is_read_along_an_index(database: Database, status: Status | None) -> None:
    if database.engine.dialect.name != "sqlite":
        pytest.skip("PostgreSQL chooses by the size of the table")
    with counting(database) as statements, database.read() as session:
        runs.of_experiment(session, new_id(), limit=50, after=7, status=status)
    _begin, statement = statements
    with database.engine.connect() as connection:
        marks = statement.count("?")
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", (None,) * marks).all()
    (step,) = (row.detail for row in plan)  # none that sorts
    assert "USING INDEX sqlite_autoindex_runs_2 (experiment_id=? AND number>?)" in step


@pytest.fixture
def several(database: Database) -> None:
    submit(database, 1, name="Dropout, first try", tags={"book": "4.6", "who's": 'a "quoted" key'})
    submit(database, 1, name="weight decay 100%", tags={"book": "4.5"})
    with database.write() as session:
        new = [experiments.NewJob("cpu", [MLP])]
        experiments.create(session, request={}, owner="ann", jobs=new, code_version="1")
    claim(database)


@pytest.mark.usefixtures("several")
@pytest.mark.parametrize(
    ("filters", "names"),
    [
        (NO_FILTERS, {"Dropout, first try", "weight decay 100%", None}),
        (Filters(status=Status.RUNNING), {"Dropout, first try"}),
        (Filters(status=Status.QUEUED), {"weight decay 100%", None}),
        (Filters(variant="mlp"), {None}),
        (Filters(tag=("book", "4.5")), {"weight decay 100%"}),
        (Filters(tag=("who's", 'a "quoted" key')), {"Dropout, first try"}),
        (Filters(tag=("book", "4.7")), set()),
        (Filters(tag=('"', "$.book")), set()),
        (Filters(q="DROP"), {"Dropout, first try"}),
        (Filters(q="0%"), {"weight decay 100%"}),
        (Filters(q="%"), {"weight decay 100%"}),
        (Filters(q="_"), set()),
        (Filters(status=Status.QUEUED, q="decay", tag=("book", "4.5"), variant="polynomial"), {"weight decay 100%"}),
    ],
)
def test_filters(database: Database, filters: Filters, names: set[str | None]) -> None:
    found: list[Experiment] = walk(database, experiments.page, 2, owner="ann", filters=filters)
    assert {row.name for row in found} == names
    members: list[Run] = walk(database, runs.page, 2, owner="ann", filters=filters)
    assert {member.experiment_id for member in members} == {row.id for row in found}


def test_an_experiment_comes_back_as_it_was_submitted(database: Database) -> None:
    request = {"spec": {"variant": "polynomial", "b": 1, "a": [1.5, None, True]}, "note": "ε and \N{SNOWMAN}"}
    submitted = submit(
        database, request=request, name="n", note="text", tags={"k": "v"}, priority=3, code_version="0.1"
    )
    with database.read() as session:
        found = experiments.get(session, submitted.id, "ann")
    assert (found.request, list(found.request["spec"])) == (request, ["variant", "b", "a"])
    assert (found.name, found.note, found.tags, found.priority) == ("n", "text", {"k": "v"}, 3)
    assert (found.code_version, found.variant, found.ephemeral) == ("0.1", "polynomial", False)
    assert (found.total_runs, found.total_epochs, found.epochs_done) == (1, 10, 0)
    assert (found.status, found.started_at, found.finished_at) == (Status.QUEUED, None, None)


def test_a_run_keeps_its_seeds_and_fold(database: Database) -> None:
    spec = {**SPEC, "seed": 2**53 - 1, "data_seed": 4, "fold": 2}
    with database.write() as session:
        new = [experiments.NewJob("cpu", [spec])]
        submitted = experiments.create(session, request={}, owner="ann", jobs=new, code_version="1")
        found = runs.of_experiment(session, submitted.id, limit=1).items[0]
        assert runs.get(session, found.id, "ann").spec == spec
    assert (found.seed, found.data_seed, found.fold, found.epochs) == (2**53 - 1, 4, 2, 10)
