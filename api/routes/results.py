"""What training gave: curves, weights, checkpoints."""

from collections.abc import Sequence
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request, Response

from api import checkpoints as kept
from api import curve_answers, weights
from api.curve_answers import Part
from api.dependencies import DatabaseOf, Owner
from api.labels import describe
from api.negotiation import conditional
from api.responses import NOT_MODIFIED, formats, problems
from api.schemas import results
from api.schemas.common import when
from api.strict_json import StrictRoute
from mlcore.spec import parse_run_spec
from store import checkpoints, curves, experiments, runs
from store.status import Status
from store.tables import Run

router = APIRouter(prefix="/v1", tags=["results"], route_class=StrictRoute)

MOST_RUNS = 50
"""Curves of that many runs in one answer; no eye tells more apart."""
_CURVES = {
    **formats(
        csv="A column `epoch` and one per metric; empty where it was not measured.",
        png="Loss and accuracy over epochs, for a slide.",
        svg="The same, scalable.",
    ),
    **NOT_MODIFIED,
    **problems(404, 406, 422),
}


@router.get("/runs/{run_id:uuid}/curves", response_model=results.RunCurves, responses=_CURVES)
def get_run_curves(
    run_id: UUID, query: Annotated[results.CurveQuery, Query()], request: Request, database: DatabaseOf, owner: Owner
) -> Response:
    """The learning curves of a run, also while it trains, as numbers or as a picture."""
    with database.read() as session:
        run = runs.get(session, run_id, owner)
        name = experiments.get(session, run.experiment_id).name
        curve = curves.read(session, run_id, query.after_epoch)
    label, facts = _label(run), _facts(run)
    head = {"run_id": str(run_id), "total_epochs": run.epochs}
    shown = curve_answers.Answer(
        name or label,
        facts if name is None else f"{label} · {facts}",
        [Part(head, {}, label, curve)],
        settled=run.status == Status.SUCCEEDED,
    )
    return curve_answers.answer(request, query, shown)


@router.get("/experiments/{experiment_id:uuid}/curves", response_model=results.ExperimentCurves, responses=_CURVES)
def get_experiment_curves(
    experiment_id: UUID,
    query: Annotated[results.CurveQuery, Query()],
    request: Request,
    database: DatabaseOf,
    owner: Owner,
) -> Response:
    """The learning curves of an experiment's runs, the first 50 of them, in one answer or one picture."""
    with database.read() as session:
        experiment = experiments.get(session, experiment_id, owner)
        page = runs.page(session, owner=owner, limit=MOST_RUNS, experiment_id=experiment_id, newest_first=False)
        parts = [_part(run, curves.read(session, run.id, query.after_epoch)) for run in page.items]
    shown = curve_answers.Answer(
        experiment.name or parts[0].label,
        _subtitle(page.items, named=experiment.name is not None),
        parts,
        around={"experiment_id": str(experiment_id), "runs_total": experiment.total_runs},
        settled=experiment.status == Status.SUCCEEDED,
    )
    return curve_answers.answer(request, query, shown)


@router.get("/runs/{run_id:uuid}/weights", responses=problems(404, 409, 422))
def get_run_weights(
    run_id: UUID, query: Annotated[results.WeightsQuery, Query()], database: DatabaseOf, owner: Owner
) -> results.Weights:
    """The learned weights of a polynomial or linear run beside the true ones, and their norms."""
    with database.read() as session:
        run = runs.get(session, run_id, owner)
        spec = weights.regression(parse_run_spec(run.spec))
        found = kept.load(session, run_id, kept.which(query.checkpoint))
    said = weights.describe(spec, found.data)
    return results.Weights(run_id=run_id, checkpoint=query.checkpoint, epoch=found.epoch, **said)


@router.get("/runs/{run_id:uuid}/checkpoints", responses=problems(404))
def list_run_checkpoints(run_id: UUID, database: DatabaseOf, owner: Owner) -> results.CheckpointList:
    """List the weights that are kept of a run."""
    with database.read() as session:
        runs.get(session, run_id, owner)
        rows = checkpoints.of_run(session, run_id)
    items = [
        results.Checkpoint(
            name=kept.name(row),
            epoch=row.epoch,
            size=row.size,
            sha256=row.sha256,
            created_at=when(row.created_at),
            href=f"/v1/runs/{run_id}/checkpoints/{kept.name(row)}",
        )
        for row in rows
    ]
    return results.CheckpointList(items=items)


@router.get(
    "/runs/{run_id:uuid}/checkpoints/{checkpoint}",
    response_class=Response,
    responses={
        200: {
            "description": "The weights as a safetensors file; its sha256 is the ETag.",
            "content": {kept.MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}}},
        },
        **NOT_MODIFIED,
        **problems(404),
    },
)
def get_run_checkpoint(
    run_id: UUID,
    checkpoint: Annotated[str, Path(description="last, best, or an epoch that was kept.")],
    request: Request,
    database: DatabaseOf,
    owner: Owner,
) -> Response:
    """Download weights: a safetensors file with `layers.0.weight` and so on, in torch.nn.Linear's orientation."""
    with database.read() as session:
        runs.get(session, run_id, owner)
        row = kept.find(session, run_id, kept.which(checkpoint))
        answer = conditional(
            request,
            f'"{row.sha256}"',
            lambda: kept.load(session, run_id, kept.which(checkpoint)).data,
            kept.MEDIA_TYPE,
        )
    answer.headers["Content-Disposition"] = f'attachment; filename="{run_id}-epoch-{row.epoch}.safetensors"'
    return answer


def _part(run: Run, curve: curves.Curve) -> Part:
    label = _label(run)
    head = {"run_id": str(run.id), "label": label, "status": run.status, "total_epochs": run.epochs}
    return Part(head, {"run_id": str(run.id), "label": label}, label, curve)


def _subtitle(shown: Sequence[Run], *, named: bool) -> str:
    if len(shown) > 1:
        return f"{len(shown)} runs"
    return f"{_label(shown[0])} · {_facts(shown[0])}" if named else _facts(shown[0])


def _label(run: Run) -> str:
    return describe(parse_run_spec(run.spec))


def _facts(run: Run) -> str:
    spec = parse_run_spec(run.spec)
    ended = {Status.FAILED: " · failed", Status.CANCELLED: " · cancelled"}.get(run.status, "")
    return f"learning rate {spec.learning_rate:g}, batch size {spec.batch_size}, {spec.epochs} epochs{ended}"
