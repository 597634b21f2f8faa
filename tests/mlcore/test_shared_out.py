"""Threads that share a stack out train it as they do together."""

from collections.abc import Iterator, Sequence

import numpy as np
import pytest
import torch

from mlcore.checkpoint import state_from_bytes, state_to_bytes
from mlcore.from_scratch.mlp import StackedMlp
from mlcore.from_scratch.shared_out import SharedOutMlp
from mlcore.spec import MlpSpec, RunSpec
from mlcore.stack import layout_of
from mlcore.training import Tick, Training
from tests.mlcore.trainings import assert_close, epochs, fingerprint, spec_of, trained, training

WIDE: dict[str, object] = {"hidden": [128, 64], "dropout": [0.5, 0.2], "batch_size": 300, "precision": "float64"}
SEEDS = [spec_of("dropout", **WIDE, seed=seed, learning_rate=rate) for seed in range(6) for rate in (0.1, 0.3)]
RATES = [spec_of("dropout", **WIDE, learning_rate=0.02 * number) for number in range(1, 23)]
FOLDS = [spec_of("dropout", **WIDE, folds=5, fold=fold, seed=seed) for fold in range(5) for seed in range(2)]
STACKS = pytest.mark.parametrize("specs", [SEEDS, RATES, FOLDS], ids=["seeds", "rates", "folds"])


@pytest.fixture(autouse=True)
def two_threads() -> Iterator[None]:
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(1)


def is_shared_out(stack: Training) -> bool:
    return isinstance(stack._network, SharedOutMlp)


def on_one_thread(specs: Sequence[RunSpec], **options: object) -> Training:
    torch.set_num_threads(1)
    whole = training(specs, **options)
    assert isinstance(whole._network, StackedMlp)
    torch.set_num_threads(2)
    return whole


def finished(stack: Training) -> Training:
    for _ in stack:
        pass
    return stack


@STACKS
def test_it_gives_what_one_thread_gives(specs: list[RunSpec]) -> None:
    shared_out, whole = training(specs), on_one_thread(specs)
    assert is_shared_out(shared_out)
    for ours, theirs in zip(epochs(shared_out), epochs(whole), strict=True):
        assert ours.metrics.keys() == theirs.metrics.keys()
        for name, values in ours.metrics.items():
            assert_close(values, theirs.metrics[name])
    for run in range(len(specs)):
        best, expected = shared_out.best(run), whole.best(run)
        assert best is not None
        assert expected is not None
        assert best.epoch == expected.epoch
        for kept, by_one in ((shared_out.weights(run), whole.weights(run)), (best.weights, expected.weights)):
            for name, tensor in by_one.items():
                assert_close(kept[name].numpy(), tensor.numpy())


@STACKS
def test_a_state_is_anybodys_to_go_on_from(specs: list[RunSpec]) -> None:
    undisturbed = finished(training(specs))
    started = training(specs)
    next(epochs(started))
    state = state_to_bytes(started.state())
    resumed = finished(training(specs, state=state_from_bytes(state)))
    assert fingerprint(resumed) == fingerprint(undisturbed)
    by_one = finished(on_one_thread(specs, state=state_from_bytes(state)))
    for name, tensor in by_one.weights(3).items():
        assert_close(resumed.weights(3)[name].numpy(), tensor.numpy())


@STACKS
def test_a_run_that_stops_or_diverges_leaves_the_others_their_bits(specs: list[RunSpec]) -> None:
    undisturbed = trained(specs)
    wild = specs[-1].model_copy(update={"learning_rate": 1e6})
    disturbed = trained([*specs[:-1], wild], stop=(1, 2))
    assert disturbed.diverged == [len(specs) - 1]
    assert np.isnan(disturbed.metrics["weight_l2_norm"][2:, 1]).all()
    assert not disturbed.weights[1]["layers.0.weight"].any()
    for other in set(range(len(specs) - 1)) - {1}:
        for name, tensor in undisturbed.weights[other].items():
            assert tensor.equal(disturbed.weights[other][name])


def test_it_gives_signs_of_life_inside_an_epoch_at_which_a_run_can_be_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mlcore.training.TICK_SECONDS", 0.0)
    monkeypatch.setattr("mlcore.from_scratch.shared_out.TURN_SECONDS", 0.0)  # each turn is a step
    stack = training(SEEDS)
    reports = iter(stack)
    while not (isinstance(next(reports), Tick) and stack.epoch):
        pass
    state = stack.state()
    assert state.epoch == 1
    stack.stop(7)
    for _ in reports:
        pass
    assert not stack.weights(7)["layers.0.weight"].any()
    assert fingerprint(finished(training(SEEDS)))[:7] == fingerprint(stack)[:7]


def test_what_goes_wrong_in_a_thread_is_heard_of() -> None:
    stack = training(SEEDS)
    next(iter(epochs(stack)))
    stack._network.parameters()["layers.0.weight"].resize_(0)
    with pytest.raises(RuntimeError):
        finished(stack)


@pytest.mark.parametrize(
    ("seeds", "rates", "threads", "suits"),
    [(2, 8, 1, False), (2, 8, 2, True), (3, 8, 2, False), (19, 1, 2, True), (16, 1, 16, True), (16, 1, 12, False),
     (1, 16, 2, True), (1, 3, 2, False), (1, 8, 4, False), (10, 2, 11, True)],
)  # fmt: skip
def test_threads_share_a_stack_out_that_keeps_them_all_busy(
    *, seeds: int, rates: int, threads: int, suits: bool
) -> None:
    specs = [MlpSpec(seed=seed, learning_rate=0.1 / rate) for seed in range(seeds) for rate in range(1, rates + 1)]
    assert SharedOutMlp.suits(specs, layout_of(specs), threads) == suits


def test_small_steps_are_taken_together() -> None:
    specs = [MlpSpec(seed=seed, hidden=[16], batch_size=16) for seed in range(16)]
    assert not SharedOutMlp.suits(specs, layout_of(specs), 2)


def test_threads_without_a_part_are_left_out() -> None:
    specs = [MlpSpec(seed=seed, n_train=600, n_test=200) for seed in range(10)]
    assert len(SharedOutMlp(specs, layout_of(specs), 11)._shares) == 10
