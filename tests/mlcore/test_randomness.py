"""Draws are pure functions of (seed, purpose, epoch)."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from mlcore.randomness import batch_orders, stream
from mlcore.spec import LARGEST_SEED

seeds = st.integers(0, LARGEST_SEED)


def orders_of(seeds: list[int], epoch: int, n: int) -> NDArray[np.int64]:
    (orders,) = batch_orders(seeds, range(epoch, epoch + 1), n)
    return np.asarray(orders)


@given(st.lists(seeds, min_size=1, max_size=5), st.integers(0, 10_000), st.integers(1, 300))
def test_a_batch_order_is_a_permutation_that_does_not_depend_on_its_neighbours(
    seeds: list[int], epoch: int, n: int
) -> None:
    together = orders_of(seeds, epoch, n)
    assert (np.sort(together, axis=1) == np.arange(n)).all()
    for seed, order in zip(seeds, together, strict=True):
        assert (order == orders_of([seed], epoch, n)[0]).all()
    later = batch_orders(seeds, range(epoch, epoch + 3), n)
    assert (later[0] == together).all()
    assert (later[2] == orders_of(seeds, epoch + 2, n)).all()


def test_batch_orders_are_uniform() -> None:
    orders = orders_of(list(range(6_000)), 1, 3)
    _, counts = np.unique(orders, axis=0, return_counts=True)
    assert len(counts) == 6
    assert ((counts - 1_000) ** 2 / 1_000).sum() < 20.5  # chi squared, 5 degrees of freedom, p = 0.001


def test_each_position_holds_each_example_equally_often() -> None:
    orders = orders_of(list(range(200)), 3, 50)
    counts = np.stack([np.bincount(column, minlength=50) for column in orders.T])
    assert ((counts - 4) ** 2 / 4).sum() < 2401 + 4 * np.sqrt(2 * 2401)


def test_seed_purpose_and_index_each_change_the_draw() -> None:
    draws = {
        stream(seed, purpose, *index).integers(2**63)
        for seed in (0, 1, 2**32, LARGEST_SEED)
        for purpose in ("init", "mask", "inputs")
        for index in ((), (1,), (1, 1))
    }
    assert len(draws) == 4 * 3 * 3
    assert (orders_of([0], 1, 50) != orders_of([0], 2, 50)).any()
    assert (orders_of([0], 1, 50) != orders_of([2**32], 1, 50)).any()


def test_the_draws_are_the_documented_ones() -> None:
    """A change here changes every result: it belongs into the changelog."""
    assert orders_of([0], 1, 8)[0].tolist() == [3, 0, 6, 4, 7, 5, 2, 1]
    assert stream(0, "init", 0).standard_normal() == 0.17317978473305534
