"""What pydantic leaves out of JSON Schemas."""

from typing import Any


def with_lambda(schema: dict[str, Any]) -> None:
    """Say that a spec's weight_decay may be given as lambda too, but under one name only.

    It has no default there, which generated clients would send beside the other's.
    """
    fields = schema["properties"]
    fields["lambda"] = {**fields["weight_decay"], "title": "Lambda", "description": "Another name for weight_decay."}
    fields["lambda"].pop("default", None)
    schema["not"] = {"required": ["weight_decay", "lambda"]}


def with_scheme(schema: dict[str, Any]) -> None:
    """Say that what tells the kinds of initialization apart has to be there."""
    schema["required"] = ["scheme"]


def with_least(schema: dict[str, Any]) -> None:
    """Say that seeds and the values of a grid are at least one, and no seed is named twice."""
    fields = schema["properties"]
    for name in ("seeds", "data_seeds"):
        count, listed, _ = fields[name]["anyOf"]
        count["minimum"] = 1
        listed |= {"minItems": 1, "uniqueItems": True}
    if "grid" in fields:
        fields["grid"]["additionalProperties"]["minItems"] = 1
