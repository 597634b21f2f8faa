"""What a trained model says about inputs."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from fastapi import APIRouter

from api import checkpoints as kept
from api.dependencies import DatabaseOf, Owner, SettingsOf
from api.responses import problems
from api.schemas import results
from api.settings import ApiSettings
from api.strict_json import StrictRoute
from mlcore.spec import LinearSpec, MlpSpec, PolynomialSpec, parse_run_spec
from store import runs

router = APIRouter(prefix="/v1/runs", tags=["results"], route_class=StrictRoute)


@router.post("/{run_id:uuid}/predictions", responses=problems(400, 404, 413, 415, 422, 503))
def predict(
    run_id: UUID, asked: results.PredictionRequest, database: DatabaseOf, settings: SettingsOf, owner: Owner
) -> results.Predictions:
    """Ask a run's weights about inputs of one's own, or about examples of its training, validation or test set."""
    with database.read() as session:
        spec = parse_run_spec(runs.get(session, run_id, owner).spec)
        found = kept.load(session, run_id, asked.checkpoint)
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
