"""The curves of all runs of an experiment: one by one as they are read, or aggregated over groups of them."""

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from fastapi import Request, Response

from api import curves, labels, tables
from api.axes import REPEATED, Axes, check_measured
from api.curve_answers import FORMATS, cut
from api.invalid import Fault
from api.negotiation import MEDIA_TYPES, PICTURES, choose, conditional, weak_etag
from api.problems import invalid_problem
from api.schemas.sweeps import ExperimentCurveQuery
from api.streaming import chunks, released
from mlcore.analysis.aggregation import STATISTICS, Aggregation, Group
from store import curves as stored
from store.curves import Curve, CurveRun
from store.engine import Database
from store.tables import Experiment

MOST_NUMBERS = 8_000_000
"""Numbers in one answer that is no stream of CSV: some 160 MB of JSON that its reader has to hold at once."""


@dataclass(frozen=True)
class Asked:
    """What is wanted of an experiment's curves, and how to get at them."""

    database: Database
    experiment: Experiment
    query: ExperimentCurveQuery

    @cached_property
    def axes(self) -> Axes:
        """What varies in the experiment."""
        return Axes.of(self.experiment)

    @cached_property
    def fields(self) -> list[str]:
        """The fields that tell groups apart."""
        return self.axes.fields(self.query.group_by, "group_by")

    @cached_property
    def metrics(self) -> Sequence[str]:
        """The metrics of a table, whose columns have to be known before its rows."""
        return self.query.metric or self.axes.metrics

    def read(self) -> Iterator[tuple[CurveRun, Curve]]:
        """The runs in the order of their numbers, each with the epochs asked for."""
        after = self.query.after_epoch
        with self.database.read() as session:
            for run, curve in released(session, stored.of_experiment(session, self.experiment.id)):
                yield run, curves.at(curve, slice(int((curve.epochs <= after).sum()), None)) if after else curve

    def aggregated(self) -> Aggregation:
        """The runs in groups; raises Problem 422 when these are too many to be held."""
        aggregation = Aggregation(self.fields)
        for run, curve in self.read():
            aggregation.add(run.spec, curve.epochs, curves.pick(curve, self.query.metric).series)
            _check_count(len(STATISTICS) * aggregation.size)
        return aggregation


def answer(request: Request, asked: Asked) -> Response:
    """The curves in the format the client asked for; raises Problem 406, and 422 for what does not fit.

    The ETag says how far the experiment was, so that what has not changed is not even read.
    """
    form = choose(request, asked.query.format, FORMATS)
    experiment, fields = asked.experiment, asked.fields
    check_measured(asked.query.metric, asked.axes.metrics)
    etag = weak_etag(form, fields, experiment.id, experiment.seq, experiment.name, asked.query.model_dump())
    settled = form not in PICTURES and experiment.is_settled
    return conditional(request, etag, lambda: _written(asked, form), MEDIA_TYPES[form], settled=settled)


def _written(asked: Asked, form: str) -> bytes | Generator[bytes, None, None]:
    if form in PICTURES:
        from api import sweep_pictures

        return sweep_pictures.draw(asked, form)
    if asked.query.aggregate:
        return chunks(_grouped_json(asked) if form == "json" else _grouped_csv(asked))
    return chunks(_json(asked) if form == "json" else _csv(asked))


def _json(asked: Asked) -> Iterator[bytes]:
    _check_size(asked)
    experiment, query = asked.experiment, asked.query
    head = {"experiment_id": experiment.id, "runs_total": experiment.total_runs, "group_by": asked.fields}
    yield curves.encode(head)[:-1] + b',"runs":['
    for place, (run, curve) in enumerate(asked.read()):
        document = curves.to_json(_about(run, asked), cut(curve, query, query.max_points))
        yield b"," * (place > 0) + curves.encode(document)
    yield b"]}"


def _about(run: CurveRun, asked: Asked) -> dict[str, Any]:
    return {
        "run_id": run.id,
        "number": run.number,
        "label": labels.of_run(run.spec, asked.axes.grid, asked.axes.repeated),
        "values": {name: run.spec.get(name) for name in asked.fields},
        "seed": run.seed,
        "data_seed": run.data_seed,
        "fold": run.fold,
        "total_epochs": run.spec["epochs"],
    }


def _check_size(asked: Asked) -> None:
    """Refuse a document that is too large, by what is known before anything is read."""
    experiment, most = asked.experiment, asked.query.max_points
    epochs = experiment.epochs_done // asked.axes.evaluate_every
    if most is not None:
        epochs = min(epochs, experiment.total_runs * most)
    _check_count(epochs * len(asked.metrics))


def _check_count(numbers: int) -> None:
    if numbers > MOST_NUMBERS:
        detail = (
            f"asks for some {numbers:,} numbers in one answer; at most {MOST_NUMBERS:,} are given. Name fewer metrics, "
            "thin out with max_points, group by fewer fields, or take format=csv without aggregate, which has no limit"
        )
        raise invalid_problem([Fault("/format", detail, "query")])


def _csv(asked: Asked) -> Iterator[bytes]:
    fields = [name for name in asked.fields if name not in REPEATED]
    yield tables.row(["number", "run_id", *fields, *REPEATED, "epoch", *asked.metrics])
    for run, whole in asked.read():
        curve = cut(whole, asked.query, asked.query.max_points)
        head = [run.number, run.id, *(run.spec.get(name) for name in fields), run.seed, run.data_seed, run.fold]
        yield tables.block(head, [curve.epochs, *(curve.series.get(name) for name in asked.metrics)])


def _grouped_json(asked: Asked) -> Iterator[bytes]:
    experiment, query = asked.experiment, asked.query
    groups = asked.aggregated().groups()
    head = {"experiment_id": experiment.id, "runs_total": experiment.total_runs, "group_by": asked.fields}
    yield curves.encode({**head, "aggregate": query.aggregate})[:-1] + b',"groups":['
    for place, group in enumerate(groups):
        yield b"," * (place > 0) + curves.encode(_group_document(group, query))
    yield b"]}"


def _group_document(group: Group, query: ExperimentCurveQuery) -> dict[str, Any]:
    rows = shown_rows(group, query.max_points)
    statistics = {name: group.statistic(name) for name in query.aggregate}
    return {
        "values": group.values,
        "label": labels.point(group.values) or "all runs",
        "runs": group.runs,
        "replicates": group.replicates,
        "epochs": group.epochs[rows].tolist(),
        "series": {
            metric: curves.listed({name: found[metric][rows] for name, found in statistics.items()})
            for metric in group.metrics
        },
    }


def shown_rows(group: Group, most: int | None) -> curves.Rows | slice:
    """At most so many of the group's epochs, those that tell the shape of its means."""
    if most is None:
        return slice(None)
    means = Curve(group.epochs, group.statistic("mean"))
    return curves.telling_rows(means, most, curves.best_row(means))


def _grouped_csv(asked: Asked) -> Iterator[bytes]:
    columns = [(metric, name) for metric in asked.metrics for name in asked.query.aggregate]
    groups = asked.aggregated().groups()
    yield tables.row([*asked.fields, "runs", "replicates", "epoch", *(f"{metric}_{name}" for metric, name in columns)])
    for group in groups:
        rows = shown_rows(group, asked.query.max_points)
        found = {name: curves.at(Curve(group.epochs, group.statistic(name)), rows) for name in asked.query.aggregate}
        values = [found[name].series.get(metric) for metric, name in columns]
        yield tables.block([*group.values.values(), group.runs, group.replicates], [group.epochs[rows], *values])
