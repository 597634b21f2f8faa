"""Short names of runs for legends, titles and lists: what a run is, and what sets it apart."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from mlcore.spec import LinearSpec, MlpSpec, PolynomialSpec, parse_run_spec
from mlcore.words import counted
from store.status import Status

NAMES: Final = {
    "weight_decay": "λ",
    "n_train": "training examples",
    "n_valid": "validation examples",
    "n_test": "test examples",
    "n_inputs": "inputs",
    "hidden": "hidden units",
    "noise_std": "noise",
    "init": "initial weights",
    "weight_l2_norm": "‖w‖₂",
    "weight_l1_norm": "‖w‖₁",
}
"""What people call a field or a metric; the others are called what they are."""
ENDED: Final = {Status.FAILED: " · failed", Status.CANCELLED: " · cancelled"}
"""What is to be said of a run below its name, if it did not end well."""


def describe(spec: MlpSpec | PolynomialSpec | LinearSpec) -> str:
    """One line that tells a run from its neighbours, such as `polynomial, degree 19, λ = 0.1`."""
    parts = [_model(spec)]
    if spec.weight_decay:
        parts.append(f"λ = {spec.weight_decay:g}{' (l1)' if spec.penalty == 'l1' else ''}")
    if spec.implementation == "concise":
        parts.append("concise")
    return ", ".join(parts)


def _model(spec: MlpSpec | PolynomialSpec | LinearSpec) -> str:
    match spec:
        case PolynomialSpec():
            return f"polynomial, degree {spec.degree}"
        case LinearSpec():
            return f"linear, {counted(spec.n_inputs, 'input')}"
        case MlpSpec(hidden=[]):
            return "softmax regression"
    layers = f"MLP {'-'.join(str(width) for width in spec.hidden)}, {spec.activation}"
    dropped = ", ".join(f"{probability:g}" for probability in spec.dropout)
    return f"{layers}, dropout {dropped}" if any(spec.dropout) else layers


def name(field: str) -> str:
    """A field or a metric in words for axes and legends, such as `learning rate`; `weight_decay` is λ."""
    return NAMES.get(field, field.replace("_", " "))


def by(fields: Iterable[str]) -> str:
    """What is varied, such as ` by degree, λ`; nothing when nothing is."""
    names = ", ".join(name(field) for field in fields)
    return f" by {names}" if names else ""


def value(given: Any) -> str:  # noqa: ANN401  any JSON value
    """A field's value in a word or two: `0.001`, `256-64` and `0.2/0.5` for lists, `normal 0.01` for an object."""
    match given:
        case bool():
            return "yes" if given else "no"
        case int() | float():
            return f"{given:.12g}"
        case []:
            return "none"
        case list():
            return ("-" if all(isinstance(one, int) for one in given) else "/").join(value(one) for one in given)
        case dict():
            return " ".join(value(one) for one in given.values())
        case None:
            return "–"
    return str(given)


def apart(values: Sequence[Any]) -> list[str]:
    """The values along an axis, numbers with as few digits as tell them apart; three where they have as many."""
    whole = [value(one) for one in values]
    for digits in range(3, 12):
        said = [value(float(f"{one:.{digits}g}") if isinstance(one, float) else one) for one in values]
        if len(set(said)) == len(set(whole)):
            return said
    return whole


def point(values: Mapping[str, Any]) -> str:
    """A grid point in one line, such as `degree 3, λ = 0.1`."""
    return ", ".join(
        f"{name(field)}{' = ' if field == 'weight_decay' else ' '}{value(values[field])}" for field in values
    )


def of_run(spec: Mapping[str, Any], varied: Iterable[str], repeated: Iterable[str]) -> str:
    """What tells a run from the others of its experiment; without a grid what it is. `spec` is the resolved one."""
    values = {field: spec[field] for field in varied}
    parts = [point(values) if values else describe(parse_run_spec(dict(spec)))]
    return ", ".join(parts + [f"{name(field)} {spec[field]}" for field in repeated])


def facts(spec: MlpSpec | PolynomialSpec | LinearSpec) -> str:
    """How a run trains, below its name."""
    return f"learning rate {spec.learning_rate:g}, batch size {spec.batch_size}, {counted(spec.epochs, 'epoch')}"
