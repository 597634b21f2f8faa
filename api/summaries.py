"""An experiment by configuration: estimates over replicates, and which configuration to choose."""

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from fastapi import Request, Response

from api import diagnoses, labels, tables
from api.axes import METRICS, Axes, check_measured
from api.curve_answers import FORMATS
from api.negotiation import MEDIA_TYPES, PICTURES, choose, conditional, weak_etag
from api.schemas import common, sweeps
from api.schemas.sweeps import SummaryQuery
from api.streaming import chunks, released
from mlcore.analysis import summary
from mlcore.analysis.evidence import OUTCOMES
from mlcore.analysis.statistics import Estimate
from mlcore.analysis.summary import Candidate, Choice, Configuration
from store import runs
from store.engine import Database
from store.tables import Experiment

NONE = range(0)
NO_VALIDATION = (
    "No run has a validation set, and the test set is not for choosing: what it has chosen it can no longer judge. "
    "Set n_valid, or folds."
)
NOT_YET = "No configuration has a valid_loss and no failed or diverged run, up to now."
INCOMPARABLE = (
    "The configurations differ in {fields}: their losses are of different kinds or measured on different data, so the "
    "lowest tells nothing about the models."
)
NO_REPLICATES = (
    "There is one replicate, which has no standard error: repeat with seeds, data_seeds or folds for a neighbour."
)


@dataclass(frozen=True)
class Asked:
    """What is wanted of an experiment's summary, and how to get at it."""

    database: Database
    experiment: Experiment
    query: SummaryQuery

    @cached_property
    def axes(self) -> Axes:
        """What varies in the experiment."""
        return Axes.of(self.experiment)

    def read(self, diagnosed: range = NONE) -> Iterator[Configuration]:
        """The configurations in the order of the grid, one at a time; the places of those to be diagnosed are given."""
        each = self.experiment.total_runs // self.axes.points
        numbers = range(diagnosed.start * each, diagnosed.stop * each)
        with self.database.read() as session:
            found = diagnoses.results(session, runs.results(session, self.experiment.id), numbers)
            yield from summary.configurations(released(session, found), list(self.axes.grid))


def answer(request: Request, asked: Asked) -> Response:
    """The summary in the format the client asked for; raises Problem 406, and 422 for impossible axes or metrics."""
    form = choose(request, asked.query.format, FORMATS)
    check_measured([asked.query.metric] if asked.query.metric else [], asked.axes.metrics)
    experiment = asked.experiment
    etag = weak_etag(form, "summary", experiment.id, experiment.seq, experiment.name, asked.query.model_dump())
    settled = form not in PICTURES and experiment.is_settled
    return conditional(request, etag, lambda: _written(asked, form), MEDIA_TYPES[form], settled=settled)


def _written(asked: Asked, form: str) -> bytes | Generator[bytes, None, None]:
    if form == "csv":
        return chunks(_csv(asked))
    if form == "json":
        return common.dump(_document(asked))
    from api import summary_pictures

    return summary_pictures.draw(asked, form)


def _document(asked: Asked) -> sweeps.Summary:
    first, after = asked.query.offset, asked.query.offset + asked.query.limit
    shown: list[sweeps.Configuration] = []
    candidates: list[Candidate] = []
    for configuration in asked.read(diagnosed=range(first, after)):
        if first <= configuration.position < after:
            shown.append(_configuration(asked, configuration))
        if asked.axes.validated:
            if (one := summary.candidate(configuration)) is not None:
                candidates.append(one)
        elif configuration.position >= after:
            break
    choice = summary.choose(candidates)
    return sweeps.Summary(
        experiment_id=asked.experiment.id,
        varied=list(asked.axes.grid),
        configurations_total=asked.axes.points,
        offset=first,
        configurations=shown,
        winner=choice and _chosen(asked, choice.winner),
        neighbour=choice and choice.neighbour and _chosen(asked, choice.neighbour),
        remark=_remark(asked, candidates, choice),
    )


def _configuration(asked: Asked, configuration: Configuration) -> sweeps.Configuration:
    counts = {name: configuration.outcomes.get(name, 0) for name in OUTCOMES}
    return sweeps.Configuration(
        number=configuration.position,
        label=labels.point(configuration.values) or "all runs",
        values=configuration.values,
        runs=sweeps.OutcomeCounts(total=sum(counts.values()), **counts),
        replicates=configuration.replicates,
        metrics={name: _of_metric(configuration, name) for name in METRICS if name in configuration.samples},
        diagnosis=diagnoses.of_configuration(configuration, asked.experiment.request),
    )


def _of_metric(configuration: Configuration, name: str) -> sweeps.MetricEstimate:
    shared = _estimate(configuration.estimate(name)).model_dump()
    return sweeps.MetricEstimate(**shared, fold_std=configuration.fold_std(name))


def _estimate(found: Estimate) -> sweeps.Estimate:
    return sweeps.Estimate(
        n=found.n, mean=found.mean, std=found.std, ci_low=found.low, ci_high=found.high, left_out=found.left_out
    )


def _chosen(asked: Asked, one: Candidate) -> sweeps.Chosen:
    with asked.database.read() as session:
        spec = runs.get(session, one.run).spec
    return sweeps.Chosen(
        number=one.position,
        label=labels.point(one.values) or "all runs",
        values=one.values,
        valid_loss=_estimate(one.estimate),
        refit=sweeps.Refit(spec=summary.refit(spec).model_dump(mode="json")),
    )


def _remark(asked: Asked, candidates: Sequence[Candidate], choice: Choice | None) -> str | None:
    if not asked.axes.validated:
        return NO_VALIDATION
    if not candidates:
        return NOT_YET
    if choice is None:
        return INCOMPARABLE.format(fields=", ".join(summary.incomparable(candidates)))
    return NO_REPLICATES if choice.neighbour is None else None


def _csv(asked: Asked) -> Iterator[bytes]:
    statistics = ("n", "mean", "std", "ci_low", "ci_high", "left_out", "fold_std")
    metrics: Sequence[str] = asked.axes.metrics
    columns = [f"{metric}_{name}" for metric in metrics for name in statistics]
    yield tables.row(["number", *asked.axes.grid, *OUTCOMES, "replicates", "diagnosis", "agree", *columns])
    for one in asked.read(diagnosed=range(asked.axes.points)):
        counts = [one.outcomes.get(name, 0) for name in OUTCOMES]
        estimates = [_of_metric(one, metric) for metric in metrics]
        found = [getattr(estimate, name) for estimate in estimates for name in statistics]
        said = diagnoses.agreement(one)
        diagnosis = ["", ""] if said is None else [said.verdict, said.agree]
        yield tables.row([one.position, *one.values.values(), *counts, one.replicates, *diagnosis, *found])
