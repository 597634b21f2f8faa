"""Requests to start from, by variant: the presets."""

from typing import Any, Final

from api.presets import request_of
from mlcore.presets import PRESETS, Preset
from mlcore.spec import VARIANTS


def _example(preset: Preset) -> dict[str, Any]:
    return {
        "summary": f"{preset.title}, {preset.section}",
        "description": preset.sentence,
        "value": request_of(preset),
    }


EXPERIMENTS: Final[dict[str, list[dict[str, Any]]]] = {
    variant: [_example(preset) for preset in PRESETS.values() if preset.request["spec"]["variant"] == variant]
    for variant in VARIANTS
}

COMPARISONS: Final[dict[str, Any]] = {
    "two-of-a-sweep": {
        "summary": "Two λ of a sweep, 4.5",
        "description": "Does weight decay help? The runs of one experiment, paired by their seeds.",
        "value": {
            "a": {"experiment": "0198a000-0000-7000-8000-000000000001", "where": {"lambda": 0}},
            "b": {"experiment": "0198a000-0000-7000-8000-000000000001", "where": {"lambda": 3}},
        },
    },
    "two-experiments": {
        "summary": "Two experiments at their best epochs, 4.6",
        "description": "Does dropout help? Each experiment has one configuration, and the same seeds.",
        "value": {
            "a": {"experiment": "0198a000-0000-7000-8000-000000000001"},
            "b": {"experiment": "0198a000-0000-7000-8000-000000000002"},
            "metric": "test_accuracy",
            "at": "best",
        },
    },
}
"""Requests for POST /v1/compare, by name."""


def for_openapi() -> dict[str, Any]:
    """The same by the presets' names, as OpenAPI lists examples."""
    return {name: _example(preset) for name, preset in PRESETS.items()}
