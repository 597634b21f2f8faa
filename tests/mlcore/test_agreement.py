"""From scratch and concise share no arithmetic, and agree."""

import ast
from pathlib import Path

import numpy as np
import pytest

import mlcore
from mlcore.training import Training
from tests.mlcore.trainings import SAMPLE, assert_close, epochs, losses, spec_of, training

SAME_LOSS = {"linear": {"loss": "half_squared_error"}}


@pytest.mark.parametrize("penalty", [{}, {"weight_decay": 0.1}, {"weight_decay": 0.1, "penalty": "l1"}])
@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("polynomial", {"epochs": 400}),
        ("polynomial", {"epochs": 100, "degree": 1, "n_train": 37, "n_valid": 11}),
        ("linear", {"epochs": 100}),
        ("mlp", {"epochs": 3, "precision": "float64"}),
        ("mlp", {"epochs": 3, "precision": "float64", "hidden": [], "n_valid": 100}),
        ("mlp", {"epochs": 3, "precision": "float64", "hidden": [32, 16], "activation": "tanh"}),
        ("mlp", {"epochs": 3, "precision": "float64", "activation": "sigmoid", "init": {"scheme": "linear_default"}}),
        ("mlp", {"epochs": 3, "precision": "float64", "hidden": [32, 16], "activation": "identity"}),
    ],
)
def test_float64_losses_agree_to_the_end(name: str, changes: dict[str, object], penalty: dict[str, object]) -> None:
    changes = {**SAME_LOSS.get(name, {}), **changes, **penalty}
    scratch = losses([spec_of(name, **changes)])
    concise = losses([spec_of(name, **changes, implementation="concise")])
    assert np.isfinite(scratch[-1]).all()
    assert_close(scratch, concise)


def test_float32_mlp_agrees_over_its_first_50_steps() -> None:
    changes: dict[str, object] = {"n_train": 640, "batch_size": 64, "epochs": 5, "hidden": [256]}  # 10 steps an epoch
    scratch = losses([spec_of("mlp", **changes)])
    concise = losses([spec_of("mlp", **changes, implementation="concise")])
    np.testing.assert_allclose(scratch, concise, rtol=1e-5)


def test_float32_mlp_ends_within_the_spread_of_its_seeds() -> None:
    def final(implementation: str) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        specs = [spec_of("mlp", seed=seed, epochs=10, implementation=implementation) for seed in range(5)]
        return np.array([list(epochs(training([spec])))[-1].metrics["test_loss"][0] for spec in specs])

    scratch, concise = final("scratch"), final("concise")
    assert np.abs(scratch - concise).max() <= scratch.std(ddof=1)


def test_concise_dropout_trains_as_well_as_from_scratch() -> None:
    def final(implementation: str) -> float:
        specs = [spec_of("dropout", seed=seed, epochs=12, implementation=implementation) for seed in range(3)]
        return float(np.mean([list(epochs(training([spec])))[-1].metrics["test_loss"][0] for spec in specs]))

    assert final("scratch") == pytest.approx(final("concise"), rel=0.1)  # other masks, the same law


def test_they_share_no_arithmetic() -> None:
    package = Path(mlcore.__file__).parent

    def names(file: Path) -> set[str]:
        """Modules imported and attributes used."""
        nodes = list(ast.walk(ast.parse(file.read_text())))
        modules = {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
        return modules | {node.attr for node in nodes if isinstance(node, ast.Attribute)}

    assert not {name for name in names(package / "concise.py") if "from_scratch" in name}
    for file in (package / "from_scratch").glob("*.py"):
        assert not names(file) & {"mlcore.concise", "nn", "optim", "autograd", "softmax", "relu", "sigmoid", "tanh"}


def test_concise_trains_alone() -> None:
    specs = [spec_of("linear", implementation="concise", seed=seed) for seed in range(2)]
    with pytest.raises(ValueError, match="one shape"):
        Training(specs, data_root=SAMPLE)
