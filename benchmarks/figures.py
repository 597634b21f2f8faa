"""How figures are written: three digits that count, in a unit that suits."""

from typing import Final

UNITS: Final = ((1.0, 1.0, "s"), (1e-3, 1e3, "ms"), (0.0, 1e6, "µs"))
WHOLE: Final = 100


def text_of(value: float, unit: str) -> str:
    """Write a value; seconds become milliseconds or microseconds where they are few."""
    if unit == "s":
        _, factor, unit = next(row for row in UNITS if abs(value) >= row[0])
        value *= factor
    digits = f"{value:,.0f}" if abs(value) >= WHOLE else f"{value:.3g}"
    return f"{digits} {unit}"
