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
from mlcore.from_scratch.losses import correct, cross_entropy, cross_entropy_gradient
from mlcore.from_scratch.penalties import l1_norm, squared_l2_norm
from mlcore.from_scratch.products import add_product_, product
from mlcore.spec import Activation

THEIRS: dict[str, Callable[..., Tensor]] = {
    "relu": torch.relu,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "identity": torch.clone,
    "cross_entropy": torch.nn.CrossEntropyLoss(reduction="none"),
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
        torch.randn(2, 3, 10, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * scale
    ).requires_grad_()
    labels = torch.arange(7).expand(2, 1, 7)
    by_example = logits.transpose(2, 3).reshape(-1, 10)
    expected = THEIRS["cross_entropy"](by_example, labels.expand(2, 3, 7).reshape(-1)).view(2, 3, 7)
    (derivative,) = torch.autograd.grad(expected.sum(), logits)
    torch.testing.assert_close(cross_entropy(logits.detach(), labels), expected.detach())
    torch.testing.assert_close(cross_entropy_gradient(logits.detach(), labels), derivative)
    assert (correct(logits, labels) == (logits.argmax(2) == labels)).all()


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [
        ((2, 16, 256, 300), torch.float32),  # wide: oneDNN's
        ((2, 3, 4, 5), torch.float32),
        ((2, 16, 256, 300), torch.float64),
    ],
)
def test_products_are_torchs_own(shape: tuple[int, int, int, int], dtype: torch.dtype) -> None:
    s, m, k, n = shape
    generator = torch.Generator().manual_seed(0)
    a, b = (torch.randn(s, *sides, dtype=dtype, generator=generator) for sides in ((m, k), (k, n)))
    c = torch.randn(s, m, n, dtype=dtype, generator=generator)
    expected = torch.bmm(a, b)
    tolerance = 1e-4 if dtype == torch.float32 else 1e-12
    torch.testing.assert_close(product(a, b), expected, rtol=tolerance, atol=tolerance)
    torch.testing.assert_close(
        product(a.mT.contiguous().mT, b.mT.contiguous().mT), expected, rtol=tolerance, atol=tolerance
    )
    for factor in (0.5, torch.rand(s, m, 1, dtype=dtype, generator=generator)):
        added = c.clone()
        add_product_(added, factor, a, b)
        torch.testing.assert_close(added, factor * c + expected, rtol=tolerance, atol=tolerance)


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
