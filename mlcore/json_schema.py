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
