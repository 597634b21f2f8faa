"""A run with weights of it, as the pictures of what it has learned need them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self
from uuid import UUID

from fastapi import Request, Response

from api import checkpoints, labels
from api import problem_kinds as kinds
from api.negotiation import MEDIA_TYPES, PICTURES, conditional, weak_etag
from api.problems import Problem
from api.schemas.predictions import LearnedQuery
from mlcore.spec import MlpSpec, PolynomialSpec, RunSpec, parse_run_spec
from store import experiments, runs
from store.engine import Database
from store.status import Status


@dataclass(frozen=True)
class Trained:
    """A run and one of its checkpoints."""

    run_id: UUID
    spec: RunSpec
    name: str | None
    """What its experiment is called."""
    checkpoint: str
    epoch: int
    data: bytes
    """The weights, as safetensors."""
    sha256: str
    has_succeeded: bool

    @classmethod
    def read(
        cls,
        database: Database,
        run_id: UUID,
        owner: str | None,
        checkpoint: str,
        suits: Callable[[RunSpec], object] | None = None,
    ) -> Self:
        """Read it; raises NotFound, what `suits` raises, Problem 404 for weights that are not kept, CheckpointDamaged.

        Before there are weights it is told that its variant does not suit: waiting for them would not help.
        """
        with database.read() as session:
            run = runs.get(session, run_id, owner)
            spec = parse_run_spec(run.spec)
            if suits is not None:
                suits(spec)
            name = experiments.get(session, run.experiment_id).name
            found = checkpoints.load(session, run, checkpoints.which(checkpoint))
        return cls(
            run_id, spec, name, checkpoint, found.epoch, found.data, found.sha256, run.status == Status.SUCCEEDED
        )

    @property
    def mlp(self) -> MlpSpec:
        """Its spec; raises Problem 409 when it does not classify images."""
        return classifier(self.spec)

    @property
    def polynomial(self) -> PolynomialSpec:
        """Its spec; raises Problem 409 when it is no function of one x."""
        return curve(self.spec)

    @property
    def head(self) -> dict[str, Any]:
        """What stands before the numbers in JSON."""
        return {"run_id": self.run_id, "checkpoint": self.checkpoint, "epoch": self.epoch}

    def titles(self, said: str = "") -> tuple[str, str]:
        """The title of a picture and the line below it, which says this first."""
        label = labels.describe(self.spec)
        parts = [said, label if self.name else "", f"after epoch {self.epoch}"]
        return self.name or label, " · ".join(filter(None, parts))


def classifier(spec: RunSpec) -> MlpSpec:
    """The spec as it is; raises Problem 409 when it does not classify images."""
    if not isinstance(spec, MlpSpec):
        raise Problem(kinds.not_for_variant, "Only an mlp classifies images; /fit draws a polynomial.")
    return spec


def curve(spec: RunSpec) -> PolynomialSpec:
    """The spec as it is; raises Problem 409 when it is no function of one x."""
    if not isinstance(spec, PolynomialSpec):
        raise Problem(kinds.not_for_variant, "Only a polynomial is a curve over one x.")
    return spec


def answer(request: Request, query: LearnedQuery, trained: Trained, form: str, write: Callable[[], bytes]) -> Response:
    """What follows from a run's weights, in this format."""
    etag = weak_etag(request.url.path, form, query.model_dump(), trained.name, trained.epoch, trained.sha256)
    settled = form not in PICTURES and trained.has_succeeded
    return conditional(request, etag, write, MEDIA_TYPES[form], settled=settled)
