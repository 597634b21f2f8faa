"""Trains claimed jobs, in the child of a slot: claim until nothing is left, and for each report decide what to do."""

import logging
import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from functools import partial
from threading import Event

import torch
from sqlalchemy.exc import SQLAlchemyError

from mlcore import checkpoint, grouping
from mlcore.device import free_memory, is_card, out_of_memory
from mlcore.errors import DatasetError, WrongDevice
from mlcore.spec import KeepEvery, RunSpec, parse_run_spec
from mlcore.training import EpochReport, Tick, Training, TrainingState
from store import checkpoints, jobs
from store.engine import Database
from store.errors import LeaseLost
from store.jobs import Claim, ClaimedRun
from store.status import FINAL, Status
from worker.bell import ring
from worker.cards import Card
from worker.logs import log_context
from worker.recorder import Ended, Kept, Recorder
from worker.reuse import without_reused
from worker.settings import WorkerSettings

logger = logging.getLogger(__name__)

EPOCH_GRACE_SECONDS = 1.0  # an epoch that ends within this time of being told to leave is kept
CARD_LOST = 71  # exit status of a child whose card failed: every later call to CUDA would fail too

DIVERGED = (
    "The training loss at epoch {epoch} was not a finite number, or more than a million times what it was at first or "
    "would be for predicting zero. A smaller learning_rate usually helps."
)
INTERNAL = "The training stopped because of an error in the service ({error}); its log has the details."
CUT = "A stack of {runs} runs does not fit into the memory of its device, {device}: it is cut in two."
NO_ROOM = (
    "The training does not fit into the memory of its device, {device}, even alone. "
    "Fewer units in `hidden`, a smaller batch_size or another device helps."
)


def start(card: Card | None) -> None:
    """Wake the card that this process trains on, and keep to a slot's part of its memory where others have theirs."""
    if card is not None:
        torch.cuda.init()  # type: ignore[no-untyped-call]
        torch.cuda.set_per_process_memory_fraction(1.0 / card.parts)


class Trainer:
    """Trains what the queues of a slot hold."""

    def __init__(self, database: Database, settings: WorkerSettings, name: str, threads: int, leaving: Event) -> None:
        self._database = database
        self._settings = settings
        self._name = name
        self._threads = threads
        self._leaving = leaving

    def work(self) -> None:
        """Claim and train until nothing is left or the slot is told to leave."""
        try:
            while not self._leaving.is_set() and (claim := self._claim()) is not None:
                if any(run.status not in FINAL for run in claim.runs):
                    Execution(self._database, claim, self._settings, self._leaving).run()
        except SQLAlchemyError:
            logger.exception("the database did not answer; whatever was held is given back when its lease runs out")
        except torch.AcceleratorError:
            logger.exception("the card is in no state to go on; the slot is started again, and its job with it")
            os._exit(CARD_LOST)

    def _claim(self) -> Claim | None:
        """Claim the next job; what an earlier result answers is taken from there, in the same transaction."""
        with self._database.write() as session:
            claim = jobs.claim(
                session,
                worker=self._name,
                queues=self._settings.queues,
                lease_seconds=self._settings.lease_seconds,
                device=self._settings.trains_on,
                threads=self._threads,
            )
            claim = None if claim is None else without_reused(session, claim)
        if claim is not None:
            ring(self._settings.waiting_folder)
        return claim


class Execution:
    """The training of one claimed job, from wherever an earlier claim left it."""

    def __init__(self, database: Database, claim: Claim, settings: WorkerSettings, leaving: Event) -> None:
        self._database = database
        self._claim = claim
        self._settings = settings
        self._leaving = leaving
        self._told_at: float | None = None
        self._device = claim.device.partition(" ")[0]  # torch's name; which card it is comes after it
        self._recorder = Recorder(database, claim, settings)
        self._specs: list[RunSpec] = []
        self._keep_every: dict[int, int] = {}

    def run(self) -> None:
        """Train until every run of the job is final, the slot is told to leave, or the lease is lost."""
        claim = self._claim
        with log_context(request_id=claim.request_id, experiment_id=claim.experiment_id):
            logger.info("job %s: %d runs to train, claim %d", claim.job_id, len(self._recorder.live), claim.claims)
            try:
                self._train_or_fail()
            except LeaseLost:
                logger.warning("job %s: the lease was lost, nothing more is written", claim.job_id)

    def _train_or_fail(self) -> None:
        try:
            self._train()
            return
        except (LeaseLost, SQLAlchemyError):
            raise
        except DatasetError as problem:
            self._fail(self._runs(), "dataset", str(problem))
            return
        except WrongDevice as problem:
            self._fail(self._runs(), "device", str(problem))
            return
        except Exception as problem:
            if out_of_memory(problem):
                logger.warning("job %s does not fit: %s", self._claim.job_id, problem)
            elif isinstance(problem, torch.AcceleratorError):
                raise
            else:
                logger.exception("job %s failed", self._claim.job_id)
                self._fail(self._runs(), "internal", INTERNAL.format(error=type(problem).__name__))
                return
        self._make_fit()  # only here have the training and its tensors gone: the exception held them

    def _make_fit(self) -> None:
        """Have a stack that is too large for its device trained in halves; a run that is so alone has failed."""
        free_memory(self._device)
        device = self._claim.device
        if len(self._claim.runs) > 1:
            self._recorder.split(CUT.format(runs=len(self._claim.runs), device=device))
        else:
            self._fail(self._runs(), "out_of_memory", NO_ROOM.format(device=device))

    def _train(self) -> None:
        training = self._training()
        for report in training:
            self._handle(training, report)
            if not self._recorder.live:
                return
            if self._must_leave(report):
                self._leave(training)
                return
        self._succeed(training)

    def _training(self) -> Training:
        self._specs = [parse_run_spec(run.spec) for run in self._claim.runs]
        torch.set_num_threads(grouping.threads(self._specs, self._claim.threads))
        self._recorder.take_up()
        keeps = [spec.keep_checkpoints for spec in self._specs]
        self._keep_every = {run: keep.every for run, keep in enumerate(keeps) if isinstance(keep, KeepEvery)}
        training = self._built(self._resume_state())
        for run in self._claim.runs:
            if run.index not in self._recorder.live:
                training.stop(run.index)
        self._recorder.expect_states_of(_size(training.state()))
        return training

    def _built(self, state: TrainingState | None) -> Training:
        """Lay the stack out; that of a card can be so large that it takes longer than a lease, so it is renewed."""
        lay_out = partial(Training, self._specs, data_root=self._settings.data, device=self._device, state=state)
        if not is_card(self._device):
            return lay_out()
        with ThreadPoolExecutor(1) as pool:
            built = pool.submit(lay_out)
            while not wait([built], self._settings.contact_seconds).done:
                self._recorder.look()
            return built.result()

    def _resume_state(self) -> TrainingState | None:
        if self._claim.claims == 1:
            return None
        with self._database.write() as session:
            stored = checkpoints.latest_state(session, self._claim.job_id)
        if stored is None:
            return None
        logger.info("job %s goes on after epoch %d", self._claim.job_id, stored.epoch)
        return checkpoint.state_from_bytes(stored.data)

    def _handle(self, training: Training, report: EpochReport | Tick) -> None:
        if isinstance(report, Tick):
            to_cancel = self._recorder.look()
        else:
            to_cancel = self._recorder.add(report)
            to_cancel += self._end_diverged(report)
            to_cancel += self._keep(training, report.epoch)
        self._cancel(training, to_cancel)
        if self._goes_on(report) and self._recorder.state_is_due():
            self._cancel(training, self._store_state(training))

    def _goes_on(self, report: EpochReport | Tick) -> bool:
        """Whether this is the end of an epoch after which there is another."""
        return isinstance(report, EpochReport) and bool(self._recorder.live) and report.epoch < self._specs[0].epochs

    def _runs(self) -> list[ClaimedRun]:
        return list(self._recorder.live.values())

    def _end_diverged(self, report: EpochReport) -> list[ClaimedRun]:
        """End the runs that diverged; returns the runs to cancel, as every write does."""
        if not report.diverged:
            return []
        lost = [run for run in self._runs() if run.index in report.diverged]
        return self._fail(lost, "diverged", DIVERGED.format(epoch=report.epoch))

    def _fail(self, runs: Sequence[ClaimedRun], kind: str, detail: str) -> list[ClaimedRun]:
        error = {"kind": kind, "detail": detail}
        return self._recorder.store(ended=[Ended(run, Status.FAILED, error) for run in runs])

    def _cancel(self, training: Training, asked: Sequence[ClaimedRun]) -> None:
        to_cancel = {run.index: run for run in asked if run.index in self._recorder.live}  # asked for more than once
        for index in to_cancel:
            training.stop(index)
        if to_cancel:
            self._recorder.store(ended=[Ended(run, Status.CANCELLED) for run in to_cancel.values()])

    def _keep(self, training: Training, epoch: int) -> list[ClaimedRun]:
        """Keep the weights of this epoch for the runs that want every k-th; returns the runs to cancel."""
        if not self._keep_every:
            return []
        wanted = [run for run in self._runs() if epoch % self._keep_every.get(run.index, epoch + 1) == 0]
        return self._recorder.store(kept=[self._kept(training, run, "epoch") for run in wanted]) if wanted else []

    def _kept(self, training: Training, run: ClaimedRun, kind: checkpoints.Kind) -> Kept:
        data = checkpoint.weights_to_bytes(training.weights(run.index), epoch=training.epoch)
        return Kept(run, kind, training.epoch, data)

    def _succeed(self, training: Training) -> None:
        kept = [each for run in self._runs() for each in self._final_weights(training, run)]
        ended = [Ended(run, Status.SUCCEEDED) for run in self._runs()]
        self._recorder.store(kept, ended)
        logger.info("job %s is done", self._claim.job_id)

    def _final_weights(self, training: Training, run: ClaimedRun) -> list[Kept]:
        if self._specs[run.index].keep_checkpoints == "none":
            return []
        kept = [self._kept(training, run, "last")]
        if (best := training.best(run.index)) is not None:
            about = {"epoch": best.epoch, "loss": best.loss, "selected_on": best.selected_on}
            kept.append(Kept(run, "best", best.epoch, checkpoint.weights_to_bytes(best.weights, **about)))
        return kept

    def _store_state(self, training: Training) -> list[ClaimedRun]:
        return self._recorder.store_state(training.epoch, lambda: checkpoint.state_to_bytes(training.state()))

    def _must_leave(self, report: EpochReport | Tick) -> bool:
        """Whether to put the job down now: after an epoch if possible, but not if that takes long."""
        if not self._leaving.is_set():
            return False
        if isinstance(report, EpochReport):
            return report.epoch < self._specs[0].epochs
        self._told_at = self._told_at or time.monotonic()
        return time.monotonic() - self._told_at >= EPOCH_GRACE_SECONDS

    def _leave(self, training: Training) -> None:
        """Give the job back; an epoch cut short is trained again, to the same bits."""
        if training.epoch:
            self._store_state(training)
        self._recorder.give_back("the worker was shut down")
        logger.info("job %s was given back after epoch %d", self._claim.job_id, training.epoch)


def _size(state: TrainingState) -> int:
    """Return about how many bytes a state has."""
    return sum(tensor.nbytes for tensor in (*state.parameters.values(), *state.best_parameters.values()))
