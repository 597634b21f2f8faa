"""What is tried next, and that it can be posted."""

from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlcore.analysis.diagnosis import Verdict, diagnose
from mlcore.analysis.evidence import Evidence
from mlcore.analysis.next_experiment import propose
from mlcore.expansion import expand
from mlcore.spec import ExperimentSpec, parse_run_spec
from tests.mlcore.analysis.test_diagnosis import AT_THE_NOISE, IMAGES, changed

CHANGES: dict[Verdict, dict[str, Any]] = {
    "good_fit": {},
    "underfitting": {"train_loss": 2.0, "held_out_loss": 2.0},
    "overfitting": {"train_loss": 0.01, "held_out_loss": 0.9, "best_epoch": 7},
    "not_converged": {"train_loss": 1.0, "held_out_loss": 1.1, "train_fall": 0.5},
    "diverged": {"outcome": "diverged"},
    "inconclusive": {"train_loss": 2.0, "held_out_loss": 2.0, "train_fall": None},
}


def evidence_for(verdict: Verdict, variant: str) -> Evidence:
    return changed(IMAGES if variant == "mlp" else AT_THE_NOISE, **CHANGES[verdict])


@pytest.mark.parametrize(
    ("spec", "verdict", "change"),
    [
        ({"variant": "polynomial", "degree": 1}, "underfitting", {"degree": 3}),
        ({"variant": "polynomial", "degree": 1, "weight_decay": 0.1}, "underfitting", {"weight_decay": 0.01}),
        ({"variant": "polynomial", "degree": 19}, "underfitting", {"learning_rate": 0.00333333}),
        ({"variant": "mlp", "hidden": []}, "underfitting", {"hidden": [256], "dropout": [0.0]}),
        ({"variant": "mlp", "hidden": [4, 8]}, "underfitting", {"hidden": [8, 16]}),
        ({"variant": "mlp", "dropout": [0.8]}, "underfitting", {"dropout": [0.4]}),
        ({"variant": "mlp", "hidden": [4096]}, "underfitting", {"learning_rate": 0.0333333}),
        ({"variant": "polynomial", "degree": 19}, "overfitting", {"n_train": 400}),
        ({"variant": "linear"}, "overfitting", {"weight_decay": 3.0}),
        ({"variant": "linear", "weight_decay": 3}, "overfitting", {"n_train": 80}),
        ({"variant": "mlp", "hidden": [8, 8]}, "overfitting", {"dropout": [0.5, 0.5]}),
        ({"variant": "mlp", "dropout": [0.5], "n_train": 5000}, "overfitting", {"n_train": 20_000}),
        ({"variant": "mlp", "hidden": []}, "overfitting", {"weight_decay": 0.001}),
        ({"variant": "mlp", "hidden": [], "weight_decay": 10}, "overfitting", {"epochs": 7}),
        ({"variant": "mlp"}, "not_converged", {"epochs": 40}),
        ({"variant": "polynomial"}, "diverged", {"learning_rate": 0.001}),
        ({"variant": "polynomial", "evaluate_every": 400}, "inconclusive", {"evaluate_every": 20}),
        ({"variant": "polynomial", "epochs": 1}, "inconclusive", {"epochs": 10}),
    ],
)
def test_one_thing_is_changed(spec: dict[str, Any], verdict: Verdict, change: dict[str, Any]) -> None:
    before = parse_run_spec(spec)
    found = diagnose(evidence_for(verdict, spec["variant"]))
    assert found.verdict == verdict
    proposal = propose(before, found)
    assert proposal is not None
    assert proposal.spec == before.model_copy(update=change)
    assert proposal.sentence


def test_an_mlp_that_has_learned_nothing_takes_larger_steps() -> None:
    stuck = diagnose(changed(IMAGES, train_loss=2.31, held_out_loss=2.31))
    proposal = propose(parse_run_spec({"variant": "mlp", "activation": "sigmoid"}), stuck)
    assert proposal is not None
    assert proposal.spec.learning_rate == 1.0


def test_a_good_fit_is_repeated_until_there_are_enough_replicates() -> None:
    spec = parse_run_spec({"variant": "polynomial"})
    proposal = propose(spec, diagnose(AT_THE_NOISE))
    assert proposal is not None
    assert (proposal.spec, proposal.axes) == (spec, {"data_seeds": 10})
    assert propose(spec, diagnose(AT_THE_NOISE), replicates=10) is None
    images = propose(parse_run_spec({"variant": "mlp"}), diagnose(IMAGES))
    assert images is not None
    assert images.axes == {"seeds": 10}, "all images are the same with any data seed"


def test_what_still_trains_has_no_next_experiment() -> None:
    assert (
        propose(parse_run_spec({"variant": "polynomial"}), diagnose(changed(AT_THE_NOISE, outcome="running"))) is None
    )


specs = st.one_of(
    st.fixed_dictionaries(
        {"variant": st.just("polynomial"), "degree": st.integers(0, 19), "n_train": st.integers(1, 100_000)}
    ),
    st.fixed_dictionaries({"variant": st.just("linear"), "n_inputs": st.integers(1, 1000)}),
    st.fixed_dictionaries(
        {
            "variant": st.just("mlp"),
            "hidden": st.lists(st.integers(1, 4096), max_size=8),
            "n_train": st.integers(1, 50_000),
            "n_valid": st.integers(0, 10_000),
        }
    ),
)
common = st.fixed_dictionaries(
    {},
    optional={
        "weight_decay": st.floats(0, 1e4),
        "learning_rate": st.floats(1e-300, 1000),
        "epochs": st.integers(1, 100_000),
        "evaluate_every": st.integers(1, 100_000),
    },
)


@given(spec=specs, more=common, verdict=st.sampled_from(get_args(Verdict)), replicates=st.integers(1, 20))
def test_every_proposal_can_be_posted_and_is_something_new(
    spec: dict[str, Any], more: dict[str, Any], verdict: Verdict, replicates: int
) -> None:
    before = parse_run_spec(spec | more)
    proposal = propose(before, diagnose(evidence_for(verdict, before.variant)), replicates)
    if proposal is not None:
        request = {"spec": proposal.spec.model_dump(mode="json"), **proposal.axes}
        runs = expand(ExperimentSpec.model_validate(request))
        assert len(runs) > 1 or runs[0] != before


def test_a_fold_is_never_proposed_alone() -> None:
    proposal = propose(parse_run_spec({"variant": "linear", "folds": 5, "fold": 2}), diagnose(AT_THE_NOISE))
    assert proposal is not None
    assert (proposal.spec.folds, proposal.spec.fold) == (None, None)
