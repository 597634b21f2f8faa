"""What is killed when: drawn from a seed alone, so that a run can be repeated with the same kills in the same order."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

SHARES: Final = {"slot": 45, "child": 30, "api": 10, "janitor": 10, "redis": 5}
"""Out of a hundred kills; a slot is killed with its child, a child alone."""
AT_WORK: Final = 0.8
"""How often the wait begins only when the slot trains; else it may be hit anywhere, even while it starts."""


@dataclass(frozen=True)
class Kill:
    """One SIGKILL: `wait` seconds after the one before."""

    wait: float
    target: str
    slot: int  # which one, where the target is a slot or its child
    at_work: bool


def schedule(seed: int, targets: Sequence[str], slots: int, mean_seconds: float) -> Iterator[Kill]:
    """Draw kills without end; the waits are uniform between a fifth and nine fifths of their mean."""
    random, shares = Random(seed), [SHARES[target] for target in targets]  # noqa: S311 - to be repeated
    while True:
        yield Kill(
            wait=mean_seconds * random.uniform(0.2, 1.8),
            target=random.choices(targets, shares)[0],
            slot=random.randint(1, slots),
            at_work=random.random() < AT_WORK,
        )
