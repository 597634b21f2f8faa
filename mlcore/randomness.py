"""Every random draw is a pure function of (seed, purpose, epoch).

So a resumed run needs no generator state, and a run draws the same numbers whatever else trains in its stack.
Initial weights, data, batch order and (on the CPU) masks come from here; what a card draws for itself from
`mlcore.counter_hash`.
"""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Purpose = Literal["init", "batch_order", "mask", "split", "folds", "inputs", "noise"]

GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def stream(seed: int, purpose: Purpose, *index: int) -> np.random.Generator:
    """Return the generator of this seed's draws for a purpose; `index` is an epoch, a layer or a part of the data."""
    return np.random.Generator(bit_stream(seed, purpose, *index))


def bit_stream(seed: int, purpose: Purpose, *index: int) -> np.random.SFC64:
    """Return the raw bits behind `stream`: SFC64, the fastest of numpy's bit generators."""
    entropy = [seed & 0xFFFFFFFF, seed >> 32, *purpose.encode(), *index]
    return np.random.SFC64(np.random.SeedSequence(entropy))


def batch_orders(seeds: list[int], epochs: range, n: int) -> NDArray[np.int64]:
    """Return one permutation of n examples per epoch and seed, [len(epochs), len(seeds), n].

    Each example gets a 64-bit key, a hash of (seed, epoch, example), and the order is the order of the keys: no
    generator to set up per seed, and all seeds of a stack at once. The hash is splitmix64 (Steele, Lea and Flood 2014).
    """
    numbers = np.asarray(epochs, np.uint64)[:, None]
    start = mixed(mixed(np.asarray(seeds, np.uint64)) + numbers)
    counter = np.arange(1, n + 1, dtype=np.uint64) * GOLDEN
    return np.argsort(mixed(start[..., None] + counter), axis=2)


def mixed(z: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return splitmix64's output for each state."""
    z = z + GOLDEN
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))
