"""What an experiment stands for: a run per grid point × data seed × seed × fold, each with its own resolved spec.

Torch-free. A sweep is refused here, with a pointer to what is wrong, before anything is stored.
"""

from collections.abc import Iterator
from itertools import product
from typing import Any

from pydantic import ValidationError

from mlcore.errors import NotExpandable
from mlcore.spec import LARGEST_SEED, ExperimentSpec, RunSpec, parse_run_spec

MOST_RUNS = 100_000
MOST_RUNS_WITH_BEST = 100
"""Of larger experiments only the last weights are kept, where the spec does not say what to keep."""


def expand(experiment: ExperimentSpec) -> list[RunSpec]:
    """Return the experiment's runs, the last axis fastest: grid fields as posted, then data seeds, seeds and folds.

    With more than MOST_RUNS_WITH_BEST runs, `keep_checkpoints` is `last` unless the experiment sets it. Raises
    NotExpandable for a grid that names an unknown field, a value that its field does not take, runs that are
    equal and more than MOST_RUNS of them.
    """
    grid = _grid(experiment)
    seeds = _axis(experiment, "seed", grid.pop("seed", None), experiment.seeds)
    data_seeds = _axis(experiment, "data_seed", grid.pop("data_seed", None), experiment.data_seeds)
    folds = _folds(experiment)
    count = _count(grid, len(seeds) * len(data_seeds) * len(folds))
    kept = {"keep_checkpoints": "last"} if count > MOST_RUNS_WITH_BEST else {}
    points = list(_points(experiment, grid, kept))
    _check_distinct(points)
    _check_folds(experiment, points)
    return [
        point.model_copy(update={"data_seed": data_seed, "seed": seed, **fold})
        for point, data_seed, seed, fold in product(points, data_seeds, seeds, folds)
    ]


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
        named = [
            getattr(_point(experiment, posted, {field: (number, one)}), field) for number, one in enumerate(gridded)
        ]
        if len(set(named)) < len(named):
            raise NotExpandable(f"/grid/{field}", "names a seed twice, which would train the same run twice")
        return named
    if isinstance(asked, list):
        return asked
    count = 1 if asked is None else asked
    if own + count - 1 > LARGEST_SEED:
        raise NotExpandable(f"/{field}s", f"{count} of them from {own} on go beyond the largest seed, {LARGEST_SEED}")
    return list(range(own, own + count))


def _folds(experiment: ExperimentSpec) -> list[dict[str, int | None]]:
    """Return which fold each run holds out: all of the experiment's, else the one its spec names, if any."""
    spec = experiment.spec
    if experiment.folds is None:
        return [{"folds": spec.folds, "fold": spec.fold}]
    if spec.fold is not None:
        raise NotExpandable("/spec/fold", "folds are given beside the spec too: name one fold here, or all there")
    return [{"folds": experiment.folds, "fold": fold} for fold in range(experiment.folds)]


def _count(grid: dict[str, list[Any]], repeats: int) -> int:
    runs = repeats
    for values in grid.values():
        runs *= len(values)
    if runs > MOST_RUNS:
        raise NotExpandable("", f"stands for {runs} runs; an experiment may have {MOST_RUNS}")
    return runs


def _points(experiment: ExperimentSpec, grid: dict[str, list[Any]], kept: dict[str, Any]) -> Iterator[RunSpec]:
    posted = kept | _posted(experiment)
    for values in product(*(list(enumerate(values)) for values in grid.values())):
        yield _point(experiment, posted, dict(zip(grid, values, strict=True)))


def _posted(experiment: ExperimentSpec) -> dict[str, Any]:
    """Return the spec as it was posted, without defaults: those that hang on varied fields have to follow them."""
    return {**experiment.spec.model_dump(exclude_unset=True), "variant": experiment.spec.variant}


def _point(experiment: ExperimentSpec, posted: dict[str, Any], values: dict[str, tuple[int, Any]]) -> RunSpec:
    try:
        return parse_run_spec(posted | {field: value for field, (_, value) in values.items()})
    except ValidationError as error:
        raise _named(error, experiment, values) from error


def _named(error: ValidationError, experiment: ExperimentSpec, values: dict[str, tuple[int, Any]]) -> NotExpandable:
    problem = next(one for one in error.errors() if one["type"] != "default_factory_not_called")
    field = next((str(part) for part in problem["loc"] if part in values), None)
    detail = problem["msg"].removeprefix("Value error, ")
    if field is not None:
        name = field if field in experiment.grid else "lambda"
        return NotExpandable(_pointer("grid", name, values[field][0]), detail)
    place = "/".join(str(part) for part in problem["loc"][1:])
    point = ", ".join(f"{name} {value!r}" for name, (_, value) in values.items())
    return NotExpandable("/grid", f"the point {point} does not fit the spec: {place} {detail}".replace("  ", " "))


def _check_distinct(points: list[RunSpec]) -> None:
    seen: dict[str, int] = {}
    for number, point in enumerate(points):
        first = seen.setdefault(point.model_dump_json(), number)
        if first != number:
            raise NotExpandable("/grid", f"points {first} and {number} are the same run; name each value once")


def _check_folds(experiment: ExperimentSpec, points: list[RunSpec]) -> None:
    if experiment.folds is None:
        return
    for point in points:
        if point.n_valid:
            raise NotExpandable("/folds", "the held-out fold is the validation set; leave n_valid out")
        if point.n_train < experiment.folds:
            raise NotExpandable("/folds", f"there are {point.n_train} training examples for {experiment.folds} folds")


def _pointer(*parts: str | int) -> str:
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in parts)
