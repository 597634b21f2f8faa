"""A sweep in a table: what each configuration gave over its replicates, and which one to choose. Torch-free.

Runs come in the order of their numbers, in which those of a configuration follow each other and in it the folds of a
replicate. So one pass suffices, and no more than one configuration is held at a time.
"""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby, pairwise
from typing import Any, Final
from uuid import UUID

from mlcore.analysis import evidence
from mlcore.analysis.evidence import Evidence, Outcome
from mlcore.analysis.replicates import data_seed
from mlcore.analysis.statistics import Estimate, estimate
from mlcore.initialization import CLASSES, PIXELS
from mlcore.spec import RunSpec, parse_run_spec

CHOSEN_BY: Final = "valid_loss"
TASK: Final = ("coefficients", "noise_std", "true_weight", "true_bias", "n_inputs")
"""Fields that decide what there is to be learned."""
MEASURED_BY: Final = ("loss", *TASK)
MOST_TRAIN: Final = 100_000  # examples of synthetic data that a spec may ask for


@dataclass(frozen=True)
class Result:
    """A run: who it is, its resolved spec, how it stands, the last value of each metric once it has ended.

    `evidence` is what a diagnosis needs; None where none is wanted, and for a run that neither succeeded nor diverged.
    """

    run: UUID
    spec: Mapping[str, Any]
    outcome: Outcome
    metrics: Mapping[str, float]
    evidence: Evidence | None = None


@dataclass(frozen=True)
class Configuration:
    """A grid point and what its runs gave.

    `samples` has a value per metric and replicate: the mean over its folds. Replicates count when all their folds have
    succeeded: the mean of some folds, or over those replicates that did not diverge by then, would flatter.
    """

    position: int
    """Its place among the configurations, from 0."""
    values: dict[str, Any]
    """The fields that vary."""
    first: Result
    """One of its runs, to speak for their spec."""
    outcomes: Mapping[Outcome, int]
    """How many of its runs stand how."""
    replicates: int
    """How many different ones have succeeded."""
    samples: Mapping[str, Sequence[float]] = field(default_factory=dict)
    fold_variances: Mapping[str, Sequence[float]] = field(default_factory=dict)
    """Per metric and replicate the variance over its folds; nothing without folds."""
    evidence: Sequence[Evidence] = ()
    """For its diagnosis: that of each replicate of which all runs have some, the mean over its folds."""

    def estimate(self, metric: str) -> Estimate:
        """Estimate the mean of a metric over the replicates that have succeeded."""
        return estimate(self.samples.get(metric, ()))

    def fold_std(self, metric: str) -> float | None:
        """Return the standard deviation over the folds of a replicate, of all replicates together; None without."""
        variance = estimate(self.fold_variances.get(metric, ())).mean
        return None if variance is None else math.sqrt(variance)

    def error_of_choice(self) -> float | None:
        """Return the standard error that choosing goes by: over replicates or, of a single one, over its folds."""
        error, over_folds = self.estimate(CHOSEN_BY).standard_error, self.fold_std(CHOSEN_BY)
        if error is None and over_folds is not None:
            return over_folds / math.sqrt(self.first.spec["folds"])
        return error


def configurations(results: Iterable[Result], varied: Sequence[str]) -> Iterator[Configuration]:
    """Sum runs up by the values of the varied fields; the runs are in the order of their numbers."""
    by_values = groupby(results, lambda result: [result.spec.get(name) for name in varied])
    for position, (values, members) in enumerate(by_values):
        yield _configuration(position, dict(zip(varied, values, strict=True)), members)


def _configuration(position: int, values: dict[str, Any], members: Iterable[Result]) -> Configuration:
    outcomes: Counter[Outcome] = Counter()
    samples: dict[str, list[float]] = {}
    variances: dict[str, list[float]] = {}
    examined: list[Evidence] = []
    counted: set[tuple[int, int | None]] = set()
    first = None
    for _, folds_ in groupby(members, lambda result: (result.spec["seed"], result.spec["data_seed"])):
        folds = list(folds_)
        first = first or folds[0]
        outcomes.update(fold.outcome for fold in folds)
        replicate = folds[0].spec["seed"], data_seed(folds[0].spec)
        if replicate in counted:  # the same training again
            continue
        known = [fold.evidence for fold in folds if fold.evidence is not None]
        if len(known) == len(folds):
            examined.append(evidence.mean(known, folds=True))
        if all(fold.outcome == "succeeded" for fold in folds):
            counted.add(replicate)
            for name in folds[0].metrics:
                by_fold = [fold.metrics.get(name, math.nan) for fold in folds]
                samples.setdefault(name, []).append(sum(value / len(folds) for value in by_fold))
                if len(folds) > 1:
                    variances.setdefault(name, []).append((estimate(by_fold).std or 0.0) ** 2)
    assert first is not None  # noqa: S101  groupby yields no empty groups
    return Configuration(position, values, first, outcomes, len(counted), samples, variances, examined)


@dataclass(frozen=True)
class Candidate:
    """What a choice needs to know of a configuration."""

    position: int
    values: dict[str, Any]
    run: UUID
    """One of its runs, whose spec is the configuration's."""
    mean: float
    """What it is ranked by."""
    estimate: Estimate
    error: float | None
    """The standard error of that."""
    complexity: tuple[float, ...]
    measured_by: Mapping[str, Any]
    """What its loss is measured by: the fields that decide its kind and what there is to be learned."""


@dataclass(frozen=True)
class Choice:
    """The configuration with the lowest mean validation loss, and the simplest one that is as good within its error.

    `neighbour` is the one-standard-error rule's (Breiman et al. 1984): the simplest whose mean is at most one standard
    error of the winner above the winner's; it may be the winner. The error is over replicates, of a single one over its
    folds (which share training examples, so it is too small); None where there are neither.
    """

    winner: Candidate
    neighbour: Candidate | None


def candidate(configuration: Configuration) -> Candidate | None:
    """Return the configuration as one to choose, or None when it is none.

    It needs a validation loss, and no run that failed or diverged: its mean would be over the lucky ones. The test set
    is not for choosing.
    """
    said = configuration.estimate(CHOSEN_BY)
    lost = configuration.outcomes.get("failed", 0) + configuration.outcomes.get("diverged", 0) + said.left_out
    if lost or said.mean is None:
        return None
    first = configuration.first
    error = configuration.error_of_choice()
    place, values = configuration.position, configuration.values
    measured_by = {name: first.spec[name] for name in MEASURED_BY if name in first.spec}
    return Candidate(place, values, first.run, said.mean, said, error, complexity(first.spec), measured_by)


def incomparable(candidates: Iterable[Candidate]) -> list[str]:
    """Return the fields that make the candidates' losses ones of different kinds, or of different tasks."""
    listed = [one.measured_by for one in candidates]
    return [name for name in MEASURED_BY if any(one.get(name) != listed[0].get(name) for one in listed)]


def choose(candidates: Sequence[Candidate]) -> Choice | None:
    """Choose among candidates, of equal ones the first; None where there is none or their losses are incomparable."""
    if not candidates or incomparable(candidates):
        return None
    winner = min(candidates, key=lambda one: one.mean)
    error = winner.error
    if error is None:
        return Choice(winner, None)
    as_good = [one for one in candidates if one.mean <= winner.mean + error]
    return Choice(winner, min(as_good, key=lambda one: (*one.complexity, one.mean)))


def complexity(spec: Mapping[str, Any]) -> tuple[float, ...]:
    """Order specs from simple to complex.

    Linear models come before others, then it is fewer parameters, stronger decay, more dropout and fewer epochs.
    """
    inputs, hidden = spec.get("degree", spec.get("n_inputs")), spec.get("hidden", ())
    sizes = [PIXELS, *hidden, CLASSES] if inputs is None else [inputs, 1]
    parameters = sum((fan_in + 1) * fan_out for fan_in, fan_out in pairwise(sizes))
    return (len(hidden) > 0, parameters, -spec["weight_decay"], -sum(spec.get("dropout", ())), spec["epochs"])


def refit(spec: Mapping[str, Any]) -> RunSpec:
    """Return the spec that trains a configuration on as many examples as it was trained and validated on.

    Held-out images and folds join the training examples; synthetic examples are drawn anew, by the same data seed.
    """
    whole = {name: value for name, value in spec.items() if name not in ("fold", "folds")}
    most = spec["n_train"] + spec["n_valid"]  # of images there are always as many
    n_train = most if spec["variant"] == "mlp" else min(most, MOST_TRAIN)
    return parse_run_spec(whole | {"n_train": n_train, "n_valid": 0})
