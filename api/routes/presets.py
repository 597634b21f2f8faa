"""Presets: the chapter's figures and its natural questions, each an experiment with a name."""

from typing import Annotated

from fastapi import APIRouter, Query, Response
from starlette.convertors import Convertor, register_url_convertor

from api import problem_kinds as kinds
from api.presets import request_of, size_of
from api.problems import Problem
from api.responses import problems
from api.routes.experiments import SUBMITTED, VALIDATED, SubmitQuery
from api.schemas import presets
from api.schemas.experiments import Experiment, ExperimentRequest
from api.strict_json import StrictRoute
from api.submitting import SubmittingOf
from mlcore.presets import PRESETS, Preset

router = APIRouter(prefix="/v1/presets", tags=["presets"], route_class=StrictRoute)


class _Name(Convertor[str]):
    """A name in a path, without the colon that an action begins with."""

    regex = "[^/:]+"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("name", _Name())


@router.get("")
def list_presets() -> presets.PresetList:
    """List the figures of the chapter and the questions they raise, in its order, with what they cost."""
    return presets.PresetList(items=[_summary(preset) for preset in PRESETS.values()])


@router.get("/{preset:name}", responses=problems(404))
def get_preset(preset: str) -> presets.Preset:
    """Look at a preset, with the whole request that it stands for."""
    found = _find(preset)
    return presets.Preset(**dict(_summary(found)), request=request_of(found))


@router.post(
    "/{preset:name}:run",
    status_code=202,
    response_model=Experiment,
    responses={**VALIDATED, **SUBMITTED, **problems(400, 404, 413, 415, 422, kinds.key_reused, 429)},
)
async def run_preset(
    preset: str,
    query: Annotated[SubmitQuery, Query()],
    submitting: SubmittingOf,
    changes: presets.PresetRun | None = None,
) -> Response:
    """Submit a preset, as it is or with the changes in the body, and answer as POST /v1/experiments does."""
    posted = request_of(_find(preset), changes.model_dump(exclude_unset=True) if changes else None)
    return await submitting.answer(ExperimentRequest.model_validate(posted), posted, validate_only=query.validate_only)


def _find(name: str) -> Preset:
    if name not in PRESETS:
        raise Problem(kinds.not_found, f"There is no preset {name}; there are {', '.join(PRESETS)}.")
    return PRESETS[name]


def _summary(preset: Preset) -> presets.PresetSummary:
    runs, seconds = size_of(preset.name)
    return presets.PresetSummary(
        name=preset.name,
        section=preset.section,
        title=preset.title,
        sentence=preset.sentence,
        variant=preset.experiment.spec.variant,
        runs=runs,
        estimated_seconds=seconds,
        figure=f"/v1/experiments/{{experiment_id}}/{preset.figure}{'&' if '?' in preset.figure else '?'}format=png",
        href=f"/v1/presets/{preset.name}",
    )
