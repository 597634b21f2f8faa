import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from store import curves, flushes
from store.curves import Segment
from store.engine import Database
from store.identifiers import new_id
from tests.store.samples import claim, store_epochs, store_history, submit
from tests.store.strategies import History, histories


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=histories(), after=st.integers(0, 100_000))
def test_what_goes_in_comes_out_bit_for_bit(database: Database, history: History, after: int) -> None:
    epochs, series, _ = history
    submit(database)
    held = claim(database)
    run_id = held.runs[0].run_id
    store_history(database, held, run_id, history)
    with database.read() as session:
        curve = curves.read(session, run_id, after)
    kept = epochs > after
    assert curve.epochs.tolist() == epochs[kept].tolist()
    assert curve.epochs.dtype == np.int64
    if kept.any():
        assert list(curve.series) == list(series)
        for name, values in series.items():
            assert curve.series[name].tobytes() == values[kept].tobytes()


def test_a_run_that_stored_nothing_has_an_empty_curve(database: Database) -> None:
    with database.read() as session:
        curve = curves.read(session, new_id())
    assert curve.epochs.size == 0
    assert curve.series == {}


def test_a_metric_that_some_segments_lack_is_nan_there(database: Database) -> None:
    submit(database)
    held = claim(database)
    run_id = held.runs[0].run_id
    first = Segment(run_id, np.array([1, 2]), {"test_loss": np.array([3.0, 2.0])})
    last = Segment(run_id, np.array([3]), {"test_loss": np.array([1.0]), "train_loss": np.array([0.5])})
    for segment in (first, last):
        with database.write() as session:
            flushes.write(session, held, [segment], 60)
    with database.read() as session:
        series = curves.read(session, run_id).series
    np.testing.assert_array_equal(series["test_loss"], [3.0, 2.0, 1.0])
    np.testing.assert_array_equal(series["train_loss"], [np.nan, np.nan, 0.5])


def test_after_epoch_cuts_through_a_segment(database: Database) -> None:
    submit(database)
    held = claim(database)
    store_epochs(database, held, 1, 6)
    store_epochs(database, held, 7, 9)
    with database.read() as session:
        curve = curves.read(session, held.runs[0].run_id, after_epoch=4)
    assert curve.epochs.tolist() == [5, 6, 7, 8, 9]
    np.testing.assert_allclose(curve.series["train_loss"], 1 / curve.epochs)


def test_the_ends_of_many_curves_are_each_what_reading_one_gives(database: Database) -> None:
    submit(database, 3)
    held = claim(database)
    for first, last in ((1, 6), (7, 9), (10, 12)):
        store_epochs(database, held, first, last)
    after = {held.runs[0].run_id: 7, held.runs[1].run_id: 0, held.runs[2].run_id: 12, new_id(): 0}
    with database.read() as session:
        tails = curves.tails(session, after)
        assert set(tails) == {held.runs[0].run_id, held.runs[1].run_id}
        for run_id, tail in tails.items():
            whole = curves.read(session, run_id, after[run_id])
            assert tail.epochs.tolist() == whole.epochs.tolist()
            assert {name: values.tolist() for name, values in tail.series.items()} == {
                name: values.tolist() for name, values in whole.series.items()
            }
        assert curves.tails(session, {}) == {}


@pytest.mark.parametrize(
    ("epochs", "values"),
    [([1, 2], [0.0]), ([0, 1], [0.0, 0.0]), ([2, 1], [0.0, 0.0]), ([1, 1], [0.0, 0.0]), ([[1]], [[0.0]])],
)
def test_segments_that_make_no_sense_are_refused(epochs: list[int], values: list[float]) -> None:
    with pytest.raises(ValueError, match=r"one value|count from 1"):
        Segment(new_id(), np.array(epochs), {"loss": np.array(values)})
