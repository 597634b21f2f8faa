"""Short trainings for tests: what they gave, as arrays to compare."""

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mlcore.checkpoint import weights_to_bytes
from mlcore.network import Parameters
from mlcore.spec import RunSpec, parse_run_spec
from mlcore.training import EpochReport, Training

SAMPLE = Path(__file__).parents[1] / "fashion_mnist_sample"
SMALL: dict[str, dict[str, Any]] = {
    "mlp": {"variant": "mlp", "n_train": 600, "n_test": 200, "hidden": [32], "batch_size": 64, "epochs": 4},
    "dropout": {
        "variant": "mlp", "n_train": 600, "n_test": 200, "hidden": [32, 24], "dropout": [0.2, 0.5], "batch_size": 64,
        "epochs": 4,
    },
    "polynomial": {"variant": "polynomial", "epochs": 30},
    "linear": {"variant": "linear", "epochs": 20, "weight_decay": 3.0},
    "folds": {"variant": "linear", "epochs": 20, "n_train": 40},
}  # fmt: skip


def spec_of(name: str, **changes: object) -> RunSpec:
    """A small spec by name, with changes."""
    return parse_run_spec({**SMALL[name], **changes})


def training(specs: Sequence[RunSpec], **options: Any) -> Training:
    """A training on the sample."""
    return Training(specs, data_root=SAMPLE, **options)


def epochs(training: Training) -> Iterator[EpochReport]:
    """The reports of a training without its ticks."""
    return (report for report in training if isinstance(report, EpochReport))


def losses(specs: Sequence[RunSpec]) -> NDArray[np.float64]:
    """All losses of a whole training: [epochs, kinds of loss, runs]; what was not measured is left out as NaN."""
    reports = list(epochs(training(specs)))
    names = sorted({name for report in reports for name in report.metrics if name.endswith("_loss")})
    missing = np.full(len(specs), np.nan)
    return np.array([[report.metrics.get(name, missing) for name in names] for report in reports])


class Trained(NamedTuple):
    """A whole training: each metric as [epochs, runs], NaN where it was not measured, and the weights of each run."""

    metrics: dict[str, NDArray[np.float64]]
    weights: list[Parameters]
    diverged: list[int]


def trained(specs: Sequence[RunSpec], stop: tuple[int, int] | None = None, **options: Any) -> Trained:
    """Train a stack to its end; `stop` is a run and the epoch after which it is stopped."""
    stack, reports = training(specs, **options), []
    for report in epochs(stack):
        reports.append(report)
        if stop is not None and report.epoch == stop[1]:
            stack.stop(stop[0])
    names = sorted({name for report in reports for name in report.metrics})
    missing = np.full(len(specs), np.nan)
    metrics = {name: np.array([report.metrics.get(name, missing) for report in reports]) for name in names}
    weights = [stack.weights(run) for run in range(len(specs))]
    return Trained(metrics, weights, [run for report in reports for run in report.diverged])


def fingerprint(training: Training) -> list[str]:
    """The sha256 of each run's weights."""
    runs = range(len(training.specs))
    return [hashlib.sha256(weights_to_bytes(training.weights(run))).hexdigest() for run in runs]


def assert_close(a: NDArray[np.float64], b: NDArray[np.float64]) -> None:
    """|a − b| ≤ 1e-9·|b| + 1e-12: what float64 allows two orders of the same sums."""
    np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12, equal_nan=True)
