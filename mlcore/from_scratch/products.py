"""Batched matrix products, the work that training consists of.

For wide float32 products on a CPU torch's own matmul goes to MKL, which on processors that are not Intel's leaves half
of their speed unused; torch's other library, oneDNN, does not, and is as fast on Intel's. torch reaches it through the
operator that torch.compile emits for a linear layer (decision 9).
"""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

WIDE = 2**20  # multiplications in one product, below which a call for each costs more than it saves

AddProduct = Callable[[Tensor, Tensor | float, Tensor, Tensor], None]


def product(a: Tensor, b: Tensor) -> Tensor:
    """Return ab: [S, M, K] · [S, K, N] → [S, M, N]."""
    if not _is_wide(a, b):
        return torch.bmm(a, b)
    made = list(_products(a, b))
    return made[0][None] if len(made) == 1 else torch.stack(made)


def add_product_(c: Tensor, factor: Tensor | float, a: Tensor, b: Tensor) -> None:
    """Let c ← factor·c + ab in place: c [S, M, N], a [S, M, K], b [S, K, N], factor a number or [S, M or 1, N or 1]."""
    if not _is_wide(a, b):
        if isinstance(factor, Tensor):
            c.mul_(factor).baddbmm_(a, b)
        else:
            c.baddbmm_(a, b, beta=factor)
    elif isinstance(factor, Tensor):
        for into, one, ab in zip(c, factor, _products(a, b), strict=True):
            torch.addcmul(ab, into, one, out=into)
    else:
        for into, ab in zip(c, _products(a, b), strict=True):
            torch.add(ab, into, alpha=factor, out=into)


def add_narrow_product_(c: Tensor, factor: Tensor | float, a: Tensor, b: Tensor) -> None:
    """Do the same where a and b are of narrower numbers than c: ab is rounded to theirs, the sum is not."""
    if isinstance(factor, Tensor) or factor != 1:
        c.mul_(factor)
    c.add_(torch.bmm(a, b))


def _products(a: Tensor, b: Tensor) -> Iterator[Tensor]:
    linear = torch.ops.mkldnn._linear_pointwise
    return (linear(left, right.mT, None, "none", [], "") for left, right in zip(a.contiguous(), b, strict=True))


def _is_wide(a: Tensor, b: Tensor) -> bool:
    return (
        a.dtype == torch.float32
        and a.device.type == "cpu"
        and a.shape[1] * a.shape[2] * b.shape[2] >= WIDE
        and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    )
