"""Short names of runs for legends, titles and lists: what a run is, and what sets it apart."""

from mlcore.spec import LinearSpec, MlpSpec, PolynomialSpec


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
            return f"linear, {spec.n_inputs} inputs"
        case MlpSpec(hidden=[]):
            return "softmax regression"
    layers = f"MLP {'-'.join(str(width) for width in spec.hidden)}, {spec.activation}"
    dropped = ", ".join(f"{probability:g}" for probability in spec.dropout)
    return f"{layers}, dropout {dropped}" if any(spec.dropout) else layers
