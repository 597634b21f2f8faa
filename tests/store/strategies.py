"""What Hypothesis draws for more than one module."""

from collections.abc import Mapping

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from numpy.typing import NDArray

History = tuple[NDArray[np.int64], Mapping[str, NDArray[np.float64]], list[int]]

float64s = st.floats(allow_nan=True, allow_infinity=True, width=64)
metric_names = st.text(st.characters(categories=["L"]), min_size=1)


@st.composite
def histories(draw: st.DrawFn) -> History:
    """Increasing epochs, a series for each of some metrics, and where to cut them into segments."""
    epochs = draw(st.lists(st.integers(1, 100_000), min_size=1, max_size=30, unique=True).map(sorted))
    names = draw(st.lists(metric_names, min_size=1, max_size=4, unique=True))
    series = {name: draw(npst.arrays(np.float64, len(epochs), elements=float64s)) for name in names}
    cuts = draw(st.lists(st.integers(1, len(epochs)), max_size=5).map(sorted))
    return np.array(epochs), series, cuts
