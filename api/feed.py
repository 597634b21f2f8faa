"""What a stream of an experiment's events says after a given id: read from the database, so that any process can go on.

Each transaction that changes an experiment has a sequence number, and these are the ids. What it stored is one message,
but where an earlier result is reused, metrics and ends of runs have one number and two messages; then the first has
the id `n.1`. The last message, `end`, has `n.end`.
"""

import re
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self
from uuid import UUID

from sqlalchemy.orm import Session

from api import curves
from api.invalid import Fault
from api.problems import Problem, invalid_problem
from api.schemas import common, events
from api.schemas.experiments import summary
from store import curves as stored
from store import experiments, following
from store.clock import read_clock
from store.curves import Curve
from store.engine import Database
from store.following import Change, Followed, Happened
from store.status import FINAL, Status
from store.tables import Flush

Changes = Mapping[int, Sequence[Change]]
"""What changed, by sequence number."""
_id = re.compile(r"([0-9]{1,18})(\.1|\.end)?")


@dataclass(frozen=True)
class Cursor:
    """How far a client is: the last sequence numbers whose metrics and whose changes it has."""

    metrics: int = 0
    changes: int = 0
    has_end: bool = False

    @classmethod
    def parse(cls, text: str | None) -> Self:
        """Read a Last-Event-ID; None is the beginning. Raises Problem 422."""
        if text is None:
            return cls()
        found = _id.fullmatch(text)
        if found is None:
            raise _refused("is not an id of this stream; pass the last one that came, or none")
        seq = int(found[1])
        return cls(seq, seq - (found[2] == ".1"), found[2] == ".end")

    def __str__(self) -> str:
        """As the stream shows it."""
        part = ".end" if self.has_end else ".1" if self.changes < self.metrics else ""
        return f"{self.metrics}{part}"


@dataclass(frozen=True)
class Message:
    """One message of a stream; without a cursor it is no history but how things stand."""

    event: str
    data: bytes
    cursor: Cursor | None = None

    def encode(self) -> bytes:
        """As it is sent (WHATWG HTML, 9.2); JSON has no line breaks."""
        known_as = f"id: {self.cursor}\n" if self.cursor else ""
        return f"event: {self.event}\n{known_as}data: ".encode() + self.data + b"\n\n"


@dataclass(frozen=True)
class Batch:
    """Some messages, how far they lead, and how the experiment stands if these were all there are."""

    messages: list[Message]
    cursor: Cursor
    progress: Message | None
    end: Message | None
    """The last message of all, once the experiment has ended."""


@dataclass(frozen=True)
class Feed:
    """An experiment, the runs of it that are followed, and the metrics of theirs that are wanted."""

    database: Database
    experiment_id: UUID
    run_ids: Sequence[UUID]
    metrics: Sequence[str]

    @classmethod
    def open(cls, database: Database, experiment_id: UUID, owner: str | None, query: events.EventQuery) -> Self:
        """Find what is to be followed; raises NotFound, Problem 422 for runs of another experiment."""
        with database.read() as session:
            experiments.get(session, experiment_id, owner)
            if not query.run:
                first = following.first_runs(session, experiment_id, events.MOST_RUNS)
                return cls(database, experiment_id, first, query.metric)
            known = {run.id for run in following.followed(session, experiment_id, query.run)}
        strange = [Fault(f"/run/{at}", _STRANGE, "query") for at, run_id in enumerate(query.run) if run_id not in known]
        if strange:
            raise invalid_problem(strange)
        return cls(database, experiment_id, list(dict.fromkeys(query.run)), query.metric)

    def read(self, cursor: Cursor) -> Batch:
        """Read what comes after the cursor; raises NotFound when the experiment was deleted, Problem 422."""
        with self.database.read() as session:
            experiment = experiments.get(session, self.experiment_id)
            if max(cursor.metrics, cursor.changes) > experiment.seq:
                raise _refused("is an id that was not given yet")
            found = following.happened(
                session,
                self.experiment_id,
                self.run_ids,
                flushes_after=cursor.metrics,
                changes_after=cursor.changes,
                upto=experiment.seq,
            )
            messages = list(self._history(session, found))
            now = events.ProgressEvent.from_summary(summary(experiment, read_clock(session)))
        reached = Cursor(found.upto, found.upto)
        is_all = found.upto == experiment.seq
        progress = Message("progress", common.dump(now)) if is_all else None
        has_ended = is_all and experiment.status in FINAL
        return Batch(messages, reached, progress, _end(reached, experiment.status) if has_ended else None)

    def _history(self, session: Session, found: Happened) -> Iterator[Message]:
        """Yield the messages in order of their ids."""
        changes: defaultdict[int, list[Change]] = defaultdict(list)
        for change in found.changes:
            changes[change.seq].append(change)
        groups = {group[-1].seq: group for group in _together(found.flushes, sorted(changes))}
        parts = self._parts(session, found.flushes)
        for seq in sorted({*changes, *groups}):
            if seq in groups and (said := self._metrics(groups[seq], parts, is_reuse=seq in changes)):
                yield Message("metrics", said, Cursor(seq, seq - 1 if seq in changes else seq))
            if seq in changes:
                told = [events.Happening.from_change(change) for change in changes[seq]]
                yield Message("status", common.dump(events.StatusEvent(changes=told)), Cursor(seq, seq))

    def _parts(self, session: Session, flushes: Sequence[Flush]) -> list[tuple[Followed, Curve]]:
        """Read what these flushes may have stored of the followed runs, in their order."""
        if not flushes:
            return []
        runs = following.followed(session, self.experiment_id, self.run_ids, since=flushes[0].seq)
        spans = _spans(flushes, runs)
        found = stored.parts(session, spans)
        by_id = {run.id: run for run in runs}
        return [(by_id[run_id], found[run_id]) for run_id in self.run_ids if run_id in found]

    def _metrics(
        self, flushes: Sequence[Flush], parts: Sequence[tuple[Followed, Curve]], *, is_reuse: bool
    ) -> bytes | None:
        """What these flushes stored of the followed runs, if anything.

        Of a job, all runs that train store the same epochs together, and those that are reused all of theirs at once.
        """
        spans = _spans(flushes, [run for run, _ in parts])
        said = []
        for run, part in parts:
            if run.id in spans and run.is_reused == is_reuse:
                new = stored.between(part, *spans[run.id])
                if new.epochs.size:
                    said.append(curves.to_json({"run_id": str(run.id)}, curves.pick(new, self.metrics)))
        return curves.encode({"runs": said}) if said else None


_STRANGE = "is no run of this experiment"


def deleted(cursor: Cursor) -> Message:
    """The last message when the experiment is there no more."""
    said = events.EndEvent(reason="deleted", status=None)
    return Message("end", common.dump(said), replace(cursor, has_end=True))


def _end(cursor: Cursor, status: Status) -> Message:
    said = events.EndEvent(reason="finished", status=status)
    return Message("end", common.dump(said), replace(cursor, has_end=True))


def _together(flushes: Sequence[Flush], changed: Sequence[int]) -> Iterator[list[Flush]]:
    """Yield the flushes in groups that go into one message: nothing changed from the first to the last of a group."""
    group: list[Flush] = []
    for flush in flushes:
        if group and bisect_left(changed, group[-1].seq) < bisect_right(changed, flush.seq):
            yield group
            group = []
        group.append(flush)
    if group:
        yield group


def _spans(flushes: Sequence[Flush], runs: Sequence[Followed]) -> dict[UUID, tuple[int, int]]:
    """Return the first and the last epoch that was stored of each run, if any was."""
    by_job: defaultdict[UUID, list[Flush]] = defaultdict(list)
    for flush in flushes:
        by_job[flush.job_id].append(flush)
    spans = {}
    for run in runs:
        theirs = [flush for job in (run.job_id, *run.left) for flush in by_job.get(job, ()) if run.is_in(flush)]
        if theirs:
            spans[run.id] = min(one.first_epoch for one in theirs), max(one.last_epoch for one in theirs)
    return spans


def _refused(detail: str) -> Problem:
    return invalid_problem([Fault("/Last-Event-ID", detail, "header")])
