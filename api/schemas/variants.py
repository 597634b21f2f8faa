"""Variants over the wire."""

from typing import Any

from pydantic import Field

from api.schemas.common import Answer


class VariantSummary(Answer):
    """A model variant."""

    variant: str
    description: str
    href: str


class VariantList(Answer):
    """All model variants."""

    items: list[VariantSummary] = Field(description="One per variant.")


class Example(Answer):
    """A request to start from."""

    summary: str = Field(description="What it is, in one line.")
    description: str = Field(description="What it shows.")
    value: dict[str, Any] = Field(description="The body for POST /v1/experiments.")


class Variant(VariantSummary):
    """A model variant and everything it can be told."""

    defaults: dict[str, Any] = Field(description="The spec when nothing but the variant is given.")
    json_schema: dict[str, Any] = Field(description="JSON Schema (2020-12) of the spec.")
    examples: list[Example]
