"""What training gave: curves, weights, checkpoints."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request, Response

from api import checkpoints as kept
from api import curve_answers, labels, summaries, sweep_curves, weights
from api import problem_kinds as kinds
from api.axes import check_measured, measured
from api.dependencies import DatabaseOf, Owner
from api.negotiation import conditional
from api.responses import NOT_MODIFIED, formats, problems
from api.schemas import results, sweeps
from api.schemas.common import when
from api.strict_json import StrictRoute
from mlcore.spec import parse_run_spec
from store import checkpoints, curves, experiments, runs
from store.status import Status

router = APIRouter(prefix="/v1", tags=["results"], route_class=StrictRoute)

_CURVES = {
    **formats(
        csv="A column `epoch` and one per metric; empty where it was not measured.",
        png="Loss and accuracy over epochs, for a slide.",
        svg="The same, scalable.",
    ),
    **NOT_MODIFIED,
    **problems(404, 406, 422),
}
_ALL_CURVES = {
    **_CURVES,
    **formats(
        csv="A row per run and epoch: number, run_id, the varied fields, seed, data_seed, fold, epoch, metrics. With "
        "aggregate a row per group and epoch, and a column per metric and statistic.",
        png="A line per group with the spread of its replicates as a band; beyond 12 groups a colour scale.",
        svg="The same, scalable.",
    ),
}
_SUMMARY = {
    **_CURVES,
    **formats(
        csv="A row per configuration: its values, runs by status, diagnosis and how many replicates agree with it, and "
        "n, mean, std, ci_low, ci_high, left_out and fold_std of each metric.",
        png="A heat-map over two fields of the grid, or means with their intervals along its only one.",
        svg="The same, scalable.",
    ),
}


@router.get("/runs/{run_id:uuid}/curves", response_model=results.RunCurves, responses=_CURVES)
def get_run_curves(
    run_id: UUID, query: Annotated[results.CurveQuery, Query()], request: Request, database: DatabaseOf, owner: Owner
) -> Response:
    """The learning curves of a run, also while it trains, as numbers or as a picture."""
    with database.read() as session:
        run, name = runs.get_with_name(session, run_id, owner)
        curve = curves.read(session, run_id, query.after_epoch)
    spec = parse_run_spec(run.spec)
    metrics = measured(spec.variant, validated=spec.sizes.valid > 0)
    check_measured(query.metric, metrics)
    label, facts = labels.describe(spec), labels.facts(spec) + labels.ENDED.get(run.status, "")
    shown = curve_answers.Answer(
        name or label,
        facts if name is None else f"{label} · {facts}",
        label,
        {"run_id": run_id, "total_epochs": run.epochs},
        curve,
        metrics,
        settled=run.status == Status.SUCCEEDED,
    )
    return curve_answers.answer(request, query, shown)


@router.get(
    "/experiments/{experiment_id:uuid}/curves",
    response_model=sweeps.ExperimentCurves | sweeps.AggregatedCurves,
    responses=_ALL_CURVES,
)
def get_experiment_curves(
    experiment_id: UUID,
    query: Annotated[sweeps.ExperimentCurveQuery, Query()],
    request: Request,
    database: DatabaseOf,
    owner: Owner,
) -> Response:
    """The learning curves of all runs of an experiment: one entry each, or `aggregate`d over groups of them.

    The formats but csv hold at most 8,000,000 numbers (aggregates count as four statistics); what asks for more gets a
    422. csv without aggregate is streamed, whatever its size.
    """
    with database.read() as session:
        experiment = experiments.get(session, experiment_id, owner)
    return sweep_curves.answer(request, sweep_curves.Asked(database, experiment, query))


@router.get("/experiments/{experiment_id:uuid}/summary", response_model=sweeps.Summary, responses=_SUMMARY)
def get_experiment_summary(
    experiment_id: UUID,
    query: Annotated[sweeps.SummaryQuery, Query()],
    request: Request,
    database: DatabaseOf,
    owner: Owner,
) -> Response:
    """An experiment by configuration: mean, spread and 95 % interval of each metric over its replicates, a diagnosis.

    With a validation set it also says which configuration to choose, with a request to train it on all data. json shows
    `limit` configurations from `offset` on, whatever the number; csv has them all, a row each.
    """
    with database.read() as session:
        experiment = experiments.get(session, experiment_id, owner)
    return summaries.answer(request, summaries.Asked(database, experiment, query))


@router.get("/runs/{run_id:uuid}/weights", responses=problems(404, kinds.no_checkpoint, kinds.not_for_variant, 422))
def get_run_weights(
    run_id: UUID, query: Annotated[results.WeightsQuery, Query()], database: DatabaseOf, owner: Owner
) -> results.LearnedWeights:
    """The learned weights of a polynomial or linear run beside the true ones, and their norms."""
    with database.read() as session:
        run = runs.get(session, run_id, owner)
        spec = weights.regression(parse_run_spec(run.spec))
        found = kept.load(session, run, kept.which(query.checkpoint))
    said = weights.describe(spec, found.data)
    return results.LearnedWeights(run_id=run_id, checkpoint=query.checkpoint, epoch=found.epoch, **said)


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
        **problems(404, kinds.no_checkpoint, kinds.checkpoint_damaged),
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
        run = runs.get(session, run_id, owner)
        row = kept.find(session, run, kept.which(checkpoint))
        answer = conditional(
            request,
            f'"{row.sha256}"',
            lambda: kept.load(session, run, kept.which(checkpoint)).data,
            kept.MEDIA_TYPE,
        )
    answer.headers["Content-Disposition"] = f'attachment; filename="{run_id}-epoch-{row.epoch}.safetensors"'
    return answer
