"""An example of each kind of problem, as the OpenAPI document shows it."""

from typing import Any, Final

from api.problem_kinds import Kind

EXPERIMENT: Final = "/v1/experiments/0198a000-0000-7000-8000-000000000001"
RUN: Final = "/v1/runs/0198a000-0000-7000-8000-000000000002"

_SAID: Final[dict[str, tuple[str, str]]] = {
    "not-json": ("/v1/experiments", "Reading the body stopped at line 1, column 10: Expecting value."),
    "not-found": (EXPERIMENT, "There is no experiment with this id; GET /v1/experiments lists those there are."),
    "no-checkpoint": (
        f"{RUN}/checkpoints/7",
        "This run keeps no weights under this name; it keeps best (epoch 9), last (epoch 10).",
    ),
    "not-acceptable": (
        f"{RUN}/curves",
        "This is not to be had in that format. The choices here are ?format=json, ?format=csv, ?format=png.",
    ),
    "already-finished": (
        f"{EXPERIMENT}:cancel",
        "Experiment 0198a000-0000-7000-8000-000000000001 has already ended: it is succeeded.",
    ),
    "still-running": (
        EXPERIMENT,
        "Experiment 0198a000-0000-7000-8000-000000000001 is running: cancel it first, or wait until it has ended.",
    ),
    "nothing-to-retry": (
        f"{EXPERIMENT}:retry",
        "Nothing of experiment 0198a000-0000-7000-8000-000000000001 can be retried: no run of it has failed, other "
        "than by diverging, or been cancelled.",
    ),
    "queue-full": (
        "/v1/experiments",
        "99990 runs of yours are waiting, of 100000 at most; these would be 20 more.",
    ),
    "not-for-this-variant": (f"{RUN}/fit", "Only a polynomial is a curve over one x."),
    "too-large": ("/v1/experiments", "The body may have at most 1048576 bytes."),
    "unsupported-media-type": (
        "/v1/experiments",
        "The body must be JSON, not text/plain: send the header Content-Type: application/json.",
    ),
    "invalid": ("/v1/experiments", "/spec/learning_rate must be greater than 0"),
    "idempotency-key-reused": (
        "/v1/experiments",
        "This idempotency key came with another request before; make a new one for each submission.",
    ),
    "dataset-unusable": (f"{RUN}/predictions", "Fashion-MNIST is not here."),
}
"""Where it was met, and what it said; kinds that are not here always say the same."""


def example(kind: Kind) -> dict[str, Any]:
    """A whole problem document of this kind."""
    instance, detail = _SAID.get(kind.slug, ("/v1/experiments", kind.detail or kind.explanation))
    document: dict[str, Any] = {
        "type": f"/problems/{kind.slug}",
        "title": kind.title,
        "status": kind.status,
        "detail": detail,
        "instance": instance,
        "request_id": "5f0c3c1e6a1f4f0e8f5b8f1b9d0a7c11",
    }
    if kind.slug == "invalid":
        pointer, _, said = detail.partition(" ")
        document["errors"] = [{"in": "body", "pointer": pointer, "detail": said}]
    return document
