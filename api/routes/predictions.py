"""What a trained model says about inputs and about its own data."""

from collections.abc import Sequence
from functools import partial
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response

from api import checkpoints as kept
from api import fits, stored_predictions
from api import problem_kinds as kinds
from api.dependencies import DatabaseOf, Owner, SettingsOf
from api.negotiation import choose
from api.responses import NOT_MODIFIED, formats, problems
from api.schemas import predictions, results
from api.settings import ApiSettings
from api.strict_json import ImageRoute
from api.trained import Trained, answer, classifier, curve
from mlcore.spec import LinearSpec, MlpSpec, PolynomialSpec, parse_run_spec
from store import runs

router = APIRouter(prefix="/v1/runs", tags=["results"], route_class=ImageRoute)


@router.post(
    "/{run_id:uuid}/predictions",
    responses=problems(400, 404, kinds.no_checkpoint, 413, 415, 422, kinds.dataset_unusable),
)
def predict(
    run_id: UUID, asked: results.PredictionRequest, database: DatabaseOf, settings: SettingsOf, owner: Owner
) -> results.Predictions:
    """Ask a run's weights about inputs of one's own, or about examples of its training, validation or test set."""
    with database.read() as session:
        run = runs.get(session, run_id, owner)
        found = kept.load(session, run, asked.checkpoint)
    spec = parse_run_spec(run.spec)
    item = results.ClassPrediction if isinstance(spec, MlpSpec) else results.ValuePrediction
    return results.Predictions(
        run_id=run_id,
        checkpoint=str(asked.checkpoint),
        epoch=found.epoch,
        items=[item(**values) for values in _predict(spec, found.data, asked, settings)],
    )


def _predict(
    spec: MlpSpec | PolynomialSpec | LinearSpec, data: bytes, asked: results.PredictionRequest, settings: ApiSettings
) -> Sequence[dict[str, Any]]:
    # These import torch, which takes a second and 200 MB: not before somebody needs it.
    from mlcore import checkpoint, prediction

    weights = checkpoint.weights_from_bytes(data)
    if asked.split is not None and asked.indices is not None:
        return prediction.predict_split(spec, weights, asked.split, asked.indices, settings.data)
    return prediction.predict(spec, weights, asked.inputs or [])


@router.get(
    "/{run_id:uuid}/predictions",
    response_model=predictions.StoredPredictions,
    responses={
        **formats(png="mlp: the images as tiles with true and predicted names, the wrong ones marked."),
        **NOT_MODIFIED,
        **problems(404, kinds.no_checkpoint, 406, kinds.not_for_variant, 422, kinds.dataset_unusable),
    },
)
def list_predictions(
    run_id: UUID,
    query: Annotated[predictions.PredictionQuery, Query()],
    request: Request,
    database: DatabaseOf,
    settings: SettingsOf,
    owner: Owner,
) -> Response:
    """What a run's weights make of its own training, validation or test examples, one after the other."""
    form = choose(request, query.format, stored_predictions.FORMATS)
    suits = classifier if form == "png" or query.only == "errors" else None
    trained = Trained.read(database, run_id, owner, query.checkpoint, suits)
    return answer(request, query, trained, form, partial(stored_predictions.write, trained, query, settings.data, form))


@router.get(
    "/{run_id:uuid}/confusion-matrix",
    response_model=predictions.ConfusionMatrix,
    responses={
        **formats(
            csv="A row per true class, a column per predicted one.",
            png="The counts; a cell's colour is its share of the true class.",
            svg="The same, scalable.",
        ),
        **NOT_MODIFIED,
        **problems(404, kinds.no_checkpoint, 406, kinds.not_for_variant, 422, kinds.dataset_unusable),
    },
)
def get_confusion_matrix(
    run_id: UUID,
    query: Annotated[predictions.ConfusionQuery, Query()],
    request: Request,
    database: DatabaseOf,
    settings: SettingsOf,
    owner: Owner,
) -> Response:
    """How often an mlp takes each class of images for which, by its weights and its own data."""
    form = choose(request, query.format, stored_predictions.CONFUSION_FORMATS)
    trained = Trained.read(database, run_id, owner, query.checkpoint, classifier)
    write = partial(stored_predictions.write_confusion, trained, query, settings.data, form)
    return answer(request, query, trained, form, write)


@router.get(
    "/{run_id:uuid}/fit",
    response_model=predictions.Fit,
    responses={
        **formats(png="The learned polynomial over its data, with the true one.", svg="The same, scalable."),
        **NOT_MODIFIED,
        **problems(404, kinds.no_checkpoint, 406, kinds.not_for_variant, 422),
    },
)
def get_run_fit(
    run_id: UUID,
    query: Annotated[predictions.LearnedQuery, Query()],
    request: Request,
    database: DatabaseOf,
    owner: Owner,
) -> Response:
    """The polynomial that a run has learned, the true one, and the points of both sets."""
    form = choose(request, query.format, fits.FORMATS)
    trained = Trained.read(database, run_id, owner, query.checkpoint, curve)
    return answer(request, query, trained, form, partial(fits.write, trained, form))
