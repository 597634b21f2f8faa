"""The chapter's concepts for clients: what there is, and an activation function in the format asked for."""

from typing import Final, NamedTuple, cast

import numpy as np
from fastapi import Request, Response

from api import problem_kinds as kinds
from api import tables
from api.curve_answers import FORMATS
from api.negotiation import MEDIA_TYPES, choose, conditional, weak_etag
from api.problems import Problem
from api.schemas import common
from api.schemas.concepts import Activation, ActivationQuery, Concept, Dropout, DropoutQuery

AT: Final = "/v1/concepts"


class Formulas(NamedTuple):
    """A function and its derivative, written out."""

    value: str
    derivative: str


ACTIVATIONS: Final = {
    "relu": Formulas("max(x, 0)", "1 where x > 0, else 0"),
    "sigmoid": Formulas("1 / (1 + exp(−x))", "sigmoid(x) · (1 − sigmoid(x))"),
    "tanh": Formulas("(1 − exp(−2x)) / (1 + exp(−2x))", "1 − tanh(x)²"),
}


def listed() -> list[Concept]:
    """What there is to look at."""
    activations = [
        Concept(
            name=name,
            section="4.1",
            description=f"The activation function {formulas.value} and its derivative.",
            href=f"{AT}/activations/{name}",
        )
        for name, formulas in ACTIVATIONS.items()
    ]
    dropout = "What dropout makes of a tensor: the mask, and the mean before and after."
    return [*activations, Concept(name="dropout", section="4.6", description=dropout, href=f"{AT}/dropout")]


def activation(request: Request, name: str, query: ActivationQuery) -> Response:
    """An activation function in the format the client asked for; raises Problem 404 and 406."""
    if name not in ACTIVATIONS:
        raise Problem(kinds.not_found, f"There is no such activation; there are {', '.join(ACTIVATIONS)}.")
    form = choose(request, query.format, FORMATS)
    etag = weak_etag(form, name, query.model_dump())
    return conditional(request, etag, lambda: _written(name, query, form), MEDIA_TYPES[form], settled=True)


def _written(name: str, query: ActivationQuery, form: str) -> bytes:
    from mlcore import concepts  # imports torch, which takes a second and 200 MB: not before somebody needs it

    x = query.x
    y, dy_dx = concepts.activate(name, x)
    formulas = ACTIVATIONS[name]
    if form == "json":
        series = {"x": x, "y": y.tolist(), "dy_dx": dy_dx.tolist()}
        return common.dump(Activation(name=name, formula=formulas.value, derivative=formulas.derivative, **series))
    if form == "csv":
        return tables.row(["x", "y", "dy_dx"]) + tables.block([], [np.array(x), y, dy_dx])
    from api import concept_figures, figures

    picture = cast("figures.PictureFormat", form)
    return concept_figures.activation(name, formulas, np.array(x), y, dy_dx, picture)


def dropout(query: DropoutQuery) -> Dropout:
    """A tensor before and after dropout."""
    from mlcore import concepts

    x, mask, output = concepts.drop_out(query.rows, query.cols, query.p, query.seed)
    return Dropout(
        **query.model_dump(),
        x=x.tolist(),
        mask=mask.tolist(),
        output=output.tolist(),
        dropped=int((mask == 0).sum()),
        mean_before=x.mean().item(),
        mean_after=output.mean().item(),
    )
