"""Diagnoses of runs and configurations, made when they are read: the rules hold for all that is stored."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, Final

from sqlalchemy.orm import Session

from api.outcomes import outcome, result_of
from api.schemas import diagnoses as schemas
from mlcore.analysis import diagnosis, next_experiment
from mlcore.analysis.diagnosis import Agreement, Diagnosis
from mlcore.analysis.evidence import Evidence, evidence, tail_start
from mlcore.analysis.summary import Configuration, Result
from mlcore.spec import RunSpec, parse_run_spec
from store import curves
from store.curves import Curve
from store.runs import RunResult
from store.tables import Run

READ_AT_ONCE: Final = 500
REPEATED: Final = ("seeds", "data_seeds", "folds")


def of_run(session: Session, run: Run, metrics: Mapping[str, Any]) -> schemas.Diagnosis:
    """Diagnose a run by its metrics and the end of its curve."""
    spec = parse_run_spec(run.spec)
    tail = curves.read(session, run.id, tail_start(spec))
    found = diagnosis.diagnose(evidence(spec, outcome(run), metrics, tail.epochs, tail.series))
    return schemas.Diagnosis(**_shared(spec, found, 1, {} if spec.folds is None else {"folds": spec.folds}))


def results(session: Session, runs: Iterable[RunResult], diagnosed: range) -> Iterator[Result]:
    """Yield the results of an experiment's runs; those whose numbers are in `diagnosed` with their evidence."""
    remaining = iter(runs)
    while batch := list(islice(remaining, READ_AT_ONCE)):
        specs = {run.id: parse_run_spec(run.spec) for run in batch if run.number in diagnosed and _has_ended(run)}
        tails = curves.tails(session, {run_id: tail_start(spec) for run_id, spec in specs.items()})
        yield from (_result(run, specs.get(run.id), tails.get(run.id, Curve.empty())) for run in batch)


def _has_ended(run: RunResult) -> bool:
    return outcome(run) in ("succeeded", "diverged")


def _result(run: RunResult, spec: RunSpec | None, tail: Curve) -> Result:
    if spec is None:
        return result_of(run)
    return result_of(run, evidence(spec, outcome(run), run.summary or {}, tail.epochs, tail.series))


def agreement(configuration: Configuration) -> Agreement | None:
    """What the replicates of a configuration that have ended say; None while there are none."""
    return diagnosis.diagnose_replicates(configuration.evidence) if configuration.evidence else None


def of_configuration(configuration: Configuration, request: Mapping[str, Any]) -> schemas.ConfigurationDiagnosis | None:
    """Diagnose a configuration of the experiment that was posted; None while no replicate has ended."""
    found = agreement(configuration)
    if found is None:
        return None
    spec = parse_run_spec(dict(configuration.first.spec))
    return schemas.ConfigurationDiagnosis(
        **_shared(spec, found, found.replicates, _axes(request)),
        replicates=found.replicates,
        agree=found.agree,
        verdicts=found.verdicts,
    )


def _axes(request: Mapping[str, Any]) -> dict[str, Any]:
    """How the experiment repeats each configuration, as it was posted."""
    gridded = {f"{name}s": values for name, values in request.get("grid", {}).items() if f"{name}s" in REPEATED}
    return {name: request[name] for name in REPEATED if request.get(name) is not None} | gridded


def _shared(spec: RunSpec, found: Diagnosis, replicates: int, axes: Mapping[str, Any]) -> dict[str, Any]:
    proposal = next_experiment.propose(spec, found, replicates)
    return {
        "verdict": found.verdict,
        "reasons": found.reasons,
        "evidence": _evidence(found.evidence),
        "next": proposal
        and schemas.NextExperiment(
            sentence=proposal.sentence,
            request={"spec": proposal.spec.model_dump(mode="json"), **axes, **proposal.axes},
        ),
    }


def _evidence(found: Evidence) -> schemas.Evidence | None:
    if found.outcome != "succeeded":
        return None
    return schemas.Evidence(
        train_loss=found.train_loss,
        held_out=found.held_out,
        held_out_loss=found.held_out_loss,
        n_train=found.n_train,
        n_held_out=found.n_held_out,
        noise_floor=found.noise_floor,
        baseline_loss=found.baseline,
        train_loss_limit=diagnosis.train_limit(found),
        expected_held_out_loss=found.expected,
        gap=found.gap,
        standard_error=found.standard_error,
        gap_in_standard_errors=found.gap_in_errors,
        train_fall=found.train_fall,
        held_out_fall=found.held_out_fall,
        best_epoch=found.best_epoch,
        best_held_out_loss=found.best_held_out_loss,
    )
