"""What a comparison shows, in sentences that never say more than so many pairs can."""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

from mlcore.analysis.comparison import Comparison, Pair, Pairs
from mlcore.analysis.power import LEVEL, POWER, fewest_pairs
from mlcore.analysis.statistics import Estimate

NO_VALUE: Final = {
    "queued": "has not ended",
    "running": "has not ended",
    "succeeded": "has no finite value",
    "failed": "failed",
    "diverged": "diverged",
    "cancelled": "was cancelled",
}
"""Why there is nothing to compare, by how a replicate ended."""
DIVIDED: Final = "The evidence is divided, since p and the interval disagree over differences so uneven"
SAME_DATA: Final = "All pairs train on the same data: this speaks for other seeds, not for other data. Vary data_seeds."
REPEATED: Final = "the same trainings as another: on all of Fashion-MNIST a data seed changes nothing. Vary seeds."


def verdict(found: Comparison, pairs: Pairs, metric: str, a: str = "a", b: str = "b") -> str:
    """Say what the pairs show of a metric of the sides called a and b, and what was left out."""
    return " ".join([_finding(found, metric, a, b), *_left_out(pairs.broken, a, b)])


def remarks(pairs: Pairs) -> Iterator[str]:
    """Yield what is to be known of the pairs before anybody believes in them."""
    if pairs.repeated:
        are = "pair is" if pairs.repeated == 1 else "pairs are"
        yield f"{pairs.repeated} {are} left out: {REPEATED}"
    if len(pairs.compared) > 1 and len({(one.a.data, one.b.data) for one in pairs.compared}) == 1:
        yield SAME_DATA


def _finding(found: Comparison, metric: str, a: str, b: str) -> str:
    test = found.test
    if test is None:
        return "There is nothing to compare: no seed and data seed has a value on both sides."
    if not found.differing and found.n > 1:
        return f"Both sides have the same {_words(metric)} in all {found.n} pairs: no difference is to be seen."
    seen = _seen(found, metric, a, b)
    if test.smallest_p > LEVEL:
        return f"{_too_few(found, test.smallest_p)}, so no difference can be told from chance: {seen}. {_needed(found)}"
    evidence = f"{seen}{_interval(found)} (p = {test.p:.3g}, {found.n} pairs)."
    shown = {test.p <= LEVEL, _excludes_zero(found.difference)}
    if shown == {True}:
        return evidence[0].upper() + evidence[1:]
    head = "No difference is shown, which is no proof that there is none" if shown == {False} else DIVIDED
    return f"{head}: {evidence} {_needed(found)}".rstrip()


def _excludes_zero(said: Estimate) -> bool:
    return (said.low is not None and said.low > 0) or (said.high is not None and said.high < 0)


def _too_few(found: Comparison, smallest_p: float) -> str:
    if found.n == 1:
        return "One pair says nothing about chance"
    which = f"{found.n} pairs" if found.differing == found.n else f"{found.n} pairs of which {found.differing} differ"
    return f"{which} cannot go below p = {smallest_p:.3g}"


def _seen(found: Comparison, metric: str, a: str, b: str) -> str:
    mean = found.difference.mean or 0.0
    if not mean:
        return f"the mean {_words(metric)} is the same"
    which = "higher" if metric.endswith("accuracy") else "lower"
    first = a if (mean > 0) == (which == "higher") else b
    return f"{first} has the {which} {_words(metric)}, by {abs(mean):.3g}{' on average' if found.n > 1 else ''}"


def _interval(found: Comparison) -> str:
    said = found.difference
    if found.effect_size is None or said.mean is None or said.low is None or said.high is None:
        return ", the same in every pair, with no spread to tell an interval from"
    low, high = sorted([math.copysign(1, said.mean) * said.low, math.copysign(1, said.mean) * said.high])
    return f", 95 % confidence interval {low:.3g} to {high:.3g}"


def _needed(found: Comparison) -> str:
    if found.effect_size is None:
        return f"Take at least {fewest_pairs()} pairs: repeat both sides with the same seeds or data_seeds."
    if found.pairs_needed is None:
        return "So small an effect would take over a million pairs to show."
    if found.pairs_needed <= found.n:
        return ""
    shown = f"{found.pairs_needed} pairs would show it with a power of {100 * POWER:.0f} %"
    return f"If the true effect is the one seen, {shown}: {found.pairs_needed - found.n} more."


def _left_out(broken: Sequence[Pair], a: str, b: str) -> Iterator[str]:
    if broken:
        said = ((name, one) for pair in broken for name, one in ((a, pair.a), (b, pair.b)) if not one.usable)
        reasons = Counter(f"{name} {NO_VALUE[one.outcome]}" for name, one in said)
        listed = ", ".join(f"{reason} ({count})" for reason, count in reasons.items())
        yield f"Left out: {len(broken)} {'pair' if len(broken) == 1 else 'pairs'}, in which {listed}."


def _words(metric: str) -> str:
    return metric.replace("_", " ")
