"""Two configurations compared: their replicates paired, what the pairs show, and what is to be said of it."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import accumulate
from typing import Any, Final, Literal

from sqlalchemy.orm import Session

from api import labels, sides
from api.curves import best_row
from api.invalid import Fault
from api.outcomes import result_of
from api.problems import invalid_problem
from api.schemas import comparison as schemas
from api.schemas.sweeps import OutcomeCounts
from api.sides import Chosen
from api.text import short
from mlcore.analysis.comparison import Comparison, Pairs, compare, pair, replicates
from mlcore.analysis.evidence import OUTCOMES
from mlcore.analysis.statistics import Estimate
from mlcore.analysis.summary import TASK, Result
from mlcore.analysis.verdict import remarks, verdict
from mlcore.spec import parse_run_spec
from store import curves
from store.curves import Curve
from store.status import Status

LONGEST_LABEL: Final = 60
IMMATERIAL: Final = sides.REPLICATION - {"folds"} | {"keep_checkpoints", "reuse"}
"""Fields in which sides may differ without training anything else."""
SELECTED_ON_TEST: Final = (
    "The best epochs are chosen by the test_loss where there is no validation set, which flatters what is measured on "
    "the test set. Set n_valid or folds."
)


def answer(session: Session, owner: str | None, asked: schemas.ComparisonRequest) -> schemas.Comparison:
    """Compare what was asked for; raises Problem 404, and 422 where a side is not one configuration or they clash."""
    a, b = sides.choose(session, owner, "a", asked.a), sides.choose(session, owner, "b", asked.b)
    _check_comparable(a, b, asked.metric)
    of_a, of_b = (_results(session, side, asked.at) for side in (a, b))
    pairs = pair(replicates(of_a, asked.metric), replicates(of_b, asked.metric))
    found = compare([one.a.value for one in pairs.compared], [one.b.value for one in pairs.compared])
    differ = [name for name in a.spec if name not in IMMATERIAL and a.spec[name] != b.spec.get(name)]
    names = [_label(one, other, differ) for one, other in ((a, b), (b, a))]
    of = (
        _side(a, names[0], of_a, asked.at, found.a, differ),
        _side(b, names[1], of_b, asked.at, found.b, differ),
    )
    return schemas.Comparison(
        metric=asked.metric,
        at=asked.at,
        a=of[0],
        b=of[1],
        pairs=found.n,
        left_out=_left_out(pairs),
        **_statistics(found),
        verdict=verdict(found, pairs, asked.metric, f"a ({of[0].label})", f"b ({of[1].label})"),
        remarks=[*_on_data(differ, asked.metric), *remarks(pairs), *_on_selection(of, asked.metric)],
    )


def _check_comparable(a: Chosen, b: Chosen, metric: str) -> None:
    if a.identity == b.identity:
        raise invalid_problem([Fault("/b", "is the same configuration as a")])
    if a.axes.variant != b.axes.variant:
        detail = f"is {b.axes.variant} and a is {a.axes.variant}; only runs of one variant do the same task"
        raise invalid_problem([Fault("/b", detail)])
    for name, side in (("a", a), ("b", b)):
        if metric not in side.axes.metrics:
            detail = f"is not measured by {name}; those that are: {', '.join(side.axes.metrics)}"
            raise invalid_problem([Fault("/metric", detail)])
    if metric.endswith("_loss") and a.spec["loss"] != b.spec["loss"]:
        detail = (
            f"is {a.spec['loss']} for a and {b.spec['loss']} for b; set `loss` in the specs to compare like with like"
        )
        raise invalid_problem([Fault("/metric", detail)])


def _results(session: Session, side: Chosen, at: Literal["last", "best"]) -> list[Result]:
    results = [result_of(run) for run in side.runs]
    if at == "last":
        return results
    ended = [run.id for run in side.runs if run.status == Status.SUCCEEDED]
    best = {run.id: _at_best(curve) for run, curve in curves.of_experiment(session, side.experiment.id, run_ids=ended)}
    return [replace(one, metrics=best.get(one.run, {})) for one in results]


def _at_best(curve: Curve) -> dict[str, float]:
    row = best_row(curve)
    return {} if row is None else {name: float(values[row]) for name, values in curve.series.items()}


def _label(side: Chosen, other: Chosen, differ: Sequence[str]) -> str:
    """What a side is called: the first fields in which it differs, each with its whole value."""
    if not differ and side.experiment.id == other.experiment.id:
        differ = [name for name in side.axes.grid if side.spec[name] != other.spec[name]]
    if not differ:
        return short(side.experiment.name or labels.describe(parse_run_spec(side.spec)), LONGEST_LABEL)
    parts = [labels.point({name: side.spec[name]}) for name in differ]
    lengths = list(accumulate(len(part) + len(", ") for part in parts))
    fitting = max(1, sum(length <= LONGEST_LABEL for length in lengths))
    return ", ".join(parts[:fitting]) + (", …" if fitting < len(parts) else "")


def _side(
    side: Chosen, label: str, results: Sequence[Result], at: str, values: Estimate, differ: Sequence[str]
) -> schemas.ComparedSide:
    spec = parse_run_spec(side.spec)
    apart = {name: side.spec[name] for name in differ}
    counts = Counter(one.outcome for one in results)
    return schemas.ComparedSide(
        experiment_id=side.experiment.id,
        name=side.experiment.name,
        label=label,
        values=apart,
        runs=OutcomeCounts(total=len(results), **{name: counts[name] for name in OUTCOMES}),
        selected_on=None if at == "last" else "valid" if spec.sizes.valid else "test",
        mean=values.mean,
        std=values.std,
    )


def _left_out(pairs: Pairs) -> schemas.LeftOut:
    return schemas.LeftOut(
        only_a=pairs.only_a, only_b=pairs.only_b, without_value=len(pairs.broken), repeated=pairs.repeated
    )


def _statistics(found: Comparison) -> dict[str, Any]:
    said, test, needed = found.difference, found.test, found.pairs_needed
    return {
        "difference": schemas.Difference(
            mean=said.mean, std=said.std, ci_low=said.low, ci_high=said.high, effect_size=found.effect_size
        ),
        "test": test and schemas.SignFlipTest(**vars(test)),
        "power": needed and schemas.PowerAnalysis(pairs_needed=needed, more_pairs_needed=max(0, needed - found.n)),
    }


def _on_data(differ: Sequence[str], metric: str) -> Iterator[str]:
    part, _, quantity = metric.partition("_")
    elsewhere = [name for name in differ if name in TASK or (part != "train" and name == f"n_{part}")]
    if quantity == "loss" and elsewhere:
        yield (
            f"The sides differ in {', '.join(elsewhere)}, so their losses were measured on different data: the "
            "difference tells nothing about the models."
        )


def _on_selection(of: Sequence[schemas.ComparedSide], metric: str) -> Iterator[str]:
    if metric.startswith("test_") and any(side.selected_on == "test" for side in of):
        yield SELECTED_ON_TEST
