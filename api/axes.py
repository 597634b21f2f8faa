"""Along which axes an experiment varies, read from its request as it was posted."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Self, get_args

from api.invalid import Fault
from api.problems import Problem, invalid_problem
from api.schemas.results import MetricName
from mlcore.spec import VARIANTS
from store import tables

METRICS: Final[tuple[str, ...]] = get_args(MetricName)
REPEATED: Final = ("seed", "data_seed", "fold")
"""What tells the runs of a grid point apart."""


@dataclass(frozen=True)
class Axes:
    """What varies in an experiment."""

    variant: str
    grid: dict[str, list[Any]]
    """The values of the grid's fields as posted, by the fields' own names; without seeds."""
    repeated: tuple[str, ...]
    """Which of REPEATED have more than one value."""
    validated: bool
    """Whether any run has a validation set."""
    evaluate_every: int
    """The smallest number of epochs between two evaluations of a run."""

    @classmethod
    def of(cls, experiment: tables.Experiment) -> Self:
        """The axes of a stored experiment; its request was found valid when it was posted."""
        request = experiment.request
        grid = {canonical(name): values for name, values in request.get("grid", {}).items()}
        seeds = {name: grid.pop(name, None) or request.get(f"{name}s") for name in ("seed", "data_seed")}
        many = {name: (seed if isinstance(seed, int) else len(seed or ())) > 1 for name, seed in seeds.items()}
        folds = request.get("folds") is not None
        spec = request.get("spec", {})
        held_out = folds or spec.get("fold") is not None
        return cls(
            experiment.variant,
            grid,
            tuple(name for name in REPEATED if many.get(name, folds)),
            validated=held_out or any(grid.get("n_valid", [spec.get("n_valid", 0)])),
            evaluate_every=min(grid.get("evaluate_every", [spec.get("evaluate_every", 1)])),
        )

    @property
    def points(self) -> int:
        """How many grid points there are."""
        count = 1
        for values in self.grid.values():
            count *= len(values)
        return count

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics that such runs measure."""
        return measured(self.variant, validated=self.validated)

    def fields(self, asked: Sequence[str], parameter: str) -> list[str]:
        """The fields to group by: those asked for, else the grid's; raises Problem 422 for what is no field."""
        names = [canonical(name) for name in asked]
        known = set(VARIANTS[self.variant].model_fields) - {"variant"}
        for name, said in zip(names, asked, strict=True):
            if name not in known:
                allowed = ", ".join(sorted(known | {"lambda"}))
                raise refused(parameter, f"{said} is no field of {self.variant}; those are {allowed}")
            if names.count(name) > 1:
                also = " (lambda is another name for it)" if name == "weight_decay" else ""
                raise refused(parameter, f"names {name} twice{also}")
        return names or list(self.grid)

    def spanning(self, x: str | None, y: str | None) -> list[str]:
        """The fields of the grid that span a picture, x first: those named, then those with the most values.

        There are two, or as many as the grid has. Raises Problem 422 for a name that is none of them.
        """
        named = {parameter: canonical(said) for parameter, said in (("x", x), ("y", y)) if said is not None}
        for parameter, name in named.items():
            if name not in self.grid:
                there = f"those of this experiment are {', '.join(self.grid)}" if self.grid else "there is no grid"
                raise refused(parameter, f"{name} is no field of the grid; {there}")
        if len(named) > len(set(named.values())):
            raise refused("y", f"is {named['y']}, as x is; name another field of the grid")
        rest = sorted(set(self.grid) - set(named.values()), key=self._by_size)
        return [name for name in (named.get("x") or _first(rest), named.get("y") or _first(rest)) if name is not None]

    def _by_size(self, name: str) -> tuple[int, int]:
        return -len(self.grid[name]), list(self.grid).index(name)


def _first(waiting: list[str]) -> str | None:
    return waiting.pop(0) if waiting else None


def canonical(field: str) -> str:
    """A field of a spec by its own name."""
    return "weight_decay" if field == "lambda" else field


def measured(variant: str, *, validated: bool) -> tuple[str, ...]:
    """The metrics that runs of a variant measure, with or without a validation set."""
    absent = [] if validated else ["valid_loss", "valid_accuracy"]
    if variant != "mlp":
        absent += [name for name in METRICS if name.startswith("running_") or name.endswith("_accuracy")]
    return tuple(name for name in METRICS if name not in absent)


def check_measured(asked: Sequence[str], there: Sequence[str]) -> None:
    """Raises Problem 422 for metrics other than those there are."""
    for name in asked:
        if name not in there:
            raise refused("metric", f"{name} is not measured here; those that are: {', '.join(there)}")


def refused(parameter: str, detail: str) -> Problem:
    """A 422 for a parameter of the query."""
    return invalid_problem([Fault(f"/{parameter}", detail, "query")])
