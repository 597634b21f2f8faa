"""A run with weights of it, as the pictures of what it has learned need them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self
from uuid import UUID

from fastapi import Request, Response

from api import checkpoints, labels
from api import problem_kinds as kinds
from api.negotiation import MEDIA_TYPES, PICTURES, choose, conditional, weak_etag
from api.problems import Problem
from api.schemas.predictions import LearnedQuery
from mlcore.spec import LinearSpec, MlpSpec, PolynomialSpec, parse_run_spec
from store import experiments, runs
from store.engine import Database
from store.status import Status


@dataclass(frozen=True)
class Trained:
    """A run and one of its checkpoints."""

    run_id: UUID
    spec: MlpSpec | PolynomialSpec | LinearSpec
    name: str | None
    """What its experiment is called."""
    checkpoint: str
    epoch: int
    data: bytes
    """The weights, as safetensors."""
    sha256: str
    has_succeeded: bool

    @classmethod
    def read(cls, database: Database, run_id: UUID, owner: str | None, checkpoint: str) -> Self:
        """Read it; raises NotFound, Problem 404 for weights that are not kept, CheckpointDamaged."""
        with database.read() as session:
            run = runs.get(session, run_id, owner)
            name = experiments.get(session, run.experiment_id).name
            found = checkpoints.load(session, run_id, checkpoints.which(checkpoint))
        spec = parse_run_spec(run.spec)
        return cls(
            run_id, spec, name, checkpoint, found.epoch, found.data, found.sha256, run.status == Status.SUCCEEDED
        )

    @property
    def mlp(self) -> MlpSpec:
        """Its spec; raises Problem 409 when it does not classify images."""
        if not isinstance(self.spec, MlpSpec):
            raise Problem(kinds.not_for_variant, "Only an mlp classifies images; /fit draws a polynomial.")
        return self.spec

    @property
    def polynomial(self) -> PolynomialSpec:
        """Its spec; raises Problem 409 when it is no function of one x."""
        if not isinstance(self.spec, PolynomialSpec):
            raise Problem(kinds.not_for_variant, "Only a polynomial is a curve over one x.")
        return self.spec

    @property
    def head(self) -> dict[str, Any]:
        """What stands before the numbers in JSON."""
        return {"run_id": self.run_id, "checkpoint": self.checkpoint, "epoch": self.epoch}

    def titles(self, said: str = "") -> tuple[str, str]:
        """The title of a picture and the line below it, which says this first."""
        label = labels.describe(self.spec)
        parts = [said, label if self.name else "", f"after epoch {self.epoch}"]
        return self.name or label, " · ".join(filter(None, parts))


def answer(
    request: Request, query: LearnedQuery, trained: Trained, formats: tuple[str, ...], write: Callable[[str], bytes]
) -> Response:
    """What follows from a run's weights, in the format the client asked for; raises Problem 406."""
    form = choose(request, query.format, formats)
    etag = weak_etag(request.url.path, form, query.model_dump(), trained.name, trained.epoch, trained.sha256)
    settled = form not in PICTURES and trained.has_succeeded
    return conditional(request, etag, lambda: write(form), MEDIA_TYPES[form], settled=settled)
