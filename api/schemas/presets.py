"""Presets over the wire."""

from typing import Any

from pydantic import Field

from api.schemas.common import Answer
from api.schemas.experiments import Device, Name, TagName, TagValue
from mlcore.json_schema import with_least
from mlcore.spec import Repeats, Strict


class PresetSummary(Answer):
    """An experiment with a name."""

    name: str
    section: str = Field(description="Of *Dive into Deep Learning*.")
    title: str
    sentence: str = Field(description="What it shows.")
    variant: str
    runs: int = Field(description="Trainings.")
    estimated_seconds: float = Field(
        description="Training time with one worker, from the sizes alone, for two CPU cores: an order of magnitude."
    )
    figure: str = Field(description="The picture to look at, once {experiment_id} is filled in.")
    href: str


class PresetList(Answer):
    """All presets, in the order of the chapter."""

    items: list[PresetSummary] = Field(description="In the order of the chapter.")


class Preset(PresetSummary):
    """A preset with what it submits."""

    request: dict[str, Any] = Field(description="Posting it to /v1/experiments does the same.")


class PresetRun(Strict, json_schema_extra=with_least):
    """What may differ from the preset when it is run."""

    name: Name | None = Field(None, description="Default: the preset's title.")
    tags: dict[TagName, TagValue] = Field({}, max_length=48, description="Beside the preset's own two.")
    note: str | None = Field(None, max_length=10_000, description="Default: what the preset shows.")
    device: Device = Field("auto", description="On a CPU, on a card, or (auto) wherever a worker is free first.")
    seeds: Repeats | None = Field(None, description="How many seeds per combination, or which.")
    data_seeds: Repeats | None = Field(None, description="How many data seeds per combination, or which.")
