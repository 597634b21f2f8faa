"""K-fold cross-validation: d2l 4.4."""

import numpy as np
from numpy.typing import NDArray

from mlcore.randomness import stream


def fold_rows(data_seed: int, n: int, folds: int, fold: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the training and the held-out rows of a fold, both sorted.

    Folds are disjoint, cover the n training examples, differ in size by at most one and depend on data_seed alone.
    """
    parts = np.array_split(stream(data_seed, "folds").permutation(n), folds)
    held_out = np.sort(parts[fold])
    return np.setdiff1d(np.arange(n), held_out), held_out
