from concurrent.futures import ThreadPoolExecutor

import pytest

from store import admission, experiments
from store.engine import Database
from store.errors import QueueFull
from store.experiments import NewJob
from tests.store.samples import SPEC, claim, finish_all, submit


def require_room(database: Database, runs: int, most: int) -> None:
    with database.write() as session:
        admission.require_room(session, "ann", runs, most)


def test_one_owner_may_have_so_many_runs_waiting(database: Database) -> None:
    submit(database, 3, 2)
    submit(database, owner="bob")
    require_room(database, 5, most=10)
    with pytest.raises(QueueFull, match="5 runs of yours are waiting"):
        require_room(database, 6, most=10)
    held = claim(database)
    require_room(database, 8, most=10)
    finish_all(database, held)
    with pytest.raises(QueueFull):
        require_room(database, 9, most=10)


def test_submissions_at_the_same_moment_do_not_exceed_it_together(database: Database) -> None:
    def submit_if_there_is_room(_number: int) -> bool:
        try:
            with database.write() as session:
                admission.require_room(session, "ann", 1, 5)
                experiments.create(session, request={}, owner="ann", jobs=[NewJob("cpu", [SPEC])], code_version="1")
        except QueueFull:
            return False
        return True

    with ThreadPoolExecutor(8) as threads:
        taken = list(threads.map(submit_if_there_is_room, range(16)))
    assert sum(taken) == 5
