"""The same spec gives the same bits, however often it is interrupted."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from mlcore.checkpoint import state_from_bytes, state_to_bytes
from mlcore.spec import RunSpec
from mlcore.training import Tick, Training
from tests.mlcore.trainings import epochs, fingerprint, spec_of, training

CASES = [
    (name, implementation)
    for name in ("mlp", "dropout", "polynomial", "linear")
    for implementation in ("scratch", "concise")
]


def finished(specs: Sequence[RunSpec], **options: Any) -> Training:
    done = training(specs, **options)
    for _ in done:
        pass
    return done


def interrupted(specs: Sequence[RunSpec], after: int) -> bytes:
    """The state of a training abandoned inside the epoch after `after`."""
    started = training(specs)
    reports = iter(started)
    while started.epoch < after:
        next(reports)
    state = state_to_bytes(started.state())
    next(reports)
    return state


@pytest.mark.parametrize(("name", "implementation"), CASES)
def test_the_same_spec_twice_gives_the_same_bits(name: str, implementation: str) -> None:
    spec = spec_of(name, implementation=implementation)
    first, second = finished([spec]), finished([spec])
    assert fingerprint(first) == fingerprint(second)
    assert fingerprint(first) != fingerprint(finished([spec.model_copy(update={"seed": 1})]))


@pytest.mark.parametrize(("name", "implementation"), CASES)
def test_resuming_after_any_epoch_gives_the_bits_of_the_uninterrupted_run(name: str, implementation: str) -> None:
    spec = spec_of(name, implementation=implementation, epochs=4)
    whole = finished([spec])
    for epoch in range(1, 4):
        resumed = finished([spec], state=state_from_bytes(interrupted([spec], epoch)))
        assert fingerprint(resumed) == fingerprint(whole)
        assert resumed.best(0) is not None
        assert_same_best(resumed, whole)


def test_a_stack_with_a_diverged_and_a_stopped_run_resumes_to_the_same_bits() -> None:
    specs = [
        spec_of("dropout", seed=seed, learning_rate=rate) for seed, rate in [(0, 0.1), (1, 1000.0), (1, 0.1), (2, 0.2)]
    ]

    def run(*, interrupt: bool) -> Training:
        stacked = training(specs)
        for report in epochs(stacked):
            if report.epoch == 2:
                stacked.stop(3)
                if interrupt:
                    break
        return finished(specs, state=state_from_bytes(state_to_bytes(stacked.state()))) if interrupt else stacked

    assert fingerprint(run(interrupt=True)) == fingerprint(run(interrupt=False))


def test_a_state_taken_inside_a_long_epoch_is_that_of_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mlcore.training.TICK_SECONDS", 0.0)  # a tick after every step
    spec = spec_of("dropout")
    started = training([spec])
    reports = iter(started)
    while started.epoch < 2:
        next(reports)
    assert isinstance(next(reports), Tick)
    state = state_from_bytes(state_to_bytes(started.state()))
    assert state.epoch == 2
    assert fingerprint(finished([spec], state=state)) == fingerprint(finished([spec]))


def test_two_trainings_side_by_side_do_not_disturb_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mlcore.training.TICK_SECONDS", 0.0)
    spec = spec_of("dropout", implementation="concise")
    both = [training([spec]), training([spec.model_copy(update={"seed": 1})])]
    for _ in zip(*both, strict=False):
        pass
    for _ in both[0]:
        pass
    assert fingerprint(both[0]) == fingerprint(finished([spec]))


def test_best_is_where_the_selecting_loss_was_lowest() -> None:
    spec = spec_of("linear", epochs=100, weight_decay=0.0, n_valid=50)
    stacked = training([spec])
    curve = [report.metrics["valid_loss"][0] for report in epochs(stacked)]
    best = stacked.best(0)
    assert best is not None
    assert best.selected_on == "valid"
    assert (best.epoch, best.loss) == (int(np.argmin(curve)) + 1, min(curve))


def assert_same_best(a: Training, b: Training) -> None:
    first, second = a.best(0), b.best(0)
    assert first is not None
    assert second is not None
    assert (first.epoch, first.loss, first.selected_on) == (second.epoch, second.loss, second.selected_on)
    for name, tensor in first.weights.items():
        assert tensor.equal(second.weights[name])
