"""The formulas written out agree with torch's own and their gradients with autograd's."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from mlcore.from_scratch.activations import ACTIVATIONS
from mlcore.from_scratch.dropout import LEVELS, dropout_mask
from mlcore.from_scratch.losses import LOSSES, correct
from mlcore.from_scratch.penalties import l1_norm, squared_l2_norm
from mlcore.spec import Activation, Loss

THEIRS: dict[str, Callable[..., Tensor]] = {
    "relu": torch.relu,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "identity": torch.clone,
    "cross_entropy": torch.nn.CrossEntropyLoss(reduction="none"),
    "mse": torch.nn.MSELoss(reduction="none"),
}


@pytest.mark.parametrize("name", ["relu", "sigmoid", "tanh", "identity"])
def test_activations_and_their_derivatives(name: Activation) -> None:
    x = torch.cat([torch.arange(-8, 8.1, 0.1), torch.tensor([0.0, 1e-9, -1e-9, 800.0, -800.0])]).to(torch.float64)
    leaf = x.clone().requires_grad_()
    expected = THEIRS[name](leaf)
    (derivative,) = torch.autograd.grad(expected.sum(), leaf)
    output = ACTIVATIONS[name].apply(x.clone())
    torch.testing.assert_close(output, expected.detach(), rtol=1e-13, atol=1e-300)
    torch.testing.assert_close(
        ACTIVATIONS[name].backward(torch.ones_like(x), output), derivative, rtol=1e-12, atol=1e-15
    )


def test_relu_has_derivative_zero_at_zero() -> None:
    zero = torch.zeros(1)
    assert ACTIVATIONS["relu"].backward(torch.ones(1), ACTIVATIONS["relu"].apply(zero)).item() == 0


@pytest.mark.parametrize("scale", [1.0, 300.0])
def test_cross_entropy_and_its_gradient(scale: float) -> None:
    logits = (
        torch.randn(2, 3, 7, 10, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * scale
    ).requires_grad_()
    labels = torch.arange(7).expand(2, 1, 7)
    expected = THEIRS["cross_entropy"](logits.reshape(-1, 10), labels.expand(2, 3, 7).reshape(-1)).view(2, 3, 7)
    (derivative,) = torch.autograd.grad(expected.sum(), logits)
    loss = LOSSES["cross_entropy"]
    torch.testing.assert_close(loss.values(logits.detach(), labels), expected.detach())
    torch.testing.assert_close(loss.direction(logits.detach(), labels) * loss.factor, derivative)
    assert (correct(logits, labels) == (logits.argmax(-1) == labels)).all()


@pytest.mark.parametrize(("name", "factor"), [("mse", 1.0), ("half_squared_error", 0.5)])
def test_squared_losses_and_their_gradients(name: Loss, factor: float) -> None:
    outputs = torch.randn(2, 3, 7, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    labels = torch.linspace(-1, 1, 7, dtype=torch.float64).expand(2, 1, 7)
    expected = THEIRS["mse"](outputs.squeeze(-1), labels.expand(2, 3, 7)) * factor
    (derivative,) = torch.autograd.grad(expected.sum(), outputs)
    loss = LOSSES[name]
    torch.testing.assert_close(loss.values(outputs.detach(), labels), expected.detach())
    torch.testing.assert_close(loss.direction(outputs.detach(), labels) * loss.factor, derivative)


def test_norms_of_each_run() -> None:
    weight = torch.tensor([[[3.0, -4.0]], [[0.0, 0.5]]])
    assert l1_norm(weight).tolist() == [7.0, 0.5]
    assert squared_l2_norm(weight).tolist() == [25.0, 0.25]


ALL_WORDS = np.arange(LEVELS, dtype=np.uint16).reshape(256, 256)


@given(st.floats(0, 1))
def test_dropout_keeps_the_expectation_exactly(p: float) -> None:
    mask = dropout_mask(ALL_WORDS, np.array([p]))[0].astype(np.float64)
    kept = (mask > 0).mean()
    assert kept == pytest.approx(1 - p, abs=0.5 / LEVELS)
    assert mask.mean() == pytest.approx(1.0 if kept else 0.0, rel=1e-6)


def test_dropping_everything_gives_zero_and_dropping_nothing_gives_one() -> None:
    everything, nothing = dropout_mask(ALL_WORDS, np.array([1.0, 0.0]))
    assert (everything == 0).all()
    assert (nothing == 1).all()
