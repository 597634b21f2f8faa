"""What is said of a judged claim, in the terminal and in the report: numbers, bounds, verdicts."""

import math
from typing import Final

from epochd.transport import Json

VERDICTS: Final = {True: "holds", False: "does not hold", None: "undecided"}
BOUNDS: Final = ("claimed_above", "claimed_below")
SUPERSCRIPTS: Final = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
PLAIN: Final = (1e-3, 1e5)
"""Magnitudes that need no power of ten."""


def number(value: float | None) -> str:
    """Return three digits of a number: 0.850, 202, 1,940, 1.30 × 10⁸; a dash for None."""
    if value is None:
        return "–"
    rounded = float(f"{value:.2e}")
    if rounded == 0:
        return "0"
    if PLAIN[0] <= abs(rounded) < PLAIN[1]:
        said = f"{rounded:,.0f}" if abs(rounded) >= 1000 else f"{rounded:#.3g}".rstrip(".")
        return said.replace("-", "−")
    mantissa, exponent = f"{rounded:.2e}".split("e")
    power = str(int(exponent)).translate(SUPERSCRIPTS)
    return f"{mantissa.replace('-', '−')} × 10{power}"


def interval(found: Json) -> tuple[str, str, str]:
    """Return a mean and the ends of its interval, to the digits that the interval leaves."""
    mean, low, high = (found[name] for name in ("mean", "low", "high"))
    if low is None or low == high or not PLAIN[0] <= abs(mean) < PLAIN[1]:
        return number(mean), number(low), number(high)
    decimals = max(0, 1 - math.floor(math.log10(high - low)))
    mean, low, high = (f"{one:,.{decimals}f}".replace("-", "−") for one in (mean, low, high))
    return mean, low, high


def effect(said: Json) -> str:
    """Return the mean of a measure with its interval."""
    if said["effect"] is None:
        return "–"
    mean, low, high = interval(said["effect"])
    return f"{mean} ({low} to {high})"


def claimed(said: Json) -> str:
    """Return between which bounds the number is claimed to be."""
    low, high = (None if said[name] is None else number(said[name]).removesuffix(".00") for name in BOUNDS)
    if low is None:
        return f"below {high}"
    return f"above {low}" if high is None else f"between {low} and {high}"


def share(said: Json) -> str:
    """Return in which part of the replicates the claim holds."""
    return "–" if said["fraction"] is None else f"{said['fraction']:.0%} of {said['replicates']}"
