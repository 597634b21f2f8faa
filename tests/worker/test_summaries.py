"""Summary metrics say what the whole curve would."""

from itertools import pairwise
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from store.curves import Curve
from worker.summaries import Summaries

values = st.one_of(st.just(np.nan), st.just(np.inf), st.floats(-1e9, 1e9))
curves = arrays.arrays(np.float64, st.tuples(st.integers(1, 12), st.integers(1, 4)), elements=values)


def expected(series: np.ndarray[Any, Any]) -> dict[str, Any]:
    measured = [(value, epoch) for epoch, value in enumerate(series.tolist(), 1) if not np.isnan(value)]
    if not measured:
        return {}
    lowest, at = min(measured)
    return {"loss": {"last": measured[-1][0], "min": lowest, "min_epoch": at, "max": max(measured)[0]}}


@given(curves, st.data())
def test_a_summary_is_that_of_the_whole_curve_whatever_was_stored_before(
    matrix: np.ndarray[Any, Any], data: st.DataObject
) -> None:
    epochs, runs = matrix.shape
    stored = data.draw(st.integers(0, epochs))
    summaries = Summaries(runs)
    for run in range(runs):
        summaries.add_stored(run, Curve(np.arange(1, stored + 1), {"loss": matrix[:stored, run]}))
    cuts = sorted(data.draw(st.lists(st.integers(stored, epochs), max_size=3)))
    for start, stop in pairwise([stored, *cuts, epochs]):
        for _ in range(data.draw(st.integers(1, 2))):  # a write that failed is made again
            summaries.add(np.arange(start + 1, stop + 1), {"loss": matrix[start:stop].T})
    for run in range(runs):
        assert summaries.of(run) == expected(matrix[:, run])
