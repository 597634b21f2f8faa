"""What tells the replicates of a configuration apart. Torch-free."""

from collections.abc import Mapping
from typing import Any

from mlcore.spec import FASHION_MNIST_TEST, FASHION_MNIST_TRAIN


def data_seed(spec: Mapping[str, Any]) -> int | None:
    """Return a resolved spec's data seed where it decides anything.

    None for all of Fashion-MNIST, which is the same under every one unless it is cut into folds: runs that differ in
    nothing else are the same training again.
    """
    sizes = spec.get("n_train"), spec.get("n_test")
    is_whole = spec.get("variant") == "mlp" and sizes == (FASHION_MNIST_TRAIN, FASHION_MNIST_TEST)
    return None if is_whole and spec.get("folds") is None else int(spec["data_seed"])
