"""What tells the replicates of a configuration apart. Torch-free."""

from collections.abc import Mapping
from typing import Any

from mlcore.stack import is_whole


def data_seed(spec: Mapping[str, Any]) -> int | None:
    """Return a resolved spec's data seed where it decides anything.

    None for all of Fashion-MNIST, which is the same under every one unless it is cut into folds: runs that differ in
    nothing else are the same training again.
    """
    decides_nothing = (
        spec.get("variant") == "mlp" and spec.get("folds") is None and is_whole(spec["n_train"], spec["n_test"])
    )
    return None if decides_nothing else int(spec["data_seed"])
