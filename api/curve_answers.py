"""A run's curves in the format asked for, with an ETag; what all formats show is cut and thinned alike."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from fastapi import Request, Response

from api import curves, tables
from api.negotiation import MEDIA_TYPES, PICTURES, choose, conditional, etag_of
from api.schemas.results import CurveQuery
from store.curves import Curve

FORMATS = ("json", "csv", "png", "svg")
MOST_DRAWN = 2000
"""Epochs in a picture; more would lie on the same pixels."""


@dataclass(frozen=True)
class Answer:
    """What is to be shown of a run."""

    title: str
    subtitle: str
    label: str
    head: dict[str, Any]
    """What stands before the curve in JSON."""
    curve: Curve
    metrics: Sequence[str]
    """What the run measures, so that a table has the same columns whatever there is of it."""
    settled: bool = False


def answer(request: Request, query: CurveQuery, shown: Answer) -> Response:
    """The curve in the format the client asked for; raises Problem 406."""
    form = choose(request, query.format, FORMATS)
    curve = cut(shown.curve, query, most_points(query, form))
    columns = query.metric or shown.metrics
    if not curve.epochs.size and form not in PICTURES:
        curve = Curve.empty(columns)
    content = curves.encode(curves.to_json(shown.head, curve))
    said = f"{form} {shown.title} {shown.subtitle}".encode()
    return conditional(
        request,
        etag_of(said + content),
        lambda: content if form == "json" else _write(form, shown, curve, columns),
        MEDIA_TYPES[form],
        settled=form not in PICTURES and shown.settled,
    )


def most_points(query: CurveQuery, form: str) -> int | None:
    """How many epochs a curve may have in this format; None: all of them."""
    return query.max_points or (MOST_DRAWN if form in PICTURES else None)


def cut(curve: Curve, query: CurveQuery, most: int | None) -> Curve:
    """What was asked for of a curve."""
    picked = curves.pick(curve, query.metric)
    return picked if most is None else curves.thin(picked, most, curves.best_row(curve))


def _write(form: str, shown: Answer, curve: Curve, columns: Sequence[str]) -> bytes:
    if form == "csv":
        values = [curve.series.get(name) for name in columns]
        return tables.row(["epoch", *columns]) + tables.block([], [curve.epochs, *values])
    from api import figures

    lines = [figures.Line(shown.label, curve)]
    return figures.learning_curves(shown.title, shown.subtitle, lines, cast("figures.PictureFormat", form))
