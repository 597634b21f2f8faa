"""K-fold cross-validation (d2l 4.4) of every variant in both implementations: which examples are held out of what."""

from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlcore.data import loading
from mlcore.data.dataset import Dataset
from mlcore.expansion import expand
from mlcore.grouping import stacks
from mlcore.spec import ExperimentSpec, RunSpec
from tests.mlcore.trainings import SMALL, epochs, training

FOLDS = 5
VARIANTS = ["mlp", "polynomial", "linear"]
N_TRAIN = 53  # two folds of 10 examples, three of 11
LOSS = {"mlp": "cross_entropy", "polynomial": "mse", "linear": "mse"}
IMPLEMENTATIONS = ["scratch", "concise"]


def folds_of(name: str, **changes: Any) -> Sequence[RunSpec]:
    spec = SMALL[name] | {"n_train": N_TRAIN, "n_test": 20, "epochs": 2} | changes
    return expand(ExperimentSpec.model_validate({"spec": spec, "folds": FOLDS}))


def examples(dataset: Dataset, part: str) -> list[tuple[float, ...]]:
    """The examples of a part as they are: features and label."""
    X, y = dataset.parts()[part].examples(dataset.parts()[part].rows[0])
    return [(*row, label) for row, label in zip(X.double().tolist(), y.double().tolist(), strict=True)]


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_folds_are_disjoint_and_cover_the_training_set(sample_root: Path, name: str, implementation: str) -> None:
    folds = folds_of(name, implementation=implementation)
    loaded = [loading.load([spec], sample_root) for spec in folds]
    whole = loading.load([folds[0].model_copy(update={"folds": None, "fold": None})], sample_root)
    held_out = [examples(dataset, "valid") for dataset in loaded]
    assert sorted(map(len, held_out)) == [10, 10, 11, 11, 11]
    assert sorted(chain(*held_out)) == sorted(examples(whole, "train"))
    for dataset, held in zip(loaded, held_out, strict=True):
        assert sorted(examples(dataset, "train") + held) == sorted(examples(whole, "train"))
        assert examples(dataset, "test") == examples(whole, "test")


@pytest.mark.parametrize("name", VARIANTS)
def test_folds_depend_on_the_data_seed_alone(sample_root: Path, name: str) -> None:
    def held_out(**changes: Any) -> list[tuple[float, ...]]:
        return examples(loading.load([folds_of(name, **changes)[3]], sample_root), "valid")

    assert held_out(seed=7, weight_decay=0.5, learning_rate=0.001, implementation="concise") == held_out()
    assert held_out(data_seed=1) != held_out()


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_the_held_out_fold_is_measured_beside_the_test_set(name: str, implementation: str) -> None:
    folds = folds_of(name, implementation=implementation, n_train=50, precision="float64")
    for stack in stacks(folds):
        last = list(epochs(training([folds[number] for number in stack])))[-1].metrics
        for metric in ("train_loss", "valid_loss", "test_loss"):
            assert np.isfinite(last[metric]).all()
            assert len(set(last[metric])) == len(stack)


@pytest.mark.parametrize("name", VARIANTS)
def test_both_implementations_give_the_folds_the_same_losses(name: str) -> None:
    def last(implementation: str) -> list[float]:
        folds = folds_of(name, implementation=implementation, precision="float64", loss=LOSS[name])
        return [float(list(epochs(training([spec])))[-1].metrics["valid_loss"][0]) for spec in folds]

    assert last("scratch") == pytest.approx(last("concise"), rel=1e-9)
