"""Taking a submission: stored once whatever is lost on the way, published, and waited for where that is preferred."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import Depends, Header, Request, Response
from starlette.concurrency import run_in_threadpool

from api import problem_kinds as kinds
from api.callers import Caller
from api.dependencies import CallerOf, DatabaseOf, PollerOf, PublisherOf, SettingsOf, WritersOf
from api.experiments import answered, shown
from api.poller import Poller
from api.problems import Problem
from api.request_ids import request_id
from api.schemas.common import dump
from api.schemas.experiments import Experiment, ExperimentRequest, Validation
from api.settings import ApiSettings
from api.submissions import Plan, queue_of
from api.version import VERSION
from api.writers import Writers
from store import experiments, idempotency
from store.admission import require_room
from store.engine import Database
from store.status import FINAL
from store.workers import count_live, smallest_card
from worker.broker import Publisher

LONGEST_WAIT: Final = 30
GOES_FIRST: Final = (
    "A priority above 0 goes before what all others have submitted: that takes a key for admin. "
    "Leave it out, or give one of 0 or below."
)
_wait = re.compile(r"(?:^|,)\s*wait\s*=\s*\"?([0-9]{1,9})", re.IGNORECASE)

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        pattern=r"^[\x20-\x7e]{1,255}$",
        description="Any text that is new with each submission, such as a random UUID. Sent again with the same body, "
        "say after a connection that broke, the answer is the experiment that was made the first time.",
        examples=["8e03978e-40d5-43e8-bc93-6894a57f9324"],
    ),
]
Prefer = Annotated[
    str | None,
    Header(
        description="`wait=N`: answer when the experiment has ended, or after N seconds, 30 at most (RFC 7240).",
        examples=["wait=2"],
    ),
]


def wait_seconds(prefer: str) -> int | None:
    """How long to wait by a Prefer header (RFC 7240); None when it says nothing of it."""
    found = _wait.search(prefer)
    return min(int(found[1]), LONGEST_WAIT) if found else None


@dataclass(frozen=True)
class Submitting:
    """One request that submits: whose it is, under which key, and how long it waits for the end."""

    database: Database
    publisher: Publisher
    settings: ApiSettings
    poller: Poller
    writers: Writers
    caller: Caller
    request_id: str
    key: str | None
    wait: int | None

    async def answer(
        self, submission: ExperimentRequest, posted: Mapping[str, Any], *, validate_only: bool = False
    ) -> Response:
        """Store what was posted, or find what it made before; or only say what it would train.

        Raises NotExpandable, KeyReused, QueueFull, and Problem for a priority that is not the caller's to give.
        """
        self._require_right(submission)
        if validate_only:
            valid = await run_in_threadpool(self._validate, submission)
            return Response(dump(valid), media_type="application/json")
        made, jobs, live = await self.writers.run(self._store, submission, posted)
        self.publisher.publish_for(queue_of(submission), jobs, live)  # here: in a thread it would delay the answer
        if self.wait is None:
            return answered(made, 202)
        await self.poller.until_over(made.id, self.wait)
        now = await run_in_threadpool(self._look, made.id)
        return answered(now, 201 if now.status in FINAL else 202, {"Preference-Applied": f"wait={self.wait}"})

    def _validate(self, submission: ExperimentRequest) -> Validation:
        live, plan = self._planned(submission)
        return plan.validation(live)

    def _store(self, submission: ExperimentRequest, posted: Mapping[str, Any]) -> tuple[Experiment, int, int]:
        """Return the experiment, how many jobs are new, and how many workers live that take such."""
        live, plan = self._planned(submission)
        with self.database.write() as session:
            known = idempotency.take(session, self.caller.owner, self.key, posted) if self.key else None
            if known is not None:
                return shown(session, experiments.get(session, known), self.settings), 0, live
            require_room(session, self.caller.owner, len(plan.specs), self.settings.max_queued_runs)
            made = experiments.create(
                session,
                request=posted,
                owner=self.caller.owner,
                jobs=plan.jobs(queue_of(submission)),
                code_version=VERSION,
                request_id=self.request_id,
                **submission.model_dump(include={"name", "tags", "note", "priority", "ephemeral"}),
            )
            if self.key:
                idempotency.keep(session, self.caller.owner, self.key, made.id)
            return shown(session, made, self.settings), len(plan.stacks), live

    def _planned(self, submission: ExperimentRequest) -> tuple[int, Plan]:
        """Plan for the workers that live; return how many those are, too."""
        seconds = self.settings.worker_seen_seconds
        with self.database.read() as session:
            live = count_live(session, queue_of(submission), seconds)
            smallest = smallest_card(session, seconds) if submission.device == "gpu" else None
        return live, Plan.of(submission, live, self.settings.max_queued_runs, smallest)

    def _require_right(self, submission: ExperimentRequest) -> None:
        if submission.priority > 0 and not self.caller.may_go_first:
            raise Problem(kinds.forbidden, GOES_FIRST)

    def _look(self, experiment_id: UUID) -> Experiment:
        with self.database.read() as session:
            return shown(session, experiments.get(session, experiment_id), self.settings)


async def _submitting(
    request: Request,
    database: DatabaseOf,
    publisher: PublisherOf,
    settings: SettingsOf,
    poller: PollerOf,
    writers: WritersOf,
    caller: CallerOf,
    idempotency_key: IdempotencyKey = None,
    prefer: Prefer = None,
) -> Submitting:
    wait = wait_seconds(prefer or "")
    return Submitting(
        database, publisher, settings, poller, writers, caller, request_id(request.scope), idempotency_key, wait
    )


SubmittingOf = Annotated[Submitting, Depends(_submitting)]
