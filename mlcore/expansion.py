"""What an experiment stands for: a run per grid point × data seed × seed × fold, each with its own resolved spec.

Torch-free. A sweep is refused here, with a pointer to what is wrong, before anything is stored.
"""

from collections.abc import Sequence
from math import prod
from typing import Any

from pydantic import ValidationError

from mlcore.errors import NotExpandable
from mlcore.lazy import Lazy
from mlcore.spec import LARGEST_SEED, ExperimentSpec, RunSpec, parse_run_spec

MOST_RUNS = 100_000
MOST_RUNS_WITH_BEST = 100
"""Of larger experiments only the last weights are kept, where the spec does not say what to keep."""


def expand(experiment: ExperimentSpec) -> Sequence[RunSpec]:
    """Return the experiment's runs, the last axis fastest: grid fields as posted, then data seeds, seeds and folds.

    Each is made when it is looked at: all of them at once would take 400 MB. With more than MOST_RUNS_WITH_BEST runs,
    `keep_checkpoints` is `last` unless the experiment sets it. Raises NotExpandable for a grid that names an unknown
    field, a value that its field does not take, runs that are equal and more than MOST_RUNS of them.
    """
    grid = _grid(experiment)
    seeds = _axis(experiment, "seed", grid.pop("seed", None), experiment.seeds)
    data_seeds = _axis(experiment, "data_seed", grid.pop("data_seed", None), experiment.data_seeds)
    held_out = _held_out(experiment)
    axes: dict[str, Sequence[Any]] = {**grid, "data_seed": data_seeds, "seed": seeds, "fold": held_out}
    count = _count(axes)
    kept = {"keep_checkpoints": "last"} if count > MOST_RUNS_WITH_BEST else {}
    posted = kept | _posted(experiment)
    _check_values(experiment, posted, grid)
    posted["folds"] = experiment.folds or experiment.spec.folds
    fastest_first = [(field, axis, len(axis)) for field, axis in reversed(axes.items())]

    def run(number: int) -> RunSpec:
        values = {}
        for field, axis, size in fastest_first:
            number, place = divmod(number, size)
            values[field] = axis[place]
        return _point(experiment, posted, values)

    return Lazy(count, run)


def _grid(experiment: ExperimentSpec) -> dict[str, list[Any]]:
    """Return the grid by the fields' own names, each known and with at least one value."""
    known = set(type(experiment.spec).model_fields) - {"variant", "folds", "fold"}
    grid: dict[str, list[Any]] = {}
    for name, values in experiment.grid.items():
        field = "weight_decay" if name == "lambda" else name
        if field not in known:
            allowed = ", ".join(sorted(known))
            raise NotExpandable(
                _pointer("grid", name), f"is no field of {experiment.spec.variant} to vary; those are {allowed}"
            )
        if field in grid:
            raise NotExpandable(f"/grid/{name}", "lambda is weight_decay: name it once")
        if not values:
            raise NotExpandable(f"/grid/{name}", "has no values; name at least one")
        grid[field] = values
    return grid


def _axis(
    experiment: ExperimentSpec, field: str, gridded: list[Any] | None, asked: int | list[int] | None
) -> list[int]:
    """Return the seeds of an axis: a list as it is, a count from the spec's own seed on."""
    own: int = getattr(experiment.spec, field)
    if gridded is not None and asked is not None:
        raise NotExpandable(f"/grid/{field}", f"{field}s are given too: name them in one of the two places")
    if gridded is not None:
        posted = _posted(experiment)
        named = [getattr(_point(experiment, posted, {field: one}), field) for one in gridded]
        if len(set(named)) < len(named):
            raise NotExpandable(f"/grid/{field}", "names a seed twice, which would train the same run twice")
        return named
    if isinstance(asked, list):
        return asked
    count = 1 if asked is None else asked
    if own + count - 1 > LARGEST_SEED:
        raise NotExpandable(f"/{field}s", f"{count} of them from {own} on go beyond the largest seed, {LARGEST_SEED}")
    return list(range(own, own + count))


def _held_out(experiment: ExperimentSpec) -> Sequence[int | None]:
    """Return which fold each run holds out: all of the experiment's, else the one its spec names, if any."""
    if experiment.folds is None:
        return [experiment.spec.fold]
    if experiment.spec.fold is not None:
        raise NotExpandable("/spec/fold", "folds are given beside the spec too: name one fold here, or all there")
    return range(experiment.folds)


def _count(axes: dict[str, Sequence[Any]]) -> int:
    runs = prod(len(axis) for axis in axes.values())
    if runs > MOST_RUNS:
        raise NotExpandable("", f"stands for {runs} runs; an experiment may have {MOST_RUNS}")
    return runs


def _check_values(experiment: ExperimentSpec, posted: dict[str, Any], grid: dict[str, list[Any]]) -> None:
    """Refuse what is wrong with any one value of the grid; the other fields have their first."""
    first = {field: axis[0] for field, axis in grid.items()}
    _check_folds(experiment, _point(experiment, posted, first))
    for field, axis in grid.items():
        seen: dict[Any, int] = {}
        for number, value in enumerate(axis):
            point = _point(experiment, posted, first | {field: value})
            _check_folds(experiment, point)
            resolved = getattr(point, field)
            same = seen.setdefault(tuple(resolved) if isinstance(resolved, list) else resolved, number)
            if same != number:
                detail = f"makes the same run as value {same}; name each value once"
                raise NotExpandable(_pointer("grid", _posted_name(experiment, field), number), detail)


def _posted(experiment: ExperimentSpec) -> dict[str, Any]:
    """Return the spec as it was posted, without defaults: those that hang on varied fields have to follow them.

    Except for lists, which never do, and which pydantic would copy with care for every run.
    """
    spec = experiment.spec
    lists = {name: field.default for name, field in type(spec).model_fields.items() if isinstance(field.default, list)}
    return {**lists, **spec.model_dump(exclude_unset=True), "variant": spec.variant}


def _point(experiment: ExperimentSpec, posted: dict[str, Any], values: dict[str, Any]) -> RunSpec:
    try:
        return parse_run_spec(posted | values)
    except ValidationError as error:
        raise _named(error, experiment, values) from error


def _posted_name(experiment: ExperimentSpec, field: str) -> str:
    """Return the name by which the grid has a field."""
    return "lambda" if field == "weight_decay" and "lambda" in experiment.grid else field


def _named(error: ValidationError, experiment: ExperimentSpec, values: dict[str, Any]) -> NotExpandable:
    problem = next(one for one in error.errors() if one["type"] != "default_factory_not_called")
    detail = problem["msg"].removeprefix("Value error, ")
    field = next((str(part) for part in problem["loc"] if part in values), None)
    if field is not None:
        name = _posted_name(experiment, field)
        number = next(place for place, value in enumerate(experiment.grid[name]) if value is values[field])
        return NotExpandable(_pointer("grid", name, number), detail)
    place = "/".join(str(part) for part in problem["loc"][1:])
    point = ", ".join(
        f"{name} {value!r}" for name, value in values.items() if _posted_name(experiment, name) in experiment.grid
    )
    return NotExpandable("/grid", f"the point {point} does not fit the spec: {place} {detail}".replace("  ", " "))


def _check_folds(experiment: ExperimentSpec, point: RunSpec) -> None:
    if experiment.folds is None:
        return
    if point.n_valid:
        pointer = _pointer("grid" if "n_valid" in experiment.grid else "spec", "n_valid")
        raise NotExpandable(pointer, "with folds the held-out fold is the validation set; leave n_valid out")
    if point.n_train < experiment.folds:
        raise NotExpandable("/folds", f"there are {point.n_train} training examples for {experiment.folds} folds")


def _pointer(*parts: str | int) -> str:
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in parts)
