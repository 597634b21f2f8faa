"""The model variants: what each can be told, its defaults, and examples to start from."""

from fastapi import APIRouter

from api import problem_kinds as kinds
from api.examples import EXPERIMENTS
from api.problems import Problem
from api.responses import problems
from api.schemas import variants
from api.strict_json import StrictRoute
from mlcore.spec import VARIANTS

router = APIRouter(prefix="/v1/variants", tags=["variants"], route_class=StrictRoute)


@router.get("")
def list_variants() -> variants.VariantList:
    """List the model variants there are."""
    return variants.VariantList(items=[_summary(name) for name in VARIANTS])


@router.get("/{variant}", responses=problems(404))
def get_variant(variant: str) -> variants.Variant:
    """Look at a variant: every field with its default, its bounds and its meaning, and requests to start from."""
    if variant not in VARIANTS:
        raise Problem(kinds.not_found, f"There is no such variant; there are {', '.join(VARIANTS)}.")
    model = VARIANTS[variant]
    return variants.Variant(
        **dict(_summary(variant)),
        defaults=model().model_dump(mode="json"),
        json_schema=model.model_json_schema(),
        examples=[variants.Example(**example) for example in EXPERIMENTS[variant]],
    )


def _summary(name: str) -> variants.VariantSummary:
    description = " ".join((VARIANTS[name].__doc__ or "").split())
    return variants.VariantSummary(variant=name, description=description, href=f"/v1/variants/{name}")
