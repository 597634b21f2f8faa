"""The chapter's concepts: activation functions and dropout in numbers and pictures."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response

from api import concepts
from api.responses import NOT_MODIFIED, formats, problems
from api.schemas.concepts import Activation, ActivationQuery, ConceptList, Dropout, DropoutQuery
from api.strict_json import StrictRoute

router = APIRouter(prefix="/v1/concepts", tags=["concepts"], route_class=StrictRoute)

_ACTIVATION = {
    **formats(
        csv="Columns `x`, `y` and `dy_dx`.",
        png="The function and its derivative side by side, for a slide.",
        svg="The same, scalable.",
    ),
    **NOT_MODIFIED,
    **problems(404, 406, 422),
}


@router.get("")
def list_concepts() -> ConceptList:
    """List the concepts there are to look at."""
    return ConceptList(items=concepts.listed())


@router.get("/activations/{name}", response_model=Activation, responses=_ACTIVATION)
def get_activation(
    name: Annotated[str, Path(description="relu, sigmoid or tanh.", examples=["sigmoid"])],
    query: Annotated[ActivationQuery, Query()],
    request: Request,
) -> Response:
    """An activation function and its derivative, calculated by autograd, from `start` to below `stop` (d2l 4.1)."""
    return concepts.activation(request, name, query)


@router.get("/dropout", responses=problems(422))
def get_dropout(query: Annotated[DropoutQuery, Query()]) -> Dropout:
    """What dropout makes of a tensor, with the very masks that training draws (d2l 4.6)."""
    return concepts.dropout(query)
