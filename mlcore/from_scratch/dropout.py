"""Dropout: d2l 4.6. A unit is kept or dropped by 16 random bits, which runs of a group share; their p may differ.

On the CPU the bits are one stream per (seed, "mask", epoch, layer), read step by step. A card cannot read a stream
in parallel: there each word is a hash of where it stands (decision 14). The law is the same.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mlcore import counter_hash
from mlcore.randomness import bit_stream
from mlcore.stack import Layout

LEVELS = 65_536  # a unit is kept or dropped by 16 random bits
WORDS_PER_DRAW = 4  # of 16 bits in one draw of 64


def dropout_mask(
    words: NDArray[np.uint16], p: NDArray[np.float64], out: NDArray[np.float32] | None = None
) -> NDArray[np.float32]:
    """Return inverted dropout's factors, 0 or 1/(1 − p): words [width, n], p [C] → [C, width, n].

    A unit is kept when its word is below k = round(65536·(1 − p)), and scaled by 65536/k, so that E[h'] = h holds
    exactly; p = 1 gives 0. They are written to `out` where one is given.
    """
    last_kept, scale = _thresholds(p)
    factors: NDArray[np.float32] = np.multiply(
        words <= last_kept.astype(np.uint16)[:, None, None], scale[:, None, None], out=out, dtype=np.float32
    )
    return factors


def _thresholds(p: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """Return the largest word that keeps a unit, and what a kept unit is multiplied with: 0 where none is kept."""
    kept = np.rint(LEVELS * (1 - p))
    return np.maximum(kept - 1, 0), np.where(kept > 0, LEVELS / np.maximum(kept, 1), 0).astype(np.float32)


class DropoutLayer:
    """One hidden layer's masks in one epoch. Runs of a group share the random bits, not the probability."""

    def __init__(self, layout: Layout, p: NDArray[np.float64], epoch: int, layer: int) -> None:
        self._p = p  # [G, C]
        self._streams = [bit_stream(seed, "mask", epoch, layer) for seed in layout.seed]
        self._factors = np.empty(0, np.float32)

    def next_mask(self, h: Tensor) -> Tensor:
        """Draw the factors for h [G, C, width, n], of its shape and dtype; the next call may write over them."""
        if self._factors.size < h.numel():
            self._factors = np.empty(h.numel(), np.float32)
        factors = self._factors[: h.numel()].reshape(h.shape)
        for stream, p, of_group in zip(self._streams, self._p, factors, strict=True):
            dropout_mask(_words(stream, *h.shape[2:]), p, out=of_group)
        return torch.from_numpy(factors).to(h.device, h.dtype)


def _words(stream: np.random.SFC64, width: int, n: int) -> NDArray[np.uint16]:
    draws: NDArray[np.uint64] = stream.random_raw(-(-width * n // WORDS_PER_DRAW))
    return draws.view(np.uint16)[: width * n].reshape(width, n)


class CounterDropoutLayer:
    """One hidden layer's masks, drawn where the training is by nothing but operations on tensors that stay in place.

    So a step that uses them can be captured once and launched again: its number is a tensor too.
    """

    def __init__(
        self, layout: Layout, p: NDArray[np.float64], layer: int, *, units: int, steps: int, number: Tensor
    ) -> None:
        """Make ready for masks of at most `units` = width · n in epochs of so many steps; `number` [1] counts them."""
        device = str(number.device)
        last_kept, scale = _thresholds(p)
        signed = (last_kept - LEVELS // 2).astype(np.int16)  # torch compares signed words, from −32768 on
        self._last_kept, self._scale = (
            torch.from_numpy(values).to(device)[:, :, None, None] for values in (signed, scale)
        )
        self._seeds = torch.tensor(layout.seed, device=device)
        self._layer = layer
        self._number = number
        self._steps = counter_hash.counters(steps, device)
        self._keys = torch.zeros(steps, layout.groups, dtype=torch.int64, device=device)
        self._counters = counter_hash.counters(-(-units // WORDS_PER_DRAW), device)

    def begin(self, epoch: int) -> None:
        """Take the keys of an epoch."""
        self._keys.copy_(counter_hash.mask_keys(self._seeds, epoch, self._layer, self._steps))

    def next_mask(self, h: Tensor) -> Tensor:
        """Draw the factors for h [G, C, width, n], of its shape and dtype."""
        width, n = h.shape[2:]
        keys = self._keys.index_select(0, self._number)[0]
        words = counter_hash.random_words(keys, self._counters[: -(-width * n // WORDS_PER_DRAW)])
        words = words[:, : width * n].view(-1, 1, width, n)
        return torch.where(words <= self._last_kept, self._scale.to(h.dtype), 0.0)
