"""Comparing two configurations."""

from typing import Annotated

from fastapi import APIRouter, Body

from api import comparisons, examples
from api.dependencies import DatabaseOf, Owner
from api.responses import problems
from api.schemas.comparison import Comparison, ComparisonRequest
from api.strict_json import StrictRoute

router = APIRouter(prefix="/v1/compare", tags=["results"], route_class=StrictRoute)


@router.post("", responses=problems(400, 404, 413, 415, 422))
def compare(
    asked: Annotated[ComparisonRequest, Body(openapi_examples=examples.COMPARISONS)], database: DatabaseOf, owner: Owner
) -> Comparison:
    """Compare two configurations replicate by replicate: how much they differ, and what the replicates can show.

    Replicates are paired by seed and data seed, so give both sides the same ones; folds are averaged before. Each side
    is one configuration: what its runs share but for seeds and folds.
    """
    with database.read() as session:
        return comparisons.answer(session, owner, asked)
