"""A sweep in a table: what each configuration gave over its replicates, and which one to choose. Torch-free."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mlcore.analysis.statistics import Estimate, estimate
from mlcore.spec import RunSpec, parse_run_spec

REPEATED = ("seed", "data_seed", "fold")
"""Fields in which the runs of a configuration differ."""


@dataclass(frozen=True)
class Result:
    """A succeeded run: its resolved spec and the last value of each metric."""

    spec: Mapping[str, Any]
    metrics: Mapping[str, float]


@dataclass(frozen=True)
class Configuration:
    """A grid point: the values of the fields that vary, one of its resolved specs, and estimates by metric."""

    values: dict[str, Any]
    spec: dict[str, Any]
    replicates: int
    runs: int
    metrics: dict[str, Estimate]


@dataclass(frozen=True)
class Choice:
    """The configuration with the lowest mean of a metric, and the simplest one that is as good within its error.

    Positions in the list of configurations. `neighbour` is the one-standard-error rule's (Breiman et al. 1984): the
    simplest whose mean is at most one standard error of the winner above the winner's; it may be the winner.
    """

    metric: str
    winner: int
    neighbour: int


def summarize(results: Iterable[Result], varied: Sequence[str]) -> list[Configuration]:
    """Sum results up by the values of the varied fields, in the order in which these first appear."""
    groups: dict[str, list[Result]] = {}
    for result in results:
        groups.setdefault(repr([result.spec.get(field) for field in varied]), []).append(result)
    return [_configuration(members, varied) for members in groups.values()]


def _configuration(members: list[Result], varied: Sequence[str]) -> Configuration:
    spec = dict(members[0].spec)
    replicates: dict[tuple[Any, Any], list[Result]] = {}
    for member in members:
        replicates.setdefault((member.spec["seed"], member.spec["data_seed"]), []).append(member)
    names = dict.fromkeys(name for member in members for name in member.metrics)
    return Configuration(
        values={field: spec.get(field) for field in varied},
        spec=spec,
        replicates=len(replicates),
        runs=len(members),
        metrics={name: estimate([_mean_over_folds(folds, name) for folds in replicates.values()]) for name in names},
    )


def _mean_over_folds(folds: list[Result], name: str) -> float:
    values = [fold.metrics.get(name, math.nan) for fold in folds]
    return sum(values) / len(values)


def choose(configurations: Sequence[Configuration]) -> Choice | None:
    """Choose by mean validation loss; None where no configuration has one. The test set is not for choosing."""
    metric = "valid_loss"
    means = {position: one.metrics[metric].mean for position, one in enumerate(configurations) if metric in one.metrics}
    known = {position: mean for position, mean in means.items() if mean is not None}
    if not known:
        return None
    winner = min(known, key=lambda position: known[position])
    bound = known[winner] + (configurations[winner].metrics[metric].standard_error or 0.0)
    as_good = [position for position, mean in known.items() if mean <= bound]
    neighbour = min(as_good, key=lambda position: (*_complexity(configurations[position].spec), known[position]))
    return Choice(metric, winner, neighbour)


def _complexity(spec: Mapping[str, Any]) -> tuple[float, ...]:
    """Order specs from simple to complex: fewer parameters, then stronger decay, then more dropout."""
    return (
        spec.get("degree", 0),
        sum(spec.get("hidden", ())),
        -spec["weight_decay"],
        -sum(spec.get("dropout", ())),
    )


def refit(configuration: Configuration) -> RunSpec:
    """Return the spec that trains a configuration on all data: what was held out joins the training examples."""
    spec = {name: value for name, value in configuration.spec.items() if name not in ("fold", "folds")}
    return parse_run_spec(spec | {"n_train": spec["n_train"] + spec["n_valid"], "n_valid": 0})
