"""Stored runs as the analysis takes them."""

from typing import cast

from mlcore.analysis.evidence import Evidence, Outcome
from mlcore.analysis.summary import Result
from store.runs import RunResult
from store.status import Status
from store.tables import Run


def outcome(run: Run | RunResult) -> Outcome:
    """How the run stands, those that diverged apart from those that failed for any other reason."""
    if run.status == Status.FAILED and (run.error or {}).get("kind") == "diverged":
        return "diverged"
    return cast("Outcome", str(run.status))


def result_of(run: RunResult, evidence: Evidence | None = None) -> Result:
    """A run with the last value of each metric."""
    last = {name: float("nan") if said["last"] is None else said["last"] for name, said in (run.summary or {}).items()}
    return Result(run.id, run.spec, outcome(run), last, evidence)
