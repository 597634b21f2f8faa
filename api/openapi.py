"""The OpenAPI document: what FastAPI derives from the routes, with problem documents where it has its own errors."""

from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic.json_schema import models_json_schema

from api import glossary, response_headers
from api.callers import PROTECTED
from api.responses import problems
from api.schemas.common import Problem
from api.schemas.events import EndEvent, MetricsEvent, ProgressEvent, StatusEvent

TITLE: Final = "epochd"
SUMMARY: Final = "Post an experiment, get its learning curves, weights and predictions."
DESCRIPTION: Final = """
epochd trains the models of the multilayer-perceptron chapter of *Dive into Deep Learning*: polynomials, linear
regression with weight decay, and multilayer perceptrons with dropout.

1. **Submit**: `POST /v1/experiments` with `{"spec": {"variant": "polynomial"}}`. Every field has a default;
   `GET /v1/variants` shows them all. Or run a figure of the chapter by name: `POST /v1/presets/{name}:run`.
2. **Watch**: follow the `Location` of the answer, or listen to `GET …/events`. An experiment has *runs*, one per
   training; `GET …/runs` lists them.
3. **Look**: `/v1/runs/{run_id}/curves?format=png` is a picture for a slide, the same without `format` are the numbers;
   `/weights`, `/checkpoints`, `/predictions`, `/fit` and `/confusion-matrix` are beside it.
4. **Sweep**: add `"grid": {"degree": [1, 3, 19], "lambda": [0, 0.1]}, "data_seeds": 10` to the request, and up to
   100,000 runs train together. `/v1/experiments/{experiment_id}/summary` compares the configurations and, given
   validation data (`n_valid` in the spec, or `folds`), says which one to choose; `/curves?aggregate=mean,std` shows how
   they learn.
5. **Go on**: every run and configuration has a `diagnosis` (underfitting, overfitting, good fit, …) with the numbers it
   comes from, and in `next.request` the experiment to post next.

Errors are problem documents (RFC 9457). With status 422, `errors` points at every value that is not possible.
"""
TAGS: Final = [
    {"name": "experiments", "description": "Submit experiments, follow them, cancel them."},
    {"name": "presets", "description": "The chapter's figures and the questions they raise, ready to run."},
    {"name": "runs", "description": "The trainings that experiments consist of."},
    {"name": "results", "description": "What training gave: curves, weights, checkpoints, predictions, comparisons."},
    {"name": "variants", "description": "The models there are, and everything they can be told."},
    {"name": "concepts", "description": "Activation functions and dropout, in numbers and pictures."},
    {"name": "queue", "description": "What waits, why, and who works."},
    {"name": "service", "description": "The service itself."},
]
_KEY: Final = {
    "type": "http",
    "scheme": "bearer",
    "description": "A key from `epochd keys create`. While none was ever made, the machine itself needs none.",
}
_REPLACED = ("HTTPValidationError", "ValidationError")
_BESIDE = (Problem, StatusEvent, MetricsEvent, ProgressEvent, EndEvent)
"""What is answered as it is, not as a model: problem documents, and the messages of event streams."""


def operation_id(route: APIRoute) -> str:
    """The name of the function: what a generated client's method is called."""
    return route.name


def install(app: FastAPI) -> None:
    """Let the app describe itself with our problem documents."""
    derived: dict[str, Any] = {}

    def openapi() -> dict[str, Any]:
        if not derived:
            derived.update(_derive(app))
        return derived

    app.openapi = openapi  # type: ignore[method-assign]


def _derive(app: FastAPI) -> dict[str, Any]:
    document = get_openapi(
        title=app.title,
        version=app.version,
        summary=app.summary,
        description=app.description,
        tags=app.openapi_tags,
        routes=app.routes,
    )
    schemas = document["components"]["schemas"]
    for name in _REPLACED:
        schemas.pop(name, None)
    _, ours = models_json_schema(
        [(model, "serialization") for model in _BESIDE], by_alias=True, ref_template="#/components/schemas/{model}"
    )
    document["components"]["schemas"] = dict(sorted({**ours["$defs"], **schemas}.items()))
    document["components"]["securitySchemes"] = {"key": _KEY}
    glossary.fill_in(document)
    for path, operations in document["paths"].items():
        for operation in operations.values():
            _drop_own_errors(operation["responses"])
            if path.startswith(PROTECTED):
                _ask_for_key(operation)
    response_headers.fill_in(document)
    return document


def _ask_for_key(operation: dict[str, Any]) -> None:
    operation["security"] = [{"key": []}, {}]
    refusals = {str(status): answer for status, answer in problems(401, 403).items()}
    operation["responses"] = dict(sorted({**operation["responses"], **refusals}.items()))


def _drop_own_errors(responses: dict[str, Any]) -> None:
    """Drop the 422 that FastAPI adds wherever there is a parameter: a path's ids lead to a 404 instead."""
    content = responses.get("422", {}).get("content", {})
    if "application/json" in content and "application/problem+json" not in content:
        del responses["422"]
