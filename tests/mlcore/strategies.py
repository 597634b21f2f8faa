"""Random stacks of every variant: runs of one shape that differ in all that may differ."""

from typing import Any

from hypothesis import strategies as st

from mlcore.spec import RunSpec, parse_run_spec

Fields = dict[str, st.SearchStrategy[Any]]

# Training has to converge: then a step shrinks whatever rounding has put into the weights, and a stack stays within
# 1e-9 of its runs alone; where it does not, a last bit grows with every step. A squared error converges while
# η·2·‖x‖² < 2 for each example: ‖x‖² is at most about 170 for a polynomial's features (|x| ≤ 3.5), 45 for ten inputs.
# For an MLP nobody knows the bound; dropout of 0.9, which multiplies what it keeps by ten, diverged at 0.2.
LARGEST_RATE = {"polynomial": 0.005, "linear": 0.02, "mlp": 0.05}

COMMON: Fields = {
    "weight_decay": st.sampled_from([0.0, 0.01, 0.1, 1.0]),
    "penalty": st.sampled_from(["l2", "l1"]),
    "seed": st.integers(0, 3),  # few, so that some runs share their batches
    "data_seed": st.integers(0, 2),
}
NORMAL = st.sampled_from([0.01, 0.1, 1.0]).map(lambda std: {"scheme": "normal", "std": std})
DEFAULT = st.just({"scheme": "linear_default"})
NOISE = st.sampled_from([0.01, 0.1, 1.0])
SHAPES: dict[str, Fields] = {
    "polynomial": {"loss": st.sampled_from(["mse", "half_squared_error"])},
    "linear": {"loss": st.sampled_from(["mse", "half_squared_error"]), "n_inputs": st.integers(1, 10)},
    "mlp": {
        "hidden": st.lists(st.integers(1, 8), max_size=2),
        "activation": st.sampled_from(["relu", "sigmoid", "tanh", "identity"]),
        "precision": st.just("float64"),
    },
}
FREE: dict[str, Fields] = {
    "polynomial": {
        "degree": st.integers(0, 19),
        "coefficients": st.sampled_from([[5.0, 1.2, -3.4, 5.6], [1.0], [0.0, -2.0, 3.0]]),
        "noise_std": NOISE,
        "init": NORMAL | DEFAULT,
    },
    "linear": {
        "true_weight": st.sampled_from([0.01, 1.0, -1.0]),
        "true_bias": st.sampled_from([0.0, 0.05]),
        "noise_std": NOISE,
        "init": NORMAL | DEFAULT,
    },
    "mlp": {"init": st.just({"scheme": "normal", "std": 0.05}) | DEFAULT},
}


@st.composite
def stacks(draw: st.DrawFn) -> list[RunSpec]:
    """Draw two to six runs that may train together, in float64, and that converge."""
    variant = draw(st.sampled_from(sorted(SHAPES)))
    shape = draw(st.fixed_dictionaries({**_schedule(), **SHAPES[variant]}))
    parts = draw(_parts())
    rates = st.sampled_from([1.0, 0.5, 0.1]).map(lambda part: part * LARGEST_RATE[variant])
    free = {**COMMON, **FREE[variant], "learning_rate": rates}
    if variant == "mlp":
        rows = st.tuples(*(st.sampled_from([0.0, 0.2, 0.5]) for _ in shape["hidden"])).map(list)
        free["dropout"] = rows
    if "folds" in parts:
        free["fold"] = st.integers(0, parts["folds"] - 1)
    members = draw(st.lists(st.fixed_dictionaries(free), min_size=2, max_size=6))
    return [parse_run_spec({"variant": variant, **shape, **parts, **member}) for member in members]


def _schedule() -> Fields:
    return {"epochs": st.integers(1, 4), "batch_size": st.integers(5, 20), "evaluate_every": st.integers(1, 2)}


def _parts() -> st.SearchStrategy[dict[str, int]]:
    """How many examples each part has; folds of one size, as they lie in one stack."""
    with_folds = st.tuples(st.integers(2, 4), st.integers(5, 15)).map(
        lambda sizes: {"folds": sizes[0], "n_train": sizes[0] * sizes[1]}
    )
    without = st.fixed_dictionaries({"n_train": st.integers(10, 60), "n_valid": st.integers(0, 20)})
    return st.tuples(with_folds | without, st.integers(1, 40)).map(lambda parts: {**parts[0], "n_test": parts[1]})
