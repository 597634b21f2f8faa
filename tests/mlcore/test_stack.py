"""A run inside a stack is the run it is alone."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlcore.spec import RunSpec
from mlcore.stack import layout_of, shape_of
from mlcore.training import Training
from tests.mlcore.trainings import SAMPLE, assert_equal_losses, losses, spec_of

NARROW, WIDE = {"scheme": "normal"}, {"scheme": "normal", "std": 0.1}
DEFAULT = {"scheme": "linear_default"}


def changes_of(fields: str, *rows: tuple[Any, ...]) -> list[dict[str, Any]]:
    """One dict of changes per row."""
    return [dict(zip(fields.split(), row, strict=True)) for row in rows]


MIXED = {
    "polynomial": changes_of(
        "degree weight_decay learning_rate seed data_seed penalty",
        (3, 0.0, 0.01, 0, 0, "l2"),
        (19, 0.0, 0.01, 0, 0, "l2"),
        (1, 0.1, 0.02, 0, 0, "l1"),
        (0, 0.0, 0.01, 1, 0, "l2"),
        (5, 1.0, 0.005, 1, 2, "l2"),
        (3, 0.0, 0.01, 1, 2, "l2"),
        (3, 0.5, 0.01, 7, 3, "l1"),
        (4, 0.01, 0.03, 7, 3, "l2"),
    ),
    "linear": changes_of(
        "weight_decay learning_rate seed data_seed",
        (0.0, 0.003, 0, 0),
        (3.0, 0.003, 0, 0),
        (1.0, 0.001, 0, 0),
        (0.0, 0.003, 1, 1),
        (3.0, 0.002, 2, 0),
        (3.0, 0.003, 3, 1),
        (9.0, 0.003, 3, 1),
        (0.5, 0.003, 4, 0),
    ),
    "folds": changes_of(
        "weight_decay seed data_seed folds fold",
        (0.0, 0, 0, 4, 0),
        (3.0, 0, 0, 4, 0),
        (0.0, 0, 0, 4, 1),
        (0.0, 0, 0, 4, 3),
        (0.0, 1, 0, 4, 3),
        (1.0, 0, 2, 4, 2),
        (0.0, 5, 2, 4, 0),
    ),
    "dropout": changes_of(
        "precision dropout weight_decay learning_rate seed",
        ("float64", [0.2, 0.5], 0.0, 0.1, 0),
        ("float64", [0.5, 0.2], 0.0, 0.1, 0),
        ("float64", [0.0, 0.0], 0.01, 0.2, 0),
        ("float64", [0.0, 0.5], 0.0, 0.1, 1),
        ("float64", [0.2, 0.0], 0.0, 0.05, 1),
        ("float64", [1.0, 0.5], 0.0, 0.1, 2),
        ("float64", [0.2, 0.5], 0.001, 0.1, 2),
        ("float64", [0.9, 0.1], 0.0, 0.3, 3),
    ),
    "mlp": changes_of(
        "precision weight_decay seed data_seed init",
        ("float64", 0.0, 0, 0, NARROW),
        ("float64", 0.1, 0, 0, DEFAULT),
        ("float64", 0.0, 0, 1, WIDE),
        ("float64", 0.0, 1, 1, NARROW),
        ("float64", 0.01, 1, 0, NARROW),
        ("float64", 0.0, 2, 0, NARROW),
        ("float64", 0.0, 3, 0, NARROW),
        ("float64", 0.0, 3, 4, NARROW),
    ),
}


@pytest.mark.parametrize("name", MIXED)
def test_a_run_in_a_stack_of_eight_has_the_losses_it_has_alone(name: str) -> None:
    specs = [spec_of(name, **changes) for changes in MIXED[name]]
    together = losses(specs)
    alone = np.concatenate([losses([spec]) for spec in specs], axis=2)
    assert together.shape == alone.shape
    assert_equal_losses(together, alone)


@pytest.mark.parametrize("name", ["polynomial", "dropout"])
def test_a_run_that_stops_or_diverges_leaves_the_others_as_they_are(name: str) -> None:
    specs = [spec_of(name, **changes) for changes in MIXED[name][:3]]
    specs.append(specs[0].model_copy(update={"learning_rate": 1000.0}))
    stacked = Training(specs, data_root=SAMPLE)
    seen: list[np.ndarray[Any, Any]] = []
    lost: list[int] = []
    for report in stacked:
        if (metrics := getattr(report, "metrics", None)) is not None:
            seen.append(metrics["test_loss"])
            lost += report.diverged  # type: ignore[union-attr]  # a report
            if stacked.epoch == 2:
                stacked.stop(1)
    assert lost == [3]
    assert np.isnan(np.array(seen)[2:, 1]).all()
    assert stacked.active.tolist() == [True, False, True, False]
    for run in (0, 2):
        assert_equal_losses(np.array(seen)[:, run], losses([specs[run]], "test_loss")[:, 0, 0])


def test_a_training_whose_runs_all_diverge_ends() -> None:
    reports = losses([spec_of("polynomial", learning_rate=1000.0, epochs=400)])
    assert len(reports) < 400


def test_runs_of_different_shape_do_not_train_together() -> None:
    with pytest.raises(ValueError, match="one shape"):
        Training([spec_of("polynomial"), spec_of("polynomial", epochs=7)], data_root=SAMPLE)


runs = st.tuples(st.integers(0, 3), st.integers(0, 3)).map(
    lambda seeds: spec_of("polynomial", seed=seeds[0], data_seed=seeds[1])
)


@given(st.lists(runs, min_size=1, max_size=30))
@settings(max_examples=100, deadline=None)
def test_each_run_has_a_place_of_its_own_beside_runs_that_share_its_batches(specs: list[RunSpec]) -> None:
    layout = layout_of(specs)
    assert len(set(layout.places.tolist())) == len(specs)
    assert layout.groups * layout.columns <= max(1.5 * len(specs), len(specs))
    assert list(layout.dataset) == sorted(layout.dataset)
    values = np.arange(len(specs), dtype=np.float64) + 1
    assert (layout.gather(layout.spread(values)) == values).all()
    for run, spec in enumerate(specs):
        assert layout.seed[layout.group[run]] == spec.seed
    by_group = {(layout.group[run], specs[run].seed, specs[run].data_seed) for run in range(len(specs))}
    assert len(by_group) == layout.groups


def test_all_but_shape_differs_freely_inside_a_stack() -> None:
    free = {
        "weight_decay": 1.0,
        "penalty": "l1",
        "learning_rate": 0.5,
        "seed": 3,
        "data_seed": 4,
        "degree": 7,
        "noise_std": 1.0,
    }
    assert shape_of(spec_of("polynomial")) == shape_of(spec_of("polynomial", **free))
    for change in (
        {"epochs": 9},
        {"batch_size": 9},
        {"precision": "float32"},
        {"n_train": 9},
        {"n_valid": 9},
        {"loss": "half_squared_error"},
    ):
        assert shape_of(spec_of("polynomial")) != shape_of(spec_of("polynomial", **change))
