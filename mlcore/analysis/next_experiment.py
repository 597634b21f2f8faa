"""What to try next after a diagnosis: one change of the spec, ready to be posted. Torch-free.

Remedies are tried in their order, and the first that the spec's own bounds allow is proposed.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pydantic import ValidationError

from mlcore.analysis.diagnosis import Diagnosis, has_learned_nothing, unclear
from mlcore.analysis.evidence import LONGER
from mlcore.spec import FASHION_MNIST_TRAIN, LinearSpec, MlpSpec, PolynomialSpec, RunSpec, parse_run_spec

Change = tuple[str, dict[str, Any]]

REPLICATES: Final = 10
MORE: Final = 4  # times the examples
FIRST_DECAY: Final = {"linear": 3.0, "polynomial": 0.01, "mlp": 0.001}
LARGEST_SHRINKAGE: Final = 0.5  # learning_rate·λ, the part of the weights that a step may take; from 2 on they grow
DROPOUT: Final = 0.5
EVALUATIONS: Final = 20
FEW_HELD_OUT: Final = 100


@dataclass(frozen=True)
class Proposal:
    """One next experiment: why and what, and the spec."""

    sentence: str
    spec: RunSpec
    axes: Mapping[str, int] = field(default_factory=dict)
    """How to repeat it, where that is the point of it: seeds or data_seeds."""


def propose(spec: RunSpec, diagnosis: Diagnosis, replicates: int = 1) -> Proposal | None:
    """Return what to try after the diagnosis of a run of this spec, or of so many replicates; None if nothing is to do.

    The proposal is of no single fold.
    """
    whole = {name: value for name, value in spec.model_dump(mode="json").items() if name not in ("fold", "folds")}
    repeated = _repetition(spec, diagnosis, replicates)
    if repeated is not None:
        sentence, axes = repeated
        return Proposal(sentence, parse_run_spec(whole), axes)
    for sentence, change in _remedies(spec, diagnosis):
        try:
            return Proposal(sentence, parse_run_spec(whole | change))
        except ValidationError:  # beyond the bounds of a spec
            continue
    return None


def _repetition(spec: RunSpec, diagnosis: Diagnosis, replicates: int) -> Change | None:
    """Return how to repeat what fits, or what its replicates do not agree on."""
    is_split = diagnosis.verdict == "inconclusive" and unclear(diagnosis.evidence) is None
    axis, what = "data_seeds", "data sets"
    if isinstance(spec, MlpSpec) and spec.n_train + spec.n_valid == FASHION_MNIST_TRAIN:
        axis, what = "seeds", "initial weights"
    if diagnosis.verdict == "good_fit" and replicates < REPLICATES:
        return f"See on {REPLICATES} {what} whether it holds.", {axis: REPLICATES}
    if is_split:
        return f"Repeat it on {2 * replicates} {what} for a majority.", {axis: 2 * replicates}
    return None


def _remedies(spec: RunSpec, diagnosis: Diagnosis) -> Iterator[Change]:
    match diagnosis.verdict:
        case "diverged":
            yield _smaller_steps(spec, 10)
        case "not_converged":
            yield "Train for four times as many epochs.", {"epochs": LONGER * spec.epochs}
        case "underfitting":
            yield from _for_underfitting(spec, diagnosis)
        case "overfitting":
            yield from _for_overfitting(spec, diagnosis)
        case "inconclusive":
            yield from _for_clarity(spec, diagnosis)


def _smaller_steps(spec: RunSpec, by: int) -> Change:
    rate = float(f"{spec.learning_rate / by:.6g}")
    return f"Take smaller steps: learning rate {rate:g}.", {"learning_rate": rate}


def _for_underfitting(spec: RunSpec, diagnosis: Diagnosis) -> Iterator[Change]:
    if has_learned_nothing(diagnosis.evidence) and not spec.weight_decay:
        rate = 10 * spec.learning_rate
        yield f"Take larger steps: learning rate {rate:g}.", {"learning_rate": rate}
    if spec.weight_decay:
        weaker = float(f"{spec.weight_decay / 10:.6g}")
        yield f"Weaken the penalty: λ = {weaker:g}.", {"weight_decay": weaker}
    match spec:
        case PolynomialSpec(degree=degree):
            if degree < 19:
                higher = min(19, 2 * degree + 1)
                yield f"Give the model more features: degree {higher}.", {"degree": higher}
        case MlpSpec():
            yield from _larger_mlp(spec)
    yield _smaller_steps(spec, 3)


def _larger_mlp(spec: MlpSpec) -> Iterator[Change]:
    if any(spec.dropout):
        halved = [p / 2 for p in spec.dropout]
        yield f"Drop fewer units: {_listed(halved)}.", {"dropout": halved}
    if not spec.hidden:
        yield "Add a hidden layer of 256 units.", {"hidden": [256], "dropout": [0.0]}
    doubled = [2 * width for width in spec.hidden]
    yield f"Give the model more hidden units: {_listed(doubled)}.", {"hidden": doubled}


def _for_overfitting(spec: RunSpec, diagnosis: Diagnosis) -> Iterator[Change]:
    if isinstance(spec, MlpSpec) and spec.hidden and not any(spec.dropout):
        yield f"Drop units while training: p = {DROPOUT}.", {"dropout": [DROPOUT] * len(spec.hidden)}
    if isinstance(spec, LinearSpec) and not spec.weight_decay:
        yield from _stronger_penalty(spec)
    n_train = MORE * spec.n_train
    if isinstance(spec, MlpSpec):
        n_train = min(n_train, FASHION_MNIST_TRAIN - spec.n_valid)
    if n_train > spec.n_train:
        yield f"Train on more examples: {n_train}.", {"n_train": n_train}
    yield from _stronger_penalty(spec)
    best = diagnosis.evidence.best_epoch
    if best is not None and best < spec.epochs:
        yield f"Stop where the held-out loss was lowest: after epoch {best}.", {"epochs": best}


def _stronger_penalty(spec: RunSpec) -> Iterator[Change]:
    stronger = 10 * spec.weight_decay or FIRST_DECAY[spec.variant]
    if spec.learning_rate * stronger <= LARGEST_SHRINKAGE:
        yield f"Penalise large weights: λ = {stronger:g}.", {"weight_decay": stronger}


def _for_clarity(spec: RunSpec, diagnosis: Diagnosis) -> Iterator[Change]:
    match unclear(diagnosis.evidence):
        case "not_ended" if diagnosis.evidence.outcome in ("failed", "cancelled"):
            yield "Train it to the end.", {}
        case "not_finite" | "undone":
            yield _smaller_steps(spec, 3)
        case "few_held_out" if spec.folds is not None:
            yield f"Hold out more: {FEW_HELD_OUT} examples in all folds.", {"n_train": FEW_HELD_OUT}
        case "few_held_out":
            part = f"n_{diagnosis.evidence.held_out}"
            yield f"Hold out more: {FEW_HELD_OUT} examples.", {part: FEW_HELD_OUT}
        case "no_slope" if spec.evaluate_every > 1 and spec.epochs >= EVALUATIONS:
            yield "Evaluate more often.", {"evaluate_every": spec.epochs // EVALUATIONS}
        case "no_slope":
            yield "Train for more epochs, and evaluate after each.", {"epochs": 10 * spec.epochs, "evaluate_every": 1}


def _listed(values: list[int] | list[float]) -> str:
    return ", ".join(f"{value:g}" for value in values)
