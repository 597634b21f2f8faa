"""The chapter's claims, checked through a service as any client could: submit their trainings, judge what is stored."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, cast
from uuid import UUID, uuid4

from rich.console import Console

from epochd.claim_figures import Picture, pictures
from epochd.client import Client
from epochd.own_service import CannotGoOn
from epochd.transport import Json
from epochd.watching import watch
from mlcore.analysis.chapter_claims import CLAIMS
from mlcore.analysis.chapter_trainings import DROPOUT_MASKS, MASKS, TRAININGS
from mlcore.analysis.claims import FROM_WEIGHTS, Claim, Judgement, Measure, Quantity, derived, judge
from mlcore.analysis.evidence import Outcome
from mlcore.analysis.summary import Result
from mlcore.spec import parse_run_spec

OF_MASKS: Final = "masks"
"""What quantities call the answers about dropout; the others are of trainings."""


@dataclass(frozen=True)
class Evidence:
    """What the service has trained for the claims."""

    experiments: Mapping[str, Json]
    """The finished experiment of each training."""
    results: Mapping[str, Sequence[Result]]


def chosen(names: Sequence[str]) -> list[Claim]:
    """Return the claims of these names, all of them where none is named; raises CannotGoOn for one that is none."""
    unknown = [name for name in names if name not in CLAIMS]
    if unknown:
        raise CannotGoOn(f"There is no claim {unknown[0]}; there are {', '.join(CLAIMS)}.")
    return [claim for claim in CLAIMS.values() if not names or claim.name in names]


def check(client: Client, claims: Sequence[Claim], console: Console, *, retrain: bool) -> tuple[Json, list[Picture]]:
    """Have the claims trained, judge them, and return what there is to say of them as JSON, and pictures of it.

    `retrain` reuses no earlier results.
    """
    evidence = _gather(client, claims, console, retrain=retrain)
    return _document(client, claims, evidence), pictures(client, evidence.experiments, evidence.results)


def _gather(client: Client, claims: Sequence[Claim], console: Console, *, retrain: bool) -> Evidence:
    quantities = [one for claim in claims for measure in _measures(claim) for one in measure.quantities]
    wanted = {one.training for one in quantities}
    requests = {name: _request(request, retrain=retrain) for name, request in TRAININGS.items() if name in wanted}
    experiments = _train(client, requests, console)
    results = {name: list(_results(client, name, each, quantities)) for name, each in experiments.items()}
    if OF_MASKS in wanted:
        results[OF_MASKS] = [_mask(client, seed) for seed in range(MASKS)]
    return Evidence(experiments, results)


def _measures(claim: Claim) -> list[Measure]:
    return [claim.measure] if claim.control is None else [claim.measure, claim.control]


def _request(request: Mapping[str, Any], *, retrain: bool) -> Mapping[str, Any]:
    return {**request, "spec": {**request["spec"], "reuse": False}} if retrain else request


def _train(client: Client, requests: Mapping[str, Mapping[str, Any]], console: Console) -> dict[str, Json]:
    check = str(uuid4())
    submitted = [client.submit(request, tags={"claims": check}) for request in requests.values()]
    finished = watch(client, f"claims:{check}", submitted, console) if submitted else []
    return dict(zip(requests, finished, strict=True))


def _results(client: Client, training: str, experiment: Json, quantities: Sequence[Quantity]) -> Iterator[Result]:
    weighed = [one for one in quantities if one.training == training and one.metric in FROM_WEIGHTS]
    for run in client.runs(experiment["id"]):
        is_weighed = run["status"] == "succeeded" and any(one.fits(run["spec"]) for one in weighed)
        weights = client.weights(run["id"]) if is_weighed else None
        last = {name: math.nan if one["last"] is None else one["last"] for name, one in run["metrics"].items()}
        yield Result(UUID(run["id"]), run["spec"], _outcome(run), derived(last, weights))


def _outcome(run: Json) -> Outcome:
    return "diverged" if (run["error"] or {}).get("kind") == "diverged" else cast("Outcome", run["status"])


def _mask(client: Client, seed: int) -> Result:
    """Return what dropout does to a tensor as the result of the run that draws this mask first."""
    seen = client.dropout(**DROPOUT_MASKS, seed=seed)
    spec = parse_run_spec({"variant": "mlp", "hidden": [seen["cols"]], "dropout": [seen["p"]], "seed": seed})
    means = {name: seen[name] for name in ("mean_before", "mean_after")}
    return Result(UUID(int=seed), spec.model_dump(), "succeeded", means)


def _document(client: Client, claims: Sequence[Claim], evidence: Evidence) -> Json:
    experiments = list(evidence.experiments.values())
    return {
        "epochd": client.experiment(experiments[0]["id"])["code_version"] if experiments else None,
        "claims": [_judged(client, claim, evidence) for claim in claims],
        "experiments": [_experiment(client, name, each) for name, each in evidence.experiments.items()],
    }


def _judged(client: Client, claim: Claim, evidence: Evidence) -> Json:
    found = judge(claim.measure, evidence.results)
    return {
        **{name: getattr(claim, name) for name in ("name", "section", "title", "sentence")},
        "holds": found.holds,
        "reason": found.reason,
        "why": (claim.why or None) if found.fraction != 1 else None,
        **_numbers(claim.measure, found),
        "control": claim.control and _numbers(claim.control, judge(claim.control, evidence.results)),
        "comparison": _comparison(client, claim.measure, evidence),
        "experiments": list(dict.fromkeys(one.training for one in claim.measure.quantities)),
    }


def _numbers(measure: Measure, found: Judgement) -> Json:
    return {
        "measure": measure.words,
        "geometric": measure.is_geometric,
        "claimed_above": _finite(measure.low),
        "claimed_below": _finite(measure.high),
        "effect": found.effect and asdict(found.effect),
        "fraction": found.fraction,
        "replicates": found.replicates,
        "diverged": found.diverged,
        "left_out": found.left_out,
        "values": list(found.values),
    }


def _finite(bound: float) -> float | None:
    return bound if math.isfinite(bound) else None


def _comparison(client: Client, measure: Measure, evidence: Evidence) -> Json | None:
    """Return what the service says of a and b, where they are one metric of two configurations."""
    a, b = measure.a, measure.b
    if b is None or a.metric != b.metric or a.is_derived:
        return None
    of_a, of_b = ({"experiment": evidence.experiments[one.training]["id"], "where": dict(one.where)} for one in (a, b))
    said = client.compare(of_a, of_b, metric=a.metric)
    test = said["test"] or {}
    return {"verdict": said["verdict"], "p": test.get("p"), "pairs": said["pairs"]}


def _experiment(client: Client, name: str, experiment: Json) -> Json:
    kept: dict[str, Any] = {key: experiment[key] for key in ("id", "name", "status", "runs")}
    failed = client.runs(experiment["id"], status="failed") if experiment["runs"]["failed"] else []
    errors = list(dict.fromkeys(run["error"]["detail"] for run in failed))
    return {"training": name, **kept, "errors": errors, "request": TRAININGS[name]}
