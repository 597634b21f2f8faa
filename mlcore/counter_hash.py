"""The counter hash of `mlcore.randomness`, splitmix64, on tensors: integers, so every device gives the same bits.

What a training on a card draws in every epoch is drawn there: batch orders, which are those of
`mlcore.randomness.batch_orders`, and the random words of dropout masks (decision 14).
"""

import torch
from torch import Tensor

from mlcore.randomness import GOLDEN

_MASK = int.from_bytes(b"mask")
_SIGN = -(2**63)


def _signed(word: int) -> int:
    """Read 64 bits as torch does, which multiplies and adds only signed ones."""
    return word - 2**64 if word >= 2**63 else word


_STEP = _signed(int(GOLDEN))
_ROUNDS = ((30, _signed(0xBF58476D1CE4E5B9)), (27, _signed(0x94D049BB133111EB)))


def mixed_(z: Tensor) -> Tensor:
    """Do to int64 tensors, in place, what `mlcore.randomness.mixed` does to uint64 arrays."""
    z.add_(_STEP)
    for bits, factor in _ROUNDS:
        z.bitwise_xor_(_shifted(z, bits)).mul_(factor)
    return z.bitwise_xor_(_shifted(z, 31))


def _shifted(z: Tensor, bits: int) -> Tensor:
    """Shift right, zeros coming in: torch's own shift repeats the sign."""
    return (z >> bits).bitwise_and_(2 ** (64 - bits) - 1)


def counters(n: int, device: str) -> Tensor:
    """Return what n draws from one key differ in, [n]."""
    return torch.arange(1, n + 1, device=device).mul_(_STEP)


def batch_order(seeds: Tensor, epoch: int, counters: Tensor) -> Tensor:
    """Return the epoch's order of n examples for each seed: seeds [G], counters [n] → [G, n].

    It is `mlcore.randomness.batch_orders` of one epoch.
    """
    start = mixed_(mixed_(seeds.clone()).add_(epoch))
    keys = mixed_(start[:, None] + counters)
    return keys.bitwise_xor_(_SIGN).argsort(1)  # the sign bit turned: signed numbers sort as unsigned ones would


def mask_keys(seeds: Tensor, epoch: int, layer: int, counters: Tensor) -> Tensor:
    """Return the key of each step's random words for each seed: seeds [G], counters [steps] → [steps, G]."""
    keys = mixed_(seeds.clone())
    for word in (_MASK, epoch, layer):
        keys = mixed_(keys.add_(word))
    return mixed_(keys + counters[:, None])


def random_words(keys: Tensor, counters: Tensor) -> Tensor:
    """Draw uniform 16-bit words, read as signed: keys [G], counters [n] → [G, 4n] of int16."""
    return mixed_(keys[:, None] + counters).view(torch.int16)
