"""Diagnosis of a training from what its evaluations say: d2l 4.4. Torch-free; pure functions of `Evidence`.

T is the training loss after the last epoch and H the held-out one (of the validation part if there is one, else of the
test part), of n and m examples; `mlcore.analysis.evidence` says what is known of them beforehand. Two questions decide:

* Does the model **miss** its training examples? It does when T is above its limit: the noise's loss F plus
  3·√(2/n)·F, three standard errors of it over n examples, plus 10⁻⁵ of the baseline B. Of images nobody knows F; there
  the limit is a quarter of B = ln 10.
* Is there a **gap** to new examples? H is expected to be R, the greater of T and the noise. There is a gap when H is
  above R by at least 3 standard errors of H (√(2/m)·R for squared errors, 2·R/√m for cross-entropy) and by a quarter.

A *fall* is what four times the epochs would take off a loss at the slope of its end. The rules; the first wins:

1. `diverged`: the run ended because its loss grew beyond all bounds.
2. `inconclusive`: it has not ended, or not well; T or H is not finite.
3. Neither missed nor a gap: `good_fit`; but `inconclusive` when m is so small that H could be twice R by chance (3
   standard errors), and, where F is not known, `not_converged` when both losses have a fall of at least a third.
4. Missed (T/limit is at least H/R, where there is a gap, too): `inconclusive` when T had been within its limit before
   and ended half as high again; `not_converged` with a fall of T of at least a third; else `underfitting`.
5. A gap: `not_converged` with a fall of H of at least a third that would close it, else `overfitting`.

In 4 and 5 it is `inconclusive` when the curve has fewer than two points. Losses of a replicate's folds are averaged
before. A configuration has the verdict of more than half of its replicates, else `inconclusive`.

Rules and thresholds were made with data seeds 0 to 99 in sight; `python -m benchmarks.diagnosis` shows what they give
on 100 to 199, which were first looked at afterwards.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from mlcore.analysis.evidence import Evidence, mean
from mlcore.words import counted

Verdict = Literal["underfitting", "overfitting", "good_fit", "diverged", "not_converged", "inconclusive"]
Unclear = Literal["not_ended", "not_finite", "few_held_out", "undone", "no_slope"]

ERRORS: Final = 3.0
GAP: Final = 1.25
OF_BASELINE: Final = 0.25
UNDONE: Final = 1.5
NOTHING: Final = 0.95
FALL: Final = 1 / 3

PARTS: Final = {"train": "training", "valid": "validation", "test": "test"}
STANDS: Final = {
    "queued": "It has not begun to train.",
    "running": "It is still training.",
    "failed": "It failed before its last epoch.",
    "cancelled": "It was cancelled before its last epoch.",
}


@dataclass(frozen=True)
class Diagnosis:
    """A verdict, the numbers in sentences that led there, and the numbers."""

    verdict: Verdict
    reasons: list[str]
    evidence: Evidence


@dataclass(frozen=True)
class Agreement(Diagnosis):
    """The diagnosis of a configuration; its evidence is the mean over the replicates that agree with the verdict."""

    verdicts: dict[Verdict, int]
    """How many replicates have which, the most frequent first."""

    @property
    def replicates(self) -> int:
        """How many replicates there are."""
        return sum(self.verdicts.values())

    @property
    def agree(self) -> int:
        """How many of them have the verdict."""
        return self.verdicts.get(self.verdict, 0)


def diagnose(evidence: Evidence) -> Diagnosis:
    """Diagnose a run, or the mean of a replicate's folds."""
    verdict = verdict_of(evidence)
    return Diagnosis(verdict, reasons_for(verdict, evidence), evidence)


def diagnose_replicates(replicates: Sequence[Evidence]) -> Agreement:
    """Diagnose a configuration by its replicates, of which there is at least one."""
    verdicts = [verdict_of(one) for one in replicates]
    counts = Counter(verdicts)
    frequent, agree = counts.most_common(1)[0]
    verdict: Verdict = frequent if 2 * agree > len(verdicts) else "inconclusive"
    agreeing = [one for one, its in zip(replicates, verdicts, strict=True) if its == verdict] or list(replicates)
    average = mean(agreeing)
    reasons = reasons_for(verdict, average if verdict_of(average) == verdict else agreeing[0])
    if len(verdicts) > 1:
        reasons = [_agreement(dict(counts.most_common()), verdict)] + (reasons if counts[verdict] else [])
    return Agreement(verdict, reasons, average, dict(counts.most_common()))


def verdict_of(evidence: Evidence) -> Verdict:
    """Apply the rules."""
    if evidence.outcome == "diverged":
        return "diverged"
    if unclear(evidence) is not None:
        return "inconclusive"
    match _leading(evidence):
        case "train":
            return "not_converged" if _falls(evidence.train_fall) else "underfitting"
        case "held_out":
            return "not_converged" if _is_closing(evidence) else "overfitting"
    return "not_converged" if _still_improves(evidence) else "good_fit"


def train_limit(evidence: Evidence) -> float:
    """Return the greatest training loss that a good fit may have."""
    if evidence.noise_floor is None:
        return OF_BASELINE * evidence.baseline
    return evidence.least + ERRORS * math.sqrt(2 / evidence.n_train) * evidence.noise_floor


def has_learned_nothing(evidence: Evidence) -> bool:
    """Whether a classifier is no better than the class frequencies."""
    loss = evidence.train_loss
    return evidence.noise_floor is None and loss is not None and loss >= NOTHING * evidence.baseline


def unclear(evidence: Evidence) -> Unclear | None:
    """Return why nothing can be said, if so, of a run that did not diverge."""
    if evidence.outcome != "succeeded":
        return "not_ended"
    if evidence.train_loss is None or evidence.held_out_loss is None:
        return "not_finite"
    leading = _leading(evidence)
    if leading is None:
        return "few_held_out" if ERRORS * evidence.relative_error > 1 else None
    if leading == "train" and _is_undone(evidence, evidence.train_loss):
        return "undone"
    return "no_slope" if (evidence.train_fall if leading == "train" else evidence.held_out_fall) is None else None


def _leading(evidence: Evidence) -> Literal["train", "held_out"] | None:
    """Return which loss is too high, the one by the greater factor if both are, of finite ones."""
    missed = _ratio(evidence.train_loss, train_limit(evidence))
    apart = _ratio(evidence.held_out_loss, evidence.expected)
    has_gap = apart >= _gap_limit(evidence)
    if missed > 1 and (not has_gap or missed >= apart):
        return "train"
    return "held_out" if has_gap else None


def _gap_limit(evidence: Evidence) -> float:
    """Return by what factor the held-out loss has to be above the expected one to count."""
    return max(GAP, 1 + ERRORS * evidence.relative_error)


def _ratio(value: float | None, by: float | None) -> float:
    return value / by if value and by else 1.0


def _is_undone(evidence: Evidence, train_loss: float) -> bool:
    lowest = evidence.lowest_train_loss
    return lowest is not None and lowest <= train_limit(evidence) and train_loss >= UNDONE * lowest


def _falls(fall: float | None) -> bool:
    return fall is not None and fall >= FALL


def _is_closing(evidence: Evidence) -> bool:
    left = _ratio(evidence.held_out_loss, evidence.expected) * (1 - (evidence.held_out_fall or 0.0))
    return _falls(evidence.held_out_fall) and left < _gap_limit(evidence)


def _still_improves(evidence: Evidence) -> bool:
    return evidence.noise_floor is None and _falls(evidence.train_fall) and _falls(evidence.held_out_fall)


def reasons_for(verdict: Verdict, evidence: Evidence) -> list[str]:
    """Say in sentences with numbers why the verdict is what it is."""
    match verdict:
        case "diverged":
            return ["The training loss was no finite number, or over 1e6 times that of the start and of zero weights."]
        case "inconclusive":
            cause = unclear(evidence)
            return [] if cause is None else [_unclear(cause, evidence)]
        case "overfitting":
            return [_gap(evidence), *_best(evidence), _fall("held_out", evidence)]
        case "underfitting":
            return [*_nothing(evidence), _misses(evidence), _fall("train", evidence)]
        case "good_fit":
            return [_misses(evidence), _gap(evidence)]
    leading = _leading(evidence)
    return [_gap(evidence) if leading == "held_out" else _misses(evidence), _fall(leading or "train", evidence)]


def _agreement(verdicts: dict[Verdict, int], verdict: Verdict) -> str:
    total = sum(verdicts.values())
    listed = ", ".join(f"{count} {name}" for name, count in verdicts.items() if name != verdict)
    if verdict not in verdicts:
        return f"No verdict has more than half of the {total} replicates: {listed}."
    return f"{verdicts[verdict]} of {total} replicates agree{f'; the others: {listed}' if listed else ''}."


def _unclear(cause: Unclear, evidence: Evidence) -> str:
    part = PARTS[evidence.held_out]
    match cause:
        case "not_ended":
            return STANDS[evidence.outcome]
        case "not_finite":
            return f"The training loss or the {part} loss was not measured at the end, or is no finite number."
        case "few_held_out":
            few = counted(evidence.n_held_out, f"{part} example")
            return f"{few} {'is' if evidence.n_held_out == 1 else 'are'} too few: a loss twice as high might be chance."
        case "undone":
            low, end = _number(evidence.lowest_train_loss), _number(evidence.train_loss)
            return f"The training loss had been as low as {low} and ended at {end}: the last steps were too large."
    return "There are too few evaluated epochs to tell whether the losses still fall."


def _nothing(evidence: Evidence) -> list[str]:
    if not has_learned_nothing(evidence):
        return []
    return [f"It does no better than predicting the class frequencies, whose loss is {_number(evidence.baseline)}."]


def _misses(evidence: Evidence) -> str:
    loss, limit = evidence.train_loss or 0.0, train_limit(evidence)
    within = "within" if loss <= limit else "above"
    what = f"a quarter of what predicting the class frequencies gives, {_number(evidence.baseline)}"
    if evidence.noise_floor is not None:
        examples = counted(evidence.n_train, "example")
        what = f"what the noise alone, {_number(evidence.noise_floor)}, may give on {examples}"
    return f"The training loss, {_number(loss)}, is {within} {_number(limit)}, {what}."


def _gap(evidence: Evidence) -> str:
    part, expected = PARTS[evidence.held_out], evidence.expected or 0.0
    at_noise = expected > (evidence.train_loss or 0.0)
    of_what = "the noise's" if at_noise else "the training loss"
    return (
        f"The {part} loss, {_number(evidence.held_out_loss)}, is {_number(_ratio(evidence.held_out_loss, expected))} "
        f"times {of_what}, {_number(expected)}: a gap of {_number(evidence.gap_in_errors)} standard errors "
        f"({counted(evidence.n_held_out, 'example')})."
    )


def _best(evidence: Evidence) -> list[str]:
    best, last = evidence.best_held_out_loss, evidence.held_out_loss or 0.0
    if best is None or last < GAP * best:
        return []
    return [f"It had been {_number(best)} after epoch {evidence.best_epoch}."]


def _fall(leading: Literal["train", "held_out"], evidence: Evidence) -> str:
    part = PARTS["train" if leading == "train" else evidence.held_out]
    fall = (evidence.train_fall if leading == "train" else evidence.held_out_fall) or 0.0
    if fall < 0.005:
        return f"The {part} loss no longer falls."
    return f"At the slope of its end, four times the epochs would lower the {part} loss by {100 * fall:.0f} %."


def _number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.3g}"
