"""Small regressions train by affine maps, and to what the products of the others give."""

from typing import Any, cast

import pytest

from mlcore.checkpoint import state_from_bytes, state_to_bytes
from mlcore.data import loading
from mlcore.from_scratch.affine_regression import MOST_NUMBERS, AffineRegression
from mlcore.spec import LinearSpec, PolynomialSpec, RunSpec
from mlcore.stack import layout_of
from tests.mlcore.trainings import SAMPLE, assert_close, epochs, fingerprint, spec_of, trained, training

Changes = dict[str, Any]


def suits(specs: list[RunSpec]) -> bool:
    return AffineRegression.suits(cast("list[PolynomialSpec]", specs), layout_of(specs))


@pytest.mark.parametrize(
    ("name", "runs"),
    [
        ("polynomial", [{"degree": 19, "epochs": 50}]),
        ("polynomial", [{"n_train": 37, "weight_decay": 0.1}]),  # the last batch is smaller
        ("polynomial", [{"n_train": 7, "batch_size": 60}]),
        ("polynomial", [{"degree": 2, "seed": 1}, {"degree": 5, "learning_rate": 0.002, "weight_decay": 1.0}]),
        ("linear", [{"n_inputs": 3}]),
        ("linear", [{"n_inputs": 3, "seed": 1, "weight_decay": 0.0}, {"n_inputs": 3, "data_seed": 1}]),
        ("folds", [{"n_inputs": 4, "folds": 5, "fold": 2}]),
    ],
)
def test_they_end_where_products_end(name: str, runs: list[Changes], monkeypatch: pytest.MonkeyPatch) -> None:
    specs = [spec_of(name, **changes) for changes in runs]
    assert suits(specs)
    by_maps = trained(specs)
    monkeypatch.setattr(AffineRegression, "suits", lambda *_: False)
    by_products = trained(specs)
    for metric, values in by_products.metrics.items():
        assert_close(by_maps.metrics[metric], values)
    for maps, products in zip(by_maps.weights, by_products.weights, strict=True):
        for tensor in products:
            assert_close(maps[tensor].numpy(), products[tensor].numpy())


@pytest.mark.parametrize("epoch", [1, 19, 20, 31])  # the maps of twenty epochs are made together
def test_they_resume_to_the_same_bits(epoch: int) -> None:
    spec = spec_of("polynomial", epochs=45)
    whole, started = training([spec]), training([spec])
    for _ in whole:
        pass
    next(report for report in epochs(started) if report.epoch == epoch)
    resumed = training([spec], state=state_from_bytes(state_to_bytes(started.state())))
    for _ in resumed:
        pass
    assert fingerprint(resumed) == fingerprint(whole)


@pytest.mark.parametrize("sizes", [{"n_train": 1, "batch_size": 1, "n_inputs": 300}, {"n_train": 6, "batch_size": 2}])
def test_the_maps_that_are_made_together_stay_small(sizes: Changes) -> None:
    specs = cast("list[LinearSpec]", [spec_of("linear", **sizes)])
    assert suits([*specs])
    network = AffineRegression(specs, layout_of(specs), "cpu")
    maps = network._maps_of(loading.load(specs, SAMPLE).train, 1)
    assert sum(M.numel() for M, _ in maps) <= MOST_NUMBERS
    assert sum(M.numel() for of_epoch in network._maps.values() for M, _ in of_epoch) <= MOST_NUMBERS


@pytest.mark.parametrize(
    ("name", "runs"),
    [
        ("polynomial", [{"penalty": "l1"}]),
        ("polynomial", [{}, {"learning_rate": 0.002}]),  # one product with a batch serves both
        ("polynomial", [{"seed": seed, "degree": 19} for seed in range(4)]),
        ("polynomial", [{"n_train": 100_000, "degree": 9}]),
        ("linear", [{"n_inputs": 200}]),
    ],
)
def test_others_train_by_products(name: str, runs: list[Changes]) -> None:
    assert not suits([spec_of(name, **changes) for changes in runs])
