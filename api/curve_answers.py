"""Curves in the format asked for, with an ETag; what all formats show is cut and thinned alike."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from fastapi import Request, Response

from api import curves
from api.negotiation import MEDIA_TYPES, choose, conditional, etag_of
from api.schemas.results import CurveQuery
from store.curves import Curve

FORMATS = ("json", "csv", "png", "svg")
MOST_DRAWN = 2000
"""Epochs in a picture; more would lie on the same pixels."""


@dataclass(frozen=True)
class Part:
    """One run's share of an answer."""

    head: dict[str, Any]
    """What identifies it in JSON."""
    columns: dict[str, str]
    """What identifies it in CSV."""
    label: str
    curve: Curve


@dataclass(frozen=True)
class Answer:
    """What is to be shown of one run or of several."""

    title: str
    subtitle: str
    parts: Sequence[Part]
    around: dict[str, Any] | None = None
    """What surrounds several parts in JSON; None: there is one, and it stands alone."""
    settled: bool = False


def answer(request: Request, query: CurveQuery, shown: Answer) -> Response:
    """The curves in the format the client asked for; raises Problem 406."""
    form = choose(request, query.format, FORMATS)
    most = query.max_points or (MOST_DRAWN if form in ("png", "svg") else None)
    cut = [_cut(part.curve, query, most) for part in shown.parts]
    documents = [curves.to_json(part.head, curve) for part, curve in zip(shown.parts, cut, strict=True)]
    content = curves.encode(documents[0] if shown.around is None else {**shown.around, "runs": documents})
    said = f"{form} {shown.title} {shown.subtitle}".encode()
    return conditional(
        request,
        etag_of(said + content),
        lambda: content if form == "json" else _write(form, shown, cut),
        MEDIA_TYPES[form],
        settled=shown.settled,
    )


def _cut(curve: Curve, query: CurveQuery, most: int | None) -> Curve:
    picked = curves.pick(curve, query.metric)
    return picked if most is None else curves.thin(picked, most, curves.best_row(curve))


def _write(form: str, shown: Answer, cut: Sequence[Curve]) -> bytes:
    if form == "csv":
        return curves.to_csv((part.columns, curve) for part, curve in zip(shown.parts, cut, strict=True))
    from api import figures

    lines = [figures.Line(part.label, curve) for part, curve in zip(shown.parts, cut, strict=True)]
    return figures.learning_curves(shown.title, shown.subtitle, lines, cast("figures.PictureFormat", form))
