"""Weights as files that others can open."""

import json
from pathlib import Path

from safetensors import safe_open

from mlcore.checkpoint import weights_from_bytes, weights_to_bytes
from tests.mlcore.trainings import spec_of, training


def test_the_same_weights_are_the_same_bytes_and_tell_what_they_are(tmp_path: Path) -> None:
    weights = training([spec_of("mlp")]).weights(0)
    about = {"epoch": 3, "loss": 0.25, "selected_on": "valid"}
    files = {weights_to_bytes(weights, **about) for _ in range(20)}
    (data,) = files
    (tmp_path / "weights").write_bytes(data)
    with safe_open(tmp_path / "weights", "pt") as file:
        assert json.loads(file.metadata()["epochd"]) == about
    read = weights_from_bytes(data)
    assert all(read[name].equal(tensor) for name, tensor in weights.items())
