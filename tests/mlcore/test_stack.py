"""A run inside a stack is the run it is alone."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlcore.spec import RunSpec
from mlcore.stack import layout_of, shape_of
from mlcore.training import Training
from tests.mlcore.strategies import stacks
from tests.mlcore.trainings import SAMPLE, assert_close, losses, spec_of, trained


@given(stacks())
@settings(max_examples=60, deadline=None)
def test_a_run_in_a_stack_is_the_run_it_is_alone(specs: list[RunSpec]) -> None:
    together = trained(specs)
    assert together.diverged == []
    for run, spec in enumerate(specs):
        alone = trained([spec])
        assert set(alone.metrics) == set(together.metrics)
        for name, values in alone.metrics.items():
            assert_close(together.metrics[name][:, run], values[:, 0])
        for name, tensor in alone.weights[0].items():
            assert_close(together.weights[run][name].numpy(), tensor.numpy())


@given(stacks(), st.data())
@settings(max_examples=60, deadline=None)
def test_a_run_that_is_stopped_or_diverges_leaves_the_others_their_bits(
    specs: list[RunSpec], data: st.DataObject
) -> None:
    run = data.draw(st.integers(0, len(specs) - 1), "run")
    undisturbed = trained(specs)
    if data.draw(st.booleans(), "it diverges"):
        wild = specs[run].model_copy(update={"learning_rate": 1000.0})
        disturbed = trained([*specs[:run], wild, *specs[run + 1 :]])
        assert disturbed.diverged in ([run], [])  # a network whose units have all died stays finite
    else:
        epoch = data.draw(st.integers(1, specs[0].epochs), "epoch")
        disturbed = trained(specs, stop=(run, epoch))
        assert np.isnan(disturbed.metrics["weight_l2_norm"][epoch:, run]).all()
    others = [other for other in range(len(specs)) if other != run]
    for name, values in undisturbed.metrics.items():
        np.testing.assert_array_equal(disturbed.metrics[name][:, others], values[:, others])
    for other in others:
        for name, tensor in undisturbed.weights[other].items():
            assert tensor.equal(disturbed.weights[other][name])


@pytest.mark.parametrize("name", ["polynomial", "linear"])
@pytest.mark.parametrize("rate", [0.003, 0.0017, 0.0041])
def test_in_float32_the_others_keep_their_bits_too(name: str, rate: float) -> None:
    """A rate that all share is a number, and one that they do not share a tensor, which rounds more often."""
    changes: dict[str, object] = {"precision": "float32", "learning_rate": rate, "n_train": 37, "batch_size": 7}
    specs = [spec_of(name, **changes, init={"scheme": "normal", "std": std}) for std in (0.1, 0.2, 0.3)]
    undisturbed, disturbed = trained(specs), trained(specs, stop=(1, 3))
    for other in (0, 2):
        assert disturbed.weights[other]["layers.0.weight"].equal(undisturbed.weights[other]["layers.0.weight"])


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


@given(st.lists(runs, min_size=1, max_size=30), st.integers(1, 6))
@settings(max_examples=100, deadline=None)
def test_shares_of_a_stack_have_each_run_once_with_what_it_trains_on(specs: list[RunSpec], among: int) -> None:
    layout = layout_of(specs)
    shares = layout.shared_out(among)
    assert len(shares) == min(among, layout.parts)
    assert sorted(run for _, members, _ in shares for run in members.tolist()) == list(range(len(specs)))
    for _, members, own in shares:
        assert len(set(own.places.tolist())) == len(members)
        for place, run in enumerate(members):
            assert own.seed[own.group[place]] == specs[run].seed
            assert own.dataset[own.group[place]] == layout.dataset[layout.group[run]]


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
