"""Training as a plain iterator: it tells what happened, and whoever drives it decides what to do about it.

    for report in Training([spec], data_root=folder):
        ...  # an EpochReport at the end of each epoch, and now and then a Tick

It stores nothing and calls nobody.
"""

import time
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar, cast

import numpy as np
import torch
from numpy.typing import NDArray

from mlcore import precision
from mlcore.concise import ConciseNetwork
from mlcore.data import loading
from mlcore.data.dataset import Dataset
from mlcore.device import is_card
from mlcore.from_scratch.affine_regression import AffineRegression
from mlcore.from_scratch.mlp import StackedMlp
from mlcore.from_scratch.regression import StackedRegression
from mlcore.from_scratch.replayed import ReplayedMlp, ReplayedRegression
from mlcore.from_scratch.shared_out import SharedOutMlp
from mlcore.network import Measured, Network, Parameters, Values
from mlcore.spec import LinearSpec, MlpSpec, PolynomialSpec, RunSpec
from mlcore.stack import layout_of, shape_of

TICK_SECONDS = 0.5
DIVERGED = 1e6  # times the loss of predicting zero or of the first weights; float64 stays finite for long after that

T = TypeVar("T")


@dataclass(frozen=True)
class Tick:
    """A sign of life from inside a long epoch, at least once a second."""


@dataclass(frozen=True)
class EpochReport:
    """What an epoch gave. Metrics have one value per run, NaN where a run is masked; none if it was not evaluated."""

    epoch: int
    evaluated: bool
    metrics: dict[str, Values] = field(default_factory=dict)
    diverged: tuple[int, ...] = ()


@dataclass(frozen=True)
class Best:
    """The weights of a run where `selected_on` was lowest so far."""

    epoch: int
    loss: float
    selected_on: str
    weights: Parameters


@dataclass
class TrainingState:
    """All that is needed to go on after an epoch, to the same bits: no generator has a state."""

    epoch: int
    parameters: Parameters
    active: NDArray[np.bool_]
    best_parameters: Parameters
    best_loss: Values
    best_epoch: NDArray[np.int64]


class Training:
    """Trains runs of one shape as one stack, from the start or from a state.

    `replay` is how a card trains, the steps being one program that is launched again and again; None: on cards. The CPU
    can do the same, step by step, to be compared with a card: batches and masks are drawn as there.

    Raises ValueError for specs that cannot train together, `mlcore.errors.WrongDevice` for a precision that the device
    does not have; iterating raises `mlcore.errors.DatasetError` where the data set cannot be used, and
    `torch.OutOfMemoryError` where a card is too small for the stack.
    """

    def __init__(
        self,
        specs: Sequence[RunSpec],
        *,
        data_root: Path,
        device: str = "cpu",
        replay: bool | None = None,
        state: TrainingState | None = None,
    ) -> None:
        if len({shape_of(spec) for spec in specs}) != 1:
            raise ValueError("these runs do not have one shape, so they cannot train as one stack")
        precision.check(specs[0].precision, device)
        self.specs = list(specs)
        self._data_root = data_root
        self._device = device
        self._network = network_of(specs, device, replay=is_card(device) if replay is None else replay)
        self._keeps_best = any(spec.keep_checkpoints == "last_and_best" for spec in specs)
        self._on_host: Parameters | None = None
        self._state = self._first_state() if state is None else state
        self._restore()
        self._before_epoch = {name: tensor.clone() for name, tensor in self._network.parameters().items()}
        self._between_epochs = True
        self._last_sign = time.monotonic()

    @property
    def epoch(self) -> int:
        """The last epoch that is complete; 0 at the start."""
        return self._state.epoch

    @property
    def active(self) -> NDArray[np.bool_]:
        """Which runs still train: neither diverged nor stopped."""
        return self._state.active

    def __iter__(self) -> Iterator[EpochReport | Tick]:
        """Train from the epoch after the state's to the last, or until no run is active."""
        data = yield from self._ticking(self._load_data())
        limit = yield from self._ticking(self._divergence_limit(data))
        while self.epoch < self.specs[0].epochs and self.active.any():
            self._begin_epoch()
            report = yield from self._ticking(self._train_epoch(data, self.epoch + 1, limit))
            self._end_epoch(report)
            self._last_sign = time.monotonic()
            yield report

    def stop(self, run: int) -> None:
        """Mask a run from now on; the others of the stack go on as if alone."""
        self._on_host = None
        self._state.active[run] = False
        self._network.stop(run)

    def state(self) -> TrainingState:
        """Return the state after the last complete epoch; inside a long epoch, that of before it.

        Its tensors are the live ones between epochs: store them before going on.
        """
        if self._between_epochs:
            self._state.parameters = self._network.parameters()
        return self._state

    def weights(self, run: int) -> Parameters:
        """Return a run's weights after the last complete epoch: layers.0.weight [out, in], layers.0.bias [out]."""
        if self._on_host is None:  # one copy from a card, not one for each of its runs
            self._on_host = {name: tensor.cpu() for name, tensor in self.state().parameters.items()}
        return self._network.weights(run, self._on_host)

    def best(self, run: int) -> Best | None:
        """Return a run's best weights so far; None before the first evaluation or if its spec does not keep them."""
        state, spec = self._state, self.specs[run]
        if spec.keep_checkpoints != "last_and_best" or not state.best_epoch[run]:
            return None
        weights = self._network.weights(run, state.best_parameters)
        return Best(int(state.best_epoch[run]), float(state.best_loss[run]), self._selected_on, weights)

    @property
    def _selected_on(self) -> str:
        return "valid" if self.specs[0].sizes.valid else "test"

    def _first_state(self) -> TrainingState:
        n = len(self.specs)
        parameters = self._network.parameters()
        best = {name: tensor.clone() for name, tensor in parameters.items()} if self._keeps_best else {}
        return TrainingState(0, parameters, np.ones(n, bool), best, np.full(n, np.inf), np.zeros(n, np.int64))

    def _restore(self) -> None:
        self._network.load(self._state.parameters)
        best = self._state.best_parameters
        self._state.best_parameters = {name: tensor.to(self._device) for name, tensor in best.items()}
        for run in np.flatnonzero(~self.active):
            self._network.stop(int(run))

    def _load_data(self) -> Generator[None, None, Dataset]:
        with ThreadPoolExecutor(1) as pool:
            loaded: Future[Dataset] = pool.submit(loading.load, self.specs, self._data_root)
            while not wait([loaded], TICK_SECONDS).done:
                yield
            return loaded.result().to(self._device)

    def _begin_epoch(self) -> None:
        """Keep a copy of the parameters, which is the state if the epoch is cut short; it costs less than one step."""
        for name, tensor in self._network.parameters().items():
            self._before_epoch[name].copy_(tensor)
        self._state.parameters = self._before_epoch
        self._on_host = None
        self._between_epochs = False

    def _train_epoch(self, data: Dataset, epoch: int, limit: Values) -> Generator[None, None, EpochReport]:
        spec = self.specs[0]
        running = yield from self._network.train_epoch(data.train, epoch)
        evaluated = epoch % spec.evaluate_every == 0 or epoch in (1, spec.epochs)
        if not evaluated:
            return EpochReport(epoch, evaluated=False)
        metrics = {} if running is None else _named("running", running)
        for name, part in data.parts().items():
            if name != "train" or not isinstance(spec, MlpSpec) or epoch == spec.epochs:
                metrics |= _named(name, (yield from self._network.evaluate(part)))
        metrics["weight_l2_norm"], metrics["weight_l1_norm"] = self._network.norms()
        lost = self.active & _is_lost(metrics, limit)
        if not self.active.all():
            metrics = {name: np.where(self.active, values, np.nan) for name, values in metrics.items()}
        return EpochReport(epoch, evaluated=True, metrics=metrics, diverged=tuple(np.flatnonzero(lost).tolist()))

    def _end_epoch(self, report: EpochReport) -> None:
        self._state.epoch = report.epoch
        self._on_host = None
        self._between_epochs = True
        for run in report.diverged:
            self.stop(run)
        if report.evaluated and self._keeps_best:
            self._note_best(report)

    def _note_best(self, report: EpochReport) -> None:
        state, loss = self._state, report.metrics[f"{self._selected_on}_loss"]
        improved = self.active & (loss < state.best_loss)
        state.best_loss[improved] = loss[improved]
        state.best_epoch[improved] = report.epoch
        if improved.any():
            self._network.copy_runs(improved, state.best_parameters)

    def _divergence_limit(self, data: Dataset) -> Generator[None, None, Values]:
        """Return 1e6 times the loss of predicting zero or of the first weights, whichever is larger, per run."""
        if isinstance(self.specs[0], MlpSpec):
            return np.full(len(self.specs), DIVERGED * np.log(10))
        layout = layout_of(self.specs)
        rows = data.train.rows_of(torch.from_numpy(layout.dataset)).cpu()
        labels = data.train.labels.cpu()[rows].to(torch.float64)
        zero = labels.square().mean(1).numpy() / (2 if self.specs[0].loss == "half_squared_error" else 1)
        first = yield from self._first_network().evaluate(data.train)
        limit: Values = DIVERGED * np.fmax(np.where(zero > 0, zero, 1.0)[layout.group], first.loss)
        return limit

    def _first_network(self) -> Network:
        """Return a network with the weights that the training began with, wherever it goes on from."""
        return self._network if self.epoch == 0 else network_of(self.specs, self._device, replay=False)

    def _ticking(self, work: Generator[None, None, T]) -> Generator[Tick, None, T]:
        """Drive work, with a Tick whenever the last sign of life is a while ago."""
        precision.choose(self.specs[0].precision, self._device)
        while True:
            try:
                next(work)
            except StopIteration as end:
                result: T = end.value
                return result
            if time.monotonic() - self._last_sign >= TICK_SECONDS:
                yield Tick()
                self._last_sign = time.monotonic()
                precision.choose(self.specs[0].precision, self._device)  # another training may have had its turn


def network_of(specs: Sequence[RunSpec], device: str, *, replay: bool) -> Network:
    """Return what trains these runs best where they train, with as many threads as torch has now."""
    if specs[0].implementation == "concise":
        if len(specs) != 1:
            raise ValueError("a concise run trains alone")
        return ConciseNetwork(specs[0], device)
    layout = layout_of(specs)
    if isinstance(specs[0], MlpSpec):
        mlps = cast("Sequence[MlpSpec]", specs)
        if replay:
            return ReplayedMlp(mlps, layout, device)
        threads = 1 if is_card(device) else torch.get_num_threads()
        if SharedOutMlp.suits(mlps, layout, threads):
            return SharedOutMlp(mlps, layout, threads)
        return StackedMlp(mlps, layout, device)
    regressions = cast("Sequence[PolynomialSpec | LinearSpec]", specs)
    if replay:
        return ReplayedRegression(regressions, layout, device)
    regression = AffineRegression if AffineRegression.suits(regressions, layout) else StackedRegression
    return regression(regressions, layout, device)


def _named(prefix: str, measured: Measured) -> dict[str, Values]:
    named = {f"{prefix}_loss": measured.loss}
    return named if measured.accuracy is None else {**named, f"{prefix}_accuracy": measured.accuracy}


def _is_lost(metrics: dict[str, Values], limit: Values) -> NDArray[np.bool_]:
    """Return which runs have a training loss that is not a number or beyond the limit."""
    lost = np.zeros(len(limit), bool)
    for name in metrics.keys() & {"train_loss", "running_loss"}:
        lost |= ~(metrics[name] <= limit)
    return lost
