"""Presets as requests: what is posted for one, and what it costs."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from api.schemas.experiments import ExperimentRequest
from api.submissions import Plan
from mlcore.presets import PRESETS, Preset


def request_of(preset: Preset, changes: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The body for POST /v1/experiments, tagged so that the preset's experiments are found again."""
    tags = {"preset": preset.name, "section": preset.section}
    request = {"name": preset.title, "note": preset.sentence, **preset.request, **(changes or {})}
    return request | {"tags": {**request.get("tags", {}), **tags}}


@cache
def size_of(name: str) -> tuple[int, float]:
    """How many runs a preset has, and how many seconds one worker would train them for."""
    size = Plan.of(ExperimentRequest.model_validate(request_of(PRESETS[name])), workers=1).validation(live=1)
    return size.runs, size.estimated_seconds
