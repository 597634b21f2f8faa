"""Training as a card does it, on every device: the steps replayed, batches and masks drawn where the training is.

On the CPU the same program runs step by step, so that all but the capture is tested without a card.
"""

from typing import Any

import numpy as np
import pytest
import torch

from mlcore.checkpoint import state_from_bytes, state_to_bytes
from mlcore.data import loading
from mlcore.device import out_of_memory
from mlcore.errors import WrongDevice
from mlcore.from_scratch.replayed import ReplayedMlp
from mlcore.spec import MlpSpec, RunSpec
from mlcore.stack import layout_of
from mlcore.training import Tick, Training
from tests.mlcore.devices import needs_card
from tests.mlcore.trainings import SAMPLE, Trained, assert_close, epochs, fingerprint, spec_of, trained, training

NAMES = ["mlp", "dropout", "polynomial", "linear", "folds"]
UNEVEN = {
    "mlp": {"n_train": 330},
    "dropout": {"n_train": 330},
    "polynomial": {"n_train": 47},
    "linear": {"n_train": 17},
}
"""Sizes that leave a shorter batch at the end, and units whose random bits do not fill the last draw."""


def stack_of(name: str, **changes: Any) -> list[RunSpec]:
    """Runs that share batches and runs that do not, with one λ for all: a number where rates may be shared."""
    fields = {"precision": "float64", "weight_decay": 0.05, **UNEVEN.get(name, {}), **changes}
    rate = 0.05 if name in ("mlp", "dropout") else 0.004
    members: list[dict[str, Any]] = [
        {"seed": 0},
        {"seed": 0, "learning_rate": rate},
        {"seed": 1},
        {"seed": 2, "learning_rate": rate / 2},
    ]
    if name == "dropout":
        members[1] = {"seed": 0, "dropout": [0.0, 0.7]}
    if name == "folds":
        members = [{"folds": 4, "fold": fold, "data_seed": 1} for fold in range(4)]
    return [spec_of(name, **fields, **member) for member in members]


def replayed(specs: list[RunSpec], device: str, **options: Any) -> Training:
    return training(specs, device=device, replay=True, **options)


def finished(specs: list[RunSpec], device: str, **options: Any) -> Training:
    done = replayed(specs, device, **options)
    for _ in done:
        pass
    return done


def assert_equal_runs(one: Trained, other: Trained, runs: list[int]) -> None:
    for name, values in one.metrics.items():
        np.testing.assert_array_equal(values[:, runs], other.metrics[name][:, runs])
    for run in runs:
        for name, tensor in one.weights[run].items():
            assert tensor.equal(other.weights[run][name])


@pytest.mark.parametrize("name", NAMES)
def test_a_run_in_a_stack_is_the_run_it_is_alone(name: str, device: str) -> None:
    specs = stack_of(name)
    together = trained(specs, device=device, replay=True)
    for run, spec in enumerate(specs):
        alone = trained([spec], device=device, replay=True)
        for metric, values in alone.metrics.items():
            assert_close(together.metrics[metric][:, run], values[:, 0])
        for weight, tensor in alone.weights[0].items():
            assert_close(together.weights[run][weight].numpy(), tensor.numpy())


@pytest.mark.parametrize("name", ["mlp", "polynomial", "linear", "folds"])
def test_its_curve_is_that_of_the_cpu(name: str, device: str) -> None:
    specs = stack_of(name)
    here, there = trained(specs), trained(specs, device=device, replay=True)
    assert set(here.metrics) == set(there.metrics)
    for metric, values in here.metrics.items():
        assert_close(there.metrics[metric], values)


def test_with_dropout_its_curve_is_that_of_the_cpu_with_the_same_masks(device: str) -> None:
    specs = stack_of("dropout")
    here, there = trained(specs, replay=True), trained(specs, device=device, replay=True)
    for metric, values in here.metrics.items():
        assert_close(there.metrics[metric], values)


def test_a_float32_mlp_follows_the_cpu_over_its_first_50_steps(device: str) -> None:
    specs = [spec_of("mlp", n_train=640, epochs=5, hidden=[256], seed=seed) for seed in range(2)]
    here, there = trained(specs), trained(specs, device=device, replay=True)
    for metric in ("running_loss", "test_loss"):
        np.testing.assert_allclose(there.metrics[metric], here.metrics[metric], rtol=1e-4)


def test_masks_drawn_there_regularise_as_those_of_the_cpu_do(device: str) -> None:
    def final(*, replay: bool) -> float:
        specs = [spec_of("dropout", seed=seed, epochs=12) for seed in range(4)]
        options = {"device": device, "replay": True} if replay else {}
        return float(list(epochs(training(specs, **options)))[-1].metrics["test_loss"].mean())

    assert final(replay=True) == pytest.approx(final(replay=False), rel=0.1)  # other masks, the same law


@pytest.mark.parametrize("implementation", ["scratch", "concise"])
@pytest.mark.parametrize("name", ["mlp", "dropout", "polynomial", "linear"])
def test_resuming_gives_the_bits_of_the_uninterrupted_run(name: str, implementation: str, device: str) -> None:
    specs = (
        stack_of(name, epochs=4) if implementation == "scratch" else [spec_of(name, epochs=4, implementation="concise")]
    )
    whole = finished(specs, device)
    for epoch in range(1, 4):
        started = replayed(specs, device)
        reports = iter(started)
        while started.epoch < epoch:
            next(reports)
        state = state_to_bytes(started.state())
        next(reports)  # it is abandoned inside the epoch after
        resumed = finished(specs, device, state=state_from_bytes(state))
        assert fingerprint(resumed) == fingerprint(whole)
        best, expected = resumed.best(0), whole.best(0)
        assert best is not None
        assert expected is not None
        assert best.epoch == expected.epoch
        assert all(tensor.equal(expected.weights[weight]) for weight, tensor in best.weights.items())


def test_a_state_taken_inside_a_long_epoch_is_that_of_before_it(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mlcore.training.TICK_SECONDS", 0.0)
    specs = stack_of("dropout")
    started = replayed(specs, device)
    reports = iter(started)
    while started.epoch < 2:
        next(reports)
    assert isinstance(next(reports), Tick)
    weights = fingerprint(started)
    state = state_from_bytes(state_to_bytes(started.state()))
    assert state.epoch == 2
    assert fingerprint(replayed(specs, device, state=state)) == weights
    assert fingerprint(finished(specs, device, state=state)) == fingerprint(finished(specs, device))


@pytest.mark.parametrize("name", ["dropout", "linear", "polynomial"])
def test_a_run_that_diverges_ends_alone(name: str, device: str) -> None:
    specs = stack_of(name)
    undisturbed = trained(specs, device=device, replay=True)
    wild = [*specs[:1], specs[1].model_copy(update={"learning_rate": 1000.0}), *specs[2:]]
    disturbed = trained(wild, device=device, replay=True)
    assert disturbed.diverged == [1] or name == "dropout"  # a network whose units have all died stays finite
    assert_equal_runs(undisturbed, disturbed, [0, 2, 3])


@pytest.mark.parametrize("inside", ["between epochs", "inside an epoch"])
@pytest.mark.parametrize("name", ["dropout", "polynomial", "linear"])
def test_a_run_that_is_cancelled_leaves_the_others_their_bits(
    name: str, inside: str, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mlcore.training.TICK_SECONDS", 10.0 if inside == "between epochs" else 0.0)
    specs = [each.model_copy(update={"learning_rate": 0.004}) for each in stack_of(name)]  # one rate, one λ: shared
    undisturbed = trained(specs, device=device, replay=True)
    stack = replayed(specs, device)
    reports = list[Any]()
    for report in stack:
        reports.append(report)
        if stack.epoch == 2 and stack.active[1] and isinstance(report, Tick) == (inside == "inside an epoch"):
            stack.stop(1)
    curves = {
        metric: np.array([each.metrics.get(metric, [np.nan] * 4) for each in reports if not isinstance(each, Tick)])
        for metric in undisturbed.metrics
    }
    weights = [stack.weights(run) for run in range(4)]
    assert_equal_runs(undisturbed, Trained(curves, weights, []), [0, 2, 3])
    assert np.isnan(curves["weight_l2_norm"][3:, 1]).all()
    assert all((tensor == 0).all() for tensor in weights[1].values())


def test_a_card_that_is_too_small_is_known_by_its_error_or_what_led_to_it() -> None:
    hidden = RuntimeError("the capture was invalidated")
    hidden.__context__ = torch.OutOfMemoryError("CUDA out of memory")
    assert out_of_memory(hidden)
    assert out_of_memory(torch.OutOfMemoryError())
    assert out_of_memory(RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"))
    assert not out_of_memory(RuntimeError("shapes differ"))


def test_examples_are_copied_to_a_device_once_and_forgotten_with_the_original() -> None:
    images = loading.load([spec_of("mlp")], SAMPLE), loading.load([spec_of("mlp", n_train=300)], SAMPLE)
    first, second = (dataset.to("meta").train.features for dataset in images)  # a device that every machine has
    assert first is second
    drawn = [loading.load([spec_of("linear")], SAMPLE) for _ in range(2)]
    assert drawn[0].to("meta").train.features is not drawn[1].to("meta").train.features
    assert loading.load([spec_of("mlp")], SAMPLE).to("cpu").train.features is images[0].train.features


@pytest.mark.parametrize("implementation", ["scratch", "concise"])
def test_bfloat16_multiplies_narrowly_and_keeps_float32(implementation: str, device: str) -> None:
    fields = {"implementation": implementation, "dropout": [0.2], "epochs": 4}
    wide, narrow = (
        trained([spec_of("mlp", precision=precision, **fields)], device=device, replay=True)
        for precision in ("float32", "bf16")
    )
    assert {tensor.dtype for tensor in narrow.weights[0].values()} == {torch.float32}
    assert not narrow.weights[0]["layers.0.weight"].equal(wide.weights[0]["layers.0.weight"])
    np.testing.assert_allclose(narrow.metrics["test_loss"], wide.metrics["test_loss"], rtol=0.02)


def test_tf32_is_refused_where_there_is_none() -> None:
    with pytest.raises(WrongDevice, match="float32"):
        training([spec_of("mlp", precision="tf32")])


@needs_card
def test_tf32_rounds_products_a_little_and_only_its_own() -> None:
    curves = {
        precision: trained([spec_of("mlp", precision=precision)], device="cuda").metrics["test_loss"]
        for precision in ("float32", "tf32")
    }
    np.testing.assert_allclose(curves["tf32"], curves["float32"], rtol=5e-3)
    assert (curves["tf32"] != curves["float32"]).any()
    np.testing.assert_array_equal(trained([spec_of("mlp")], device="cuda").metrics["test_loss"], curves["float32"])


@needs_card
def test_nothing_waits_for_the_card_inside_an_epoch() -> None:
    specs = [MlpSpec.model_validate(spec_of("dropout", seed=seed).model_dump()) for seed in range(2)]
    network = ReplayedMlp(specs, layout_of(specs), "cuda")
    part = loading.load(specs, SAMPLE).to("cuda").train
    for _ in network.train_epoch(part, 1):
        pass
    steps = network.train_epoch(part, 2)
    torch.cuda.set_sync_debug_mode("error")
    try:
        for _ in range(len(part) // specs[0].batch_size):
            next(steps)
    finally:
        torch.cuda.set_sync_debug_mode("default")


@needs_card
def test_a_stack_larger_than_the_card_says_so_and_leaves_it_usable() -> None:
    specs = [spec_of("mlp", hidden=[2048, 2048], seed=seed) for seed in range(16)]
    torch.cuda.set_per_process_memory_fraction(0.005)
    try:
        with pytest.raises(torch.OutOfMemoryError):
            trained(specs, device="cuda")
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert trained([spec_of("mlp")], device="cuda").diverged == []
