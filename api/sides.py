"""From one side of a comparison as it was asked for to the runs of exactly one configuration."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, NoReturn
from uuid import UUID

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from sqlalchemy.orm import Session

from api import problem_kinds as kinds
from api.axes import Axes, canonical
from api.invalid import Fault, of_value, pointer
from api.problems import Problem, invalid_problem
from api.schemas.comparison import Side
from mlcore.spec import VARIANTS
from store import experiments, runs
from store.errors import NotFound
from store.runs import RunResult
from store.tables import Experiment

REPLICATION: Final = frozenset({"seed", "data_seed", "fold", "folds"})
MOST_NAMED: Final = 10
VALUES: Final = ConfigDict(strict=True, allow_inf_nan=False)
"""How specs take values too."""


@dataclass(frozen=True)
class Chosen:
    """A side that is one configuration: its runs in the order of their numbers."""

    experiment: Experiment
    axes: Axes
    runs: Sequence[RunResult]

    @property
    def spec(self) -> dict[str, Any]:
        """The spec that its runs share but for seeds and fold."""
        return self.runs[0].spec

    @property
    def identity(self) -> tuple[UUID, int]:
        """What tells it from every other configuration."""
        return self.experiment.id, self.runs[0].number


def choose(session: Session, owner: str | None, side: str, asked: Side) -> Chosen:
    """Find the one configuration that is asked for as this side; raises Problem 404, and 422 when it is not one.

    An experiment's runs are numbered configuration by configuration, so it takes the first run of each and then those
    of one.
    """
    try:
        experiment = experiments.get(session, asked.experiment, owner)
    except NotFound as error:
        detail = f"There is no experiment with the id of {side}; GET /v1/experiments lists those there are."
        raise Problem(kinds.not_found, detail) from error
    axes = Axes.of(experiment)
    where = _where(side, asked, axes)
    each = experiment.total_runs // axes.points
    firsts = list(runs.results(session, experiment.id, range(0, experiment.total_runs, each)))
    fitting = [one for one in firsts if all(_has(one, *asked_for) for asked_for in where.items())]
    if len(fitting) != 1:
        _refuse(side, axes, where, fitting, firsts)
    start = fitting[0].number
    return Chosen(experiment, axes, list(runs.results(session, experiment.id, range(start, start + each))))


def _where(side: str, asked: Side, axes: Axes) -> dict[str, Any]:
    """The values asked for, under the names as asked; raises Problem 422 for what is no field to choose by."""
    known = set(VARIANTS[axes.variant].model_fields) - REPLICATION - {"variant"}
    faults = []
    for name in asked.where:
        if name in REPLICATION:
            said = "tells replicates apart, by which the sides are paired; it cannot choose a configuration"
            faults.append(Fault(pointer((side, "where", name)), said))
        elif canonical(name) not in known:
            said = f"is no field of {axes.variant}; those are {', '.join(sorted(known | {'lambda'}))}"
            faults.append(Fault(pointer((side, "where", name)), said))
    if {"lambda", "weight_decay"} <= asked.where.keys():
        faults.append(Fault(pointer((side, "where", "lambda")), "is weight_decay: name it once"))
    if faults:
        raise invalid_problem(faults)
    return {name: _resolved(axes, (side, "where", name), value) for name, value in asked.where.items()}


def _resolved(axes: Axes, at: tuple[str, ...], value: object) -> object:
    """The value as a stored spec has it, defaults filled in; raises Problem 422 for what its field does not take."""
    field = VARIANTS[axes.variant].model_fields[canonical(at[-1])]
    kind: Any = Annotated[field.annotation, *field.metadata, Field(discriminator=field.discriminator)]
    reader: TypeAdapter[Any] = TypeAdapter(kind, config=VALUES)
    try:
        return reader.dump_python(reader.validate_python(value), mode="json")
    except ValidationError as error:
        raise invalid_problem([of_value(pointer(at), error)]) from error


def _refuse(
    side: str, axes: Axes, where: dict[str, Any], fitting: Sequence[RunResult], firsts: Sequence[RunResult]
) -> NoReturn:
    at = (side, "where")
    if fitting:
        varying = [f"{name} ({_values(fitting, name)})" for name in axes.grid if len(_distinct(fitting, name)) > 1]
        detail = f"leaves {len(fitting)} configurations, which differ in {', '.join(varying)}; name one value of each"
        raise invalid_problem([Fault(pointer(at), detail)])
    absent = [name for name, value in where.items() if not any(_has(one, name, value) for one in firsts)]
    faults = [
        Fault(pointer((*at, name)), f"has this value in no configuration; there is {_values(firsts, canonical(name))}")
        for name in absent
    ]
    raise invalid_problem(faults or [Fault(pointer(at), "has values that no configuration has together")])


def _has(run: RunResult, name: str, value: object) -> bool:
    return bool(run.spec.get(canonical(name)) == value)


def _values(among: Sequence[RunResult], name: str) -> str:
    found = _distinct(among, name)
    return ", ".join(found[:MOST_NAMED]) + (", …" if len(found) > MOST_NAMED else "")


def _distinct(among: Sequence[RunResult], name: str) -> list[str]:
    return list(dict.fromkeys(json.dumps(one.spec.get(name)) for one in among))
