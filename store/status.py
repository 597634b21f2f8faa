"""The statuses of runs, jobs and experiments, and how the statuses of many add up to one."""

from collections.abc import Mapping
from enum import StrEnum


class Status(StrEnum):
    """Where a run, a job or an experiment stands."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


FINAL = frozenset({Status.SUCCEEDED, Status.FAILED, Status.CANCELLED})
UNFINISHED = frozenset({Status.QUEUED, Status.RUNNING})


def combined(counts: Mapping[Status, int], *, cancel_asked: bool = False) -> Status:
    """Return the status of an experiment or job whose runs have these statuses; at least one count is above 0.

    It is running while a run is, queued while nothing runs and something is left to do. Then it is cancelled if a run
    was cancelled and either the whole was asked to be or nothing succeeded; failed if all failed; else succeeded.
    """
    if counts.get(Status.RUNNING, 0):
        return Status.RUNNING
    if counts.get(Status.QUEUED, 0):
        return Status.QUEUED
    succeeded, cancelled = counts.get(Status.SUCCEEDED, 0), counts.get(Status.CANCELLED, 0)
    if cancelled and (cancel_asked or not succeeded):
        return Status.CANCELLED
    return Status.SUCCEEDED if succeeded else Status.FAILED
