"""What a device draws for itself: the hash of the CPU, bit for bit, and masks of the same law."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlcore.counter_hash import batch_order, counters, mask_keys, mixed_, random_words
from mlcore.from_scratch.dropout import LEVELS, CounterDropoutLayer, dropout_mask
from mlcore.randomness import batch_orders, mixed
from mlcore.spec import LARGEST_SEED, RunSpec
from mlcore.stack import layout_of
from tests.mlcore.trainings import spec_of

on_each_device = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@given(st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=50))
@on_each_device
def test_tensors_are_mixed_as_arrays_are(device: str, states: list[int]) -> None:
    values = np.array(states, np.uint64)
    tensor = torch.from_numpy(values.view(np.int64).copy()).to(device)
    assert (mixed_(tensor).cpu().numpy().view(np.uint64) == mixed(values)).all()


@given(st.lists(st.integers(0, LARGEST_SEED), min_size=1, max_size=5), st.integers(0, 100_000), st.integers(1, 300))
@on_each_device
def test_batch_orders_are_those_of_the_cpu(device: str, seeds: list[int], epoch: int, n: int) -> None:
    (expected,) = batch_orders(seeds, range(epoch, epoch + 1), n)
    found = batch_order(torch.tensor(seeds, device=device), epoch, counters(n, device))
    assert (found.cpu().numpy() == expected).all()


def words(device: str, seed: int, epoch: int, layer: int, step: int, n: int = 400) -> list[int]:
    keys = mask_keys(torch.tensor([seed], device=device), epoch, layer, counters(step + 1, device))
    drawn: list[int] = random_words(keys[step], counters(n, device))[0].tolist()
    return drawn


def test_words_are_uniform(device: str) -> None:
    drawn = np.array(words(device, 7, 3, 1, 5, n=50_000))
    assert (np.bincount((drawn >> 8) + 128, minlength=256) - 781.25).std() < 2 * np.sqrt(781.25)
    assert abs(drawn.mean() + 0.5) < 4 * (LEVELS / np.sqrt(12)) / np.sqrt(drawn.size)


def test_seed_epoch_layer_and_step_each_change_the_words(device: str) -> None:
    places = [(seed, epoch, layer, step) for seed in (0, 1) for epoch in (1, 2) for layer in (0, 1) for step in (0, 1)]
    drawn = np.array([words(device, *place) for place in places])
    same = (drawn[:, None] == drawn[None]).mean(2)
    assert same[~np.eye(len(places), dtype=bool)].max() < 0.01


def test_the_words_are_the_documented_ones(device: str) -> None:
    """A change here changes every result of a card: it belongs into the changelog."""
    assert words(device, 0, 1, 0, 0, n=2) == WORDS


WORDS = [-28174, 19024, -16213, 163, 29745, 31325, -5443, -18393]


def masks(specs: list[RunSpec], device: str, width: int = 32, n: int = 64, **options: Any) -> torch.Tensor:
    """The masks of step 1 in epoch 2 of a hidden layer: [G, C, width, n]."""
    layout = layout_of(specs)
    p = layout.spread([spec.dropout[0] for spec in specs])  # type: ignore[union-attr]
    number = torch.tensor([1], device=device)
    layer = CounterDropoutLayer(layout, p, 0, units=width * n, steps=3, number=number)
    layer.begin(2)
    return layer.next_mask(torch.ones(layout.groups, layout.columns, width, n, device=device))


def test_masks_do_not_depend_on_the_stack(device: str) -> None:
    specs = [spec_of("dropout", seed=seed, dropout=[0.3, 0.0]) for seed in (4, 1, 9)]
    together = masks(specs, device)
    layout = layout_of(specs)
    for run, spec in enumerate(specs):
        alone = masks([spec], device)
        assert together[layout.group[run], layout.column[run]].equal(alone[0, 0])


def test_runs_of_a_group_share_their_bits_not_their_probability(device: str) -> None:
    low, high = masks([spec_of("dropout", dropout=[p, 0.0]) for p in (0.2, 0.6)], device)[0] > 0
    assert (low | ~high).all()
    assert low.sum() > high.sum()


@pytest.mark.parametrize("p", [0.0, 0.2, 0.5, 0.9, 1.0])
def test_masks_follow_the_law_of_the_cpus(p: float, device: str) -> None:
    drawn = masks([spec_of("dropout", dropout=[p, 0.5])], device, width=128, n=512).cpu().numpy()
    scale = dropout_mask(np.zeros((1, 1), np.uint16), np.array([p])).max()
    assert set(np.unique(drawn)) <= {np.float32(0), scale}
    kept = (drawn > 0).mean()
    assert kept == pytest.approx(1 - p, abs=4 * np.sqrt(p * (1 - p) / drawn.size) + 1 / LEVELS)
