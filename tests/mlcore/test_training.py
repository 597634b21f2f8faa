"""What training reports, and what the chapter says of its results."""

import math
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from mlcore.data import loading
from mlcore.data.dataset import Dataset
from mlcore.errors import DatasetTooSmall
from mlcore.spec import LinearSpec, PolynomialSpec
from mlcore.training import EpochReport, Tick
from tests.mlcore.trainings import epochs, spec_of, training


def final(**changes: Any) -> dict[str, NDArray[np.float64]]:
    return list(epochs(training([spec_of(**changes)])))[-1].metrics


@pytest.mark.parametrize("implementation", ["scratch", "concise"])
def test_an_mlp_reports_running_averages_each_epoch_and_evaluates_its_training_set_at_the_end(
    implementation: str,
) -> None:
    *before, last = epochs(training([spec_of("mlp", implementation=implementation, n_valid=50)]))
    common = {"running_loss", "running_accuracy", "valid_loss", "valid_accuracy", "test_loss", "test_accuracy"}
    norms = {"weight_l2_norm", "weight_l1_norm"}
    assert all(set(report.metrics) == common | norms for report in before)
    assert set(last.metrics) == common | norms | {"train_loss", "train_accuracy"}


@pytest.mark.parametrize("name", ["polynomial", "linear"])
@pytest.mark.parametrize("implementation", ["scratch", "concise"])
def test_regressions_evaluate_training_and_test_set_every_time(name: str, implementation: str) -> None:
    reports = list(epochs(training([spec_of(name, implementation=implementation, epochs=7, evaluate_every=3)])))
    assert [report.epoch for report in reports if report.evaluated] == [1, 3, 6, 7]
    assert [bool(report.metrics) for report in reports] == [report.evaluated for report in reports]
    assert set(reports[-1].metrics) == {"train_loss", "test_loss", "weight_l2_norm", "weight_l1_norm"}


def test_dropout_is_off_when_evaluating() -> None:
    reports = list(epochs(training([spec_of("mlp", dropout=[1.0], epochs=1, learning_rate=1e-6)])))
    metrics = reports[0].metrics
    assert metrics["running_loss"][0] == pytest.approx(math.log(10), rel=1e-6)  # all units dropped: equal probabilities
    assert metrics["train_loss"][0] != pytest.approx(metrics["running_loss"][0], rel=1e-6)


def test_the_running_loss_of_one_batch_is_the_loss_before_its_step() -> None:
    first, second = epochs(training([spec_of("mlp", batch_size=600, epochs=2, precision="float64")]))
    assert second.metrics["running_loss"][0] < first.metrics["running_loss"][0]
    assert first.metrics["running_loss"][0] == pytest.approx(math.log(10), rel=1e-2)


def test_a_long_epoch_ticks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mlcore.training.TICK_SECONDS", 0.0)
    reports = list(training([spec_of("mlp", epochs=1)]))
    assert sum(isinstance(report, Tick) for report in reports) >= 10
    assert isinstance(reports[-1], EpochReport)


def test_loading_data_ticks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mlcore.training.TICK_SECONDS", 0.01)
    go_on = threading.Event()
    load = loading.load

    def slow_load(*arguments: Any) -> Dataset:
        assert go_on.wait(60)
        return load(*arguments)

    monkeypatch.setattr("mlcore.data.loading.load", slow_load)
    reports: Iterator[object] = iter(training([spec_of("linear", epochs=1)]))
    assert isinstance(next(reports), Tick)
    go_on.set()
    assert any(isinstance(report, EpochReport) for report in reports)


def test_a_run_that_diverges_says_so_and_keeps_the_value_that_told() -> None:
    reports = list(epochs(training([spec_of("linear", learning_rate=10.0, epochs=100)])))
    assert reports[-1].diverged == (0,)
    assert reports[-1].epoch < 100
    assert not reports[-1].metrics["train_loss"][0] <= 1e6


def test_labels_next_to_nothing_are_no_reason_to_call_a_run_diverged() -> None:
    tiny = spec_of("polynomial", coefficients=[1e-6], degree=0, noise_std=0.0, learning_rate=0.1, epochs=40)
    reports = list(epochs(training([tiny])))
    assert reports[-1].epoch == 40
    assert not any(report.diverged for report in reports)
    assert reports[-1].metrics["train_loss"][0] < 1e-12


def test_what_diverges_does_so_wherever_it_is_resumed() -> None:
    lost = spec_of("linear", learning_rate=0.1, epochs=100)
    whole = training([lost])
    (ended,) = [report.epoch for report in epochs(whole) if report.diverged]
    first = training([lost])
    for report in epochs(first):
        if report.epoch == ended - 1:
            break
    resumed = training([lost], state=first.state())
    assert [report.epoch for report in epochs(resumed) if report.diverged] == [ended]


def test_more_images_than_there_are_is_an_error_in_words() -> None:
    with pytest.raises(DatasetTooSmall, match="2000 training images; this data set has 1000"):
        list(training([spec_of("mlp", n_train=2000)]))


def test_images_of_the_parts_are_apart_and_chosen_by_the_data_seed(sample_root: Path) -> None:
    def rows(data_seed: int) -> tuple[list[int], list[int]]:
        dataset = loading.load([spec_of("mlp", n_train=600, n_valid=400, data_seed=data_seed)], sample_root)
        assert dataset.valid is not None
        return dataset.train.rows[0].tolist(), dataset.valid.rows[0].tolist()

    train, valid = rows(0)
    assert sorted(train + valid) == list(range(1000))
    assert rows(0) == (train, valid)
    assert rows(1)[0] != train


def test_polynomial_features_of_lower_degree_are_those_of_higher_ones_cut_off() -> None:
    low, high = (loading.load([PolynomialSpec(degree=degree)], Path()).train.features for degree in (3, 19))
    assert low.equal(high[:, :4])
    torch.testing.assert_close(high[:, 4], high[:, 1] ** 4 / 24)


def test_degree_three_learns_the_true_coefficients() -> None:
    runs = training([PolynomialSpec(data_seed=data_seed) for data_seed in range(10)])
    last = list(epochs(runs))[-1]
    weights = np.array([runs.weights(run)["layers.0.weight"][0].tolist() for run in range(10)])
    assert np.abs(np.median(weights, axis=0) - [5, 1.2, -3.4, 5.6]).max() < 0.1
    assert np.median(last.metrics["test_loss"]) < 0.02


def test_degree_one_underfits() -> None:
    assert list(epochs(training([PolynomialSpec(degree=1)])))[-1].metrics["test_loss"][0] > 1


def test_weight_decay_shrinks_weights_and_the_test_loss() -> None:
    last = list(epochs(training([LinearSpec(weight_decay=decay) for decay in (0.0, 3.0)])))[-1].metrics
    for metric in ("weight_l2_norm", "test_loss"):
        assert last[metric][1] < last[metric][0] / 2


def test_the_l1_penalty_leaves_more_weights_near_zero_than_l2() -> None:
    runs = training([LinearSpec(weight_decay=0.3, penalty=penalty, epochs=1000) for penalty in ("l1", "l2")])
    for _ in runs:
        pass
    near_zero = [int((runs.weights(run)["layers.0.weight"].abs() < 2e-3).sum()) for run in range(2)]
    assert near_zero[0] > 3 * near_zero[1]
