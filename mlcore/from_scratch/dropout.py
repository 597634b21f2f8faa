"""Dropout: d2l 4.6. Random bits come from one stream per (seed, "mask", epoch, layer), read step by step."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mlcore.randomness import bit_stream
from mlcore.stack import Layout

LEVELS = 65_536  # a unit is kept or dropped by 16 random bits
WORDS_PER_DRAW = 4  # of 16 bits in one raw draw


def dropout_mask(words: NDArray[np.uint16], p: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return inverted dropout's factors, 0 or 1/(1 − p): words [width, n], p [C] → [C, width, n].

    A unit is kept when its word is below k = round(65536·(1 − p)), and scaled by 65536/k, so that E[h'] = h holds
    exactly; p = 1 gives 0.
    """
    kept = np.rint(LEVELS * (1 - p))
    last_kept = np.maximum(kept - 1, 0).astype(np.uint16)
    scale = np.where(kept > 0, LEVELS / np.maximum(kept, 1), 0).astype(np.float32)
    factors: NDArray[np.float32] = np.multiply(
        words <= last_kept[:, None, None], scale[:, None, None], dtype=np.float32
    )
    return factors


class DropoutLayer:
    """One hidden layer's masks in one epoch. Runs of a group share the random bits, not the probability."""

    def __init__(self, layout: Layout, p: NDArray[np.float64], epoch: int, layer: int) -> None:
        self._p = p  # [G, C]
        self._streams = [bit_stream(seed, "mask", epoch, layer) for seed in layout.seed]

    def next_mask(self, h: Tensor) -> Tensor:
        """Draw the factors for h [G, C, width, n], of its shape and dtype."""
        shape = h.shape[2], h.shape[3]
        drawn = [dropout_mask(_words(stream, *shape), p) for stream, p in zip(self._streams, self._p, strict=True)]
        mask = drawn[0][None] if len(drawn) == 1 else np.stack(drawn)
        return torch.from_numpy(mask).to(h.device, h.dtype)


def _words(stream: np.random.SFC64, width: int, n: int) -> NDArray[np.uint16]:
    draws: NDArray[np.uint64] = stream.random_raw(-(-width * n // WORDS_PER_DRAW))
    return draws.view(np.uint16)[: width * n].reshape(width, n)
