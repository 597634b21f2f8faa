"""Activations against their closed forms, and a dropout mask against what training draws."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mlcore.concepts import activate, drop_out
from mlcore.from_scratch.dropout import DropoutLayer
from tests.mlcore.trainings import epochs, spec_of, training

X = np.array([-800.0, -8.0, -1.5, -1e-9, 0.0, 1e-9, 0.1, 3.0, 7.9, 800.0])


def test_relu_is_a_ramp_and_its_derivative_a_step_which_is_0_at_0() -> None:
    y, dy_dx = activate("relu", X.tolist())
    assert y.tolist() == np.maximum(X, 0).tolist()
    assert dy_dx.tolist() == (X > 0).astype(float).tolist()


def test_sigmoid_and_tanh_have_their_closed_derivatives() -> None:
    with np.errstate(over="ignore"):
        sigmoid = 1 / (1 + np.exp(-X))
    y, dy_dx = activate("sigmoid", X.tolist())
    np.testing.assert_allclose(y, sigmoid, rtol=1e-14, atol=1e-300)
    np.testing.assert_allclose(dy_dx, sigmoid * (1 - sigmoid), rtol=1e-12, atol=1e-300)
    y, dy_dx = activate("tanh", X.tolist())
    np.testing.assert_allclose(y, np.tanh(X), rtol=1e-14)
    np.testing.assert_allclose(dy_dx, 1 - np.tanh(X) ** 2, rtol=1e-12, atol=1e-15)


@given(
    rows=st.integers(1, 20),
    cols=st.integers(1, 20),
    p=st.one_of(st.sampled_from([0.0, 0.5, 1.0]), st.floats(0, 1)),
    seed=st.integers(0, 2**53 - 1),
)
@settings(deadline=None)
def test_dropout_multiplies_with_0_or_with_what_keeps_the_expectation(
    rows: int, cols: int, p: float, seed: int
) -> None:
    x, mask, output = drop_out(rows, cols, p, seed)
    assert x.flatten().tolist() == list(range(rows * cols))
    assert (output == x * mask).all()
    assert (mask == drop_out(rows, cols, p, seed).mask).all()
    kept = mask[mask > 0]
    assert kept.numel() == {0.0: mask.numel(), 1.0: 0}.get(p, kept.numel())
    if p <= 0.99:
        torch.testing.assert_close(kept, torch.full_like(kept, 1 / (1 - p)), rtol=1e-3, atol=0)


def test_a_larger_tensor_drops_its_share() -> None:
    assert (drop_out(100, 100, 0.3, 5).mask == 0).double().mean().item() == pytest.approx(0.3, abs=0.02)


def test_the_mask_is_the_one_that_trains(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[torch.Tensor] = []
    next_mask = DropoutLayer.next_mask

    def watched(self: DropoutLayer, h: torch.Tensor) -> torch.Tensor:
        drawn.append(next_mask(self, h).clone())  # the next step writes over it
        return drawn[-1]

    monkeypatch.setattr(DropoutLayer, "next_mask", watched)
    next(epochs(training([spec_of("mlp", hidden=[6], dropout=[0.4], seed=3, batch_size=4)])))
    assert drop_out(4, 6, 0.4, 3).mask.tolist() == drawn[0][0, 0].T.tolist()
