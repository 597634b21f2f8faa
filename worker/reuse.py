"""Answering a run with the result of an earlier, equal one: equal spec, code, torch, device, threads and owner."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import replace
from uuid import UUID

import torch
from sqlalchemy.orm import Session

from mlcore.version import fingerprint
from store.jobs import Claim, ClaimedRun
from store.reuse import reuse_earlier
from store.status import Status

NOT_THE_RESULT = {"reuse"}
"""Fields of a spec that do not change what comes out."""


def without_reused(session: Session, claim: Claim) -> Claim:
    """Take earlier results for the runs of a first claim, and return the claim with what there is left to train.

    A run that took an earlier result is not in the stack, now or on a later claim, so the others keep their columns.
    Those know their result keys: sha256 (hex) over all that decides a result's bits but the stack.
    """
    reused = {run.run_id for run in claim.runs if run.reused}
    keys = _result_keys([run for run in claim.runs if not run.reused], claim)
    if claim.claims == 1:
        wanted = {run.run_id: keys[run.run_id] for run in claim.runs if _may_be_reused(run)}
        reused |= reuse_earlier(session, claim, wanted)
    members = [run for run in claim.runs if run.run_id not in reused]
    with_keys = (replace(run, index=index, result_key=keys[run.run_id]) for index, run in enumerate(members))
    return replace(claim, runs=tuple(with_keys))


def _may_be_reused(run: ClaimedRun) -> bool:
    return run.status == Status.RUNNING and bool(run.spec.get("reuse", True))


def _result_keys(runs: Iterable[ClaimedRun], claim: Claim) -> dict[UUID, str]:
    built = [fingerprint(), torch.__version__, claim.device, claim.threads]
    return {run.run_id: _key([_result_of(run), *built]) for run in runs}


def _result_of(run: ClaimedRun) -> dict[str, object]:
    return {name: value for name, value in run.spec.items() if name not in NOT_THE_RESULT}


def _key(parts: list[object]) -> str:
    return hashlib.sha256(_to_json(parts).encode()).hexdigest()


_to_json = json.JSONEncoder(sort_keys=True).encode  # json.dumps would make an encoder for each key
