"""What is wrong with a request, as JSON pointers and sentences: pydantic's errors in words for whoever posted it.

Pydantic's locations name members of unions ("mlp", "normal", "literal[…]") that the posted document does not have, and
its messages speak of Python. The document itself decides here what is a place in it and what is not.
"""

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError

from mlcore.errors import PointedError
from mlcore.spec import VARIANTS, BaseSpec, KeepEvery, LinearDefaultInit, NormalInit
from mlcore.words import counted

Place = Literal["body", "query", "header", "path", "cookie"]

MODELS: dict[str, type[BaseModel]] = {
    **VARIANTS,
    "normal": NormalInit,
    "linear_default": LinearDefaultInit,
    KeepEvery.__name__: KeepEvery,
}
"""What the tags in pydantic's locations stand for."""
DISCRIMINATORS = ("variant", "scheme")
SILENT = {"default_factory_not_called"}  # a default that waits for another field, which has an error of its own


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong: where in the document (RFC 6901), and what would be right."""

    pointer: str
    detail: str
    place: Place = "body"

    def document(self) -> dict[str, str]:
        """As a problem document shows it."""
        return {"in": self.place, "pointer": self.pointer, "detail": self.detail}


def pointer(path: Iterable[str | int]) -> str:
    """A JSON Pointer (RFC 6901); the whole document is the empty one."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)


def body_model(request: Request) -> type[BaseModel] | None:
    """The model that the route being answered reads its body with."""
    body_field = getattr(request.scope.get("route"), "body_field", None)
    annotation = body_field.field_info.annotation if body_field else None
    models = (annotation, *get_args(annotation))  # a body that may be left out is `Model | None`
    return next((one for one in models if isinstance(one, type) and issubclass(one, BaseModel)), None)


def faults(error: RequestValidationError, model: type[BaseModel] | None = None) -> list[Fault]:
    """Everything wrong with the request, each place once; `model` is what the body was read with."""
    found = [_Located.of(item, error.body, model) for item in error.errors() if item["type"] not in SILENT]
    deeper = {above for item in found for above in _above(item.pointer)}
    # `a or {"every": 3}`: what is wrong inside the object says more than that it is not a.
    told = [item for item in found if not (item.in_union and item.pointer in deeper)] or found
    details: dict[tuple[str, str], list[str]] = {}
    for item in told:
        details.setdefault((item.place, item.pointer), []).append(item.detail)
    return [
        Fault(at, "; or ".join(dict.fromkeys(said)), place)  # type: ignore[arg-type]
        for (place, at), said in details.items()
    ]


def of_pointed(error: PointedError) -> Fault:
    """What the layers below found; where pydantic told them that one value is wrong, in our words for it."""
    cause = error.__cause__
    is_value = error.pointer.rpartition("/")[2].isdecimal()
    if isinstance(cause, ValidationError) and is_value:
        return of_value(error.pointer, cause)
    return Fault(error.pointer, error.detail)


def of_value(at: str, error: ValidationError) -> Fault:
    """What pydantic told of one value, in our words for it."""
    found = next(item for item in error.errors() if item["type"] not in SILENT)
    return Fault(at, _sentence(found, None))


@dataclass(frozen=True)
class _Located:
    place: str
    pointer: str
    detail: str
    in_union: bool

    @classmethod
    def of(cls, item: Mapping[str, Any], body: object, model: type[BaseModel] | None) -> "_Located":
        place, *parts = item["loc"]
        if place != "body":
            return cls(str(place), pointer(parts), _sentence(item, model), in_union=False)
        path, tags = _in_document(parts, body, item["type"])
        for tag in tags:
            model = MODELS.get(tag, model)
        if item["type"].startswith("union_tag"):
            path = (*path, _discriminator(item))
        in_union = any(tag not in MODELS or MODELS[tag] is KeepEvery for tag in tags)
        return cls("body", pointer(path), _sentence(item, model), in_union)


def _in_document(parts: Sequence[str | int], node: object, kind: str) -> tuple[tuple[str | int, ...], list[str]]:
    """Split a location into the path that the document has and the tags of unions that it does not have."""
    path: list[str | int] = []
    tags: list[str] = []
    tagged = False  # the object at hand has had its tag
    for index, part in enumerate(parts):
        is_last = index == len(parts) - 1
        if not tagged and isinstance(node, dict) and part in [node.get(name) for name in DISCRIMINATORS]:
            tags.append(str(part))
            tagged = True
        elif _is_member(part, node) or (is_last and kind == "missing"):
            path.append(part)
            node = node[part] if _is_member(part, node) else None  # type: ignore[index]
            tagged = False
        else:
            tags.append(str(part))
    return tuple(path), tags


def _is_member(part: str | int, node: object) -> bool:
    return (isinstance(node, dict) and part in node) or (
        isinstance(node, list) and isinstance(part, int) and part < len(node)
    )


def _above(at: str) -> Iterable[str]:
    while at:
        at = at.rpartition("/")[0]
        yield at


def _discriminator(item: Mapping[str, Any]) -> str:
    return str(item["ctx"]["discriminator"]).strip("'")


def _sentence(item: Mapping[str, Any], model: type[BaseModel] | None) -> str:
    say = _SENTENCES.get(item["type"])
    if item["type"] == "extra_forbidden":
        return _unknown_field(str(item["loc"][-1]), model)
    return say(item.get("ctx") or {}) if say else str(item["msg"])


def _unknown_field(name: str, model: type[BaseModel] | None) -> str:
    fields = model.model_fields if model else {}
    allowed = sorted(fields, key=BaseSpec.model_fields.__contains__)  # a variant's own fields first
    if name == "lambda" and "weight_decay" in allowed:
        return "is another name for weight_decay, which is given too; give one of them"
    if "weight_decay" in allowed:
        allowed.insert(allowed.index("weight_decay") + 1, "lambda")
    return unknown_field(name, allowed, next((variant for variant, spec in VARIANTS.items() if spec is model), None))


def unknown_field(name: str, allowed: Sequence[str], variant: str | None = None) -> str:
    """What is wrong with a field or a parameter of this name, where these are allowed."""
    what = f"is no field of variant {variant}" if variant else "is not a known field"
    listed = f"; allowed: {', '.join(allowed)}" if allowed else ""
    return what + _hint(name, variant, allowed) + listed


def _hint(name: str, variant: str | None, allowed: Sequence[str]) -> str:
    owners = [other for other, spec in VARIANTS.items() if variant and name in spec.model_fields]
    if owners:
        return f", but of {' and '.join(owners)}"
    close = difflib.get_close_matches(name[:100], allowed, n=1)
    return f"; did you mean {close[0]}?" if close else ""


def _expected_tags(ctx: Mapping[str, Any]) -> str:
    choices = str(ctx["expected_tags"]).replace("'", "")
    return f"there is no such {str(ctx['discriminator']).strip(chr(39))}; choose one of: {choices}"


def _missing_tag(ctx: Mapping[str, Any]) -> str:
    name = str(ctx["discriminator"]).strip("'")
    choices = ", ".join(VARIANTS) if name == "variant" else "normal, linear_default"
    return f"is required; choose one of: {choices}"


def _choices(ctx: Mapping[str, Any]) -> str:
    return f"must be {ctx['expected']}"


def _length(what: str, bound: str, key: str) -> Callable[[Mapping[str, Any]], str]:
    return lambda ctx: f"must have at {bound} {counted(ctx[key], what)}"


def _says(sentence: str) -> Callable[[Mapping[str, Any]], str]:
    return lambda ctx: sentence.format(**ctx)


_EXAMPLES = {KeepEvery.__name__: ' such as {"every": 10}'}
_SENTENCES: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "missing": _says("is required"),
    "union_tag_invalid": _expected_tags,
    "union_tag_not_found": _missing_tag,
    "literal_error": _choices,
    "enum": _choices,
    "value_error": lambda ctx: str(ctx["error"]),
    "finite_number": _says("must be a finite number; NaN and infinity are not"),
    "greater_than": _says("must be greater than {gt:.16g}"),
    "greater_than_equal": _says("must be at least {ge:.16g}"),
    "less_than": _says("must be less than {lt:.16g}"),
    "less_than_equal": _says("must be at most {le:.16g}"),
    "int_type": _says("must be a whole number"),
    "int_parsing": _says("must be a whole number"),
    "int_from_float": _says("must be a whole number"),
    "float_type": _says("must be a number"),
    "float_parsing": _says("must be a number"),
    "bool_type": _says("must be true or false"),
    "bool_parsing": _says("must be true or false"),
    "string_type": _says("must be text"),
    "string_too_long": _length("character", "most", "max_length"),
    "string_too_short": _length("character", "least", "min_length"),
    "string_pattern_mismatch": _says("must look like the pattern {pattern}"),
    "list_type": _says("must be a list"),
    "too_long": _length("item", "most", "max_length"),
    "too_short": _length("item", "least", "min_length"),
    "uuid_parsing": _says("must be an id, as answers show it"),
    "uuid_type": _says("must be an id, as answers show it"),
    "dict_type": _says("must be an object"),
    "model_type": lambda ctx: "must be an object" + _EXAMPLES.get(ctx["class_name"], ""),
    "model_attributes_type": _says("must be an object"),
}
