"""The MLP on Fashion-MNIST: an epoch in the book's loop, in scikit-learn, in epochd alone, and as a stack of 16.

Same settings everywhere: 784, 256 and 10 units, ReLU, cross-entropy, batches of 256 in random order, plain SGD with a
constant rate of 0.1, no momentum, no penalty, float32. A run of epochd is evaluated on the test set after every epoch.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from time import perf_counter
from typing import Any, Final

import numpy as np
import torch

from benchmarks import book, harness, slot_like
from benchmarks.harness import Bar, Benchmark, Findings, Options, Ratio, Series
from benchmarks.images import HOME, fetch, where_the_book_looks
from benchmarks.products import Products
from benchmarks.service import serving
from mlcore.data import fashion_mnist, loading
from mlcore.data.dataset import numbers
from mlcore.from_scratch.mlp import StackedMlp
from mlcore.from_scratch.shared_out import SharedOutMlp, alone_on
from mlcore.network import Network
from mlcore.spec import MlpSpec
from mlcore.stack import layout_of
from mlcore.training import EpochReport, Training, network_of

Json = dict[str, Any]
Side = Callable[[], object]

NAME: Final = "mlp"
STACK: Final = 16
SMALL_STACK: Final = 8
DROPOUT: Final = [0.5]
EPOCHS: Final = 10
TURNS: Final = 4
REST_SECONDS: Final = 0.5
STACKS: Final = {
    "one_seed": ("stack of 16, one seed (16 learning rates)", 0.75),
    "own_seeds": ("stack of 16, 16 seeds", 0.85),
}
KINDS: Final = {"": "", "_dropout": ", with dropout 0.5"}


class Epochs:
    """A training whose epochs are timed one by one."""

    def __init__(self, specs: Sequence[Json], options: Options) -> None:
        self._at_once = STACK // len(specs)
        every = {"epochs": self._at_once * options.repeats + 3, "n_train": options.pick(60_000, 2560)}
        self._reports = _reports(Training(_parsed(specs, **every), data_root=HOME))
        next(self._reports)  # loads the images, and is slower than those that follow

    def seconds(self) -> float:
        """Train and evaluate the next epoch of a stack, or of a run as many as 16 runs would need; per epoch."""
        start = perf_counter()
        for _ in range(self._at_once):
            next(self._reports)
        return (perf_counter() - start) / self._at_once


class Steps:
    """The steps of an epoch without its evaluation, and their matrix products alone, by as many threads."""

    def __init__(self, specs: Sequence[Json], options: Options) -> None:
        parsed = _parsed(specs, n_train=options.pick(60_000, 2560))
        self._network = network_of(parsed, "cpu", replay=False)
        self._part = loading.load(parsed, HOME).train
        self._epoch = 0
        self._products = [Products(partial(self._train, network)) for network in self._by_thread(parsed)]
        self._threads = [
            ThreadPoolExecutor(1, initializer=alone_on, initargs=(core,)) for core in range(len(self._products))
        ]
        self._products_seconds()

    def seconds(self) -> tuple[float, float]:
        """Time the steps and their products, one right after the other."""
        start = perf_counter()
        self._train(self._network)
        return perf_counter() - start, self._products_seconds()

    def _by_thread(self, specs: Sequence[MlpSpec]) -> list[Network]:
        """Return what steps as the network does: itself, or what each of its threads has if they share it out."""
        if not isinstance(self._network, SharedOutMlp):
            return [self._network]
        shares = layout_of(specs).shared_out(torch.get_num_threads())
        return [StackedMlp([specs[run] for run in runs], layout, "cpu") for _, runs, layout in shares]

    def _train(self, network: Network) -> None:
        """Train one epoch."""
        self._epoch += 1
        for _ in network.train_epoch(self._part, self._epoch):
            pass

    def _products_seconds(self) -> float:
        if len(self._products) == 1:
            return self._products[0].seconds()
        start = perf_counter()
        for replay in [one.submit(each.seconds) for one, each in zip(self._threads, self._products, strict=True)]:
            replay.result()
        return perf_counter() - start


class ScikitLearn:
    """scikit-learn's MLPClassifier at the same settings; partial_fit is one pass over what it is given."""

    def __init__(self, options: Options) -> None:
        # Not at the top: a slot-like process imports this file, and scikit-learn's OpenMP would bind it before torch's.
        from sklearn.neural_network import MLPClassifier

        images = fashion_mnist.load(HOME)
        n = options.pick(60_000, 2560)
        self._train = numbers(images.train_images[:n]).numpy(), images.train_labels[:n].numpy()
        self._test = numbers(images.test_images).numpy(), images.test_labels.numpy()
        self._classifier = MLPClassifier(
            hidden_layer_sizes=(256,),
            activation="relu",
            solver="sgd",
            alpha=0.0,
            batch_size=256,
            learning_rate="constant",
            learning_rate_init=0.1,
            momentum=0.0,
            nesterovs_momentum=False,
            shuffle=True,
            random_state=0,
        )
        self.epoch()

    def epoch(self) -> None:
        """Train one epoch."""
        self._classifier.partial_fit(*self._train, classes=np.arange(10))

    def evaluate(self) -> float:
        """Return the accuracy on the test set."""
        return float(self._classifier.score(*self._test))


def measure(options: Options, findings: Findings) -> None:
    fetch()
    with ExitStack() as stack:
        slot = stack.enter_context(slot_like.process())
        stack.enter_context(where_the_book_looks())
        sides = [*_epoch_sides(options, findings, slot), *_step_sides(options, findings, slot)]
        for number in harness.rounds(options, NAME):
            harness.in_turn(sides, number, REST_SECONDS)
            _measure_service(options, findings, slot)


def _epoch_sides(options: Options, findings: Findings, slot: slot_like.Process) -> list[Side]:
    """Return what measures an epoch of each side."""
    the_book, scikit_learn = book.Mlp(), ScikitLearn(options)
    timed = {f"{name}{kind}": specs for kind in KINDS for name, specs in _specs(kind).items()}
    for name, specs in timed.items():
        slot.keep(name, Epochs, specs, options)

    def time_scikit_learn() -> None:
        findings.time("sklearn", scikit_learn.epoch)
        findings.time("sklearn_test", scikit_learn.evaluate)

    def time_epochd(name: str) -> None:
        findings.add(name, slot.ask(name, Epochs.seconds))

    sides: list[Side] = [time_scikit_learn, *(partial(time_epochd, name) for name in timed)]
    return sides if options.quick else [lambda: findings.time("book", the_book.epoch), *sides]


def _step_sides(options: Options, findings: Findings, slot: slot_like.Process) -> list[Side]:
    """Return what measures the steps of an epoch and their products."""
    rates = [{"learning_rate": rate} for rate in _rates(SMALL_STACK)]
    stacks: dict[str, list[Json]] = {
        "single": [{}],
        "stack_of_8": rates,
        "own_seeds": [{"seed": seed} for seed in range(SMALL_STACK)],
    }
    for name, specs in stacks.items():
        slot.keep(f"steps_{name}", Steps, specs, options)

    def time(name: str) -> None:
        steps, products = slot.ask(f"steps_{name}", Steps.seconds)
        findings.add(f"steps_{name}", steps)
        findings.add(f"products_{name}", products)

    return [partial(time, name) for name in stacks]


def _measure_service(options: Options, findings: Findings, slot: slot_like.Process) -> None:
    """Time one run of ten epochs without the service and through it, in turn, with as many threads as the slot has."""
    spec = {"variant": "mlp", "epochs": EPOCHS, "n_train": options.pick(60_000, 2560), "reuse": False}
    with serving(slots=1) as service:
        service.wait(service.submit({"spec": {**spec, "epochs": 1}})["id"], 0.05)
        (worker,) = service.workers()
        for _ in range(TURNS):
            findings.add("bare", slot.call(slot_like.bare_seconds, [spec], int(worker["threads"])))
            service.rest()
            trained = service.train({"spec": spec}, runs=1, wait=30)  # asking again and again would take from its cores
            findings.add("service", trained.read)
        findings.add("worker_peak", service.worker_peak_mib())


def _specs(kind: str) -> dict[str, list[Json]]:
    """Return what is trained in each way: alone, as a stack with one seed, as a stack of as many seeds."""
    dropout = {"dropout": DROPOUT} if kind else {}
    return {
        "single": [dropout],
        "one_seed": [{**dropout, "learning_rate": rate} for rate in _rates(STACK)],
        "own_seeds": [{**dropout, "seed": seed} for seed in range(STACK)],
    }


def _rates(count: int) -> list[float]:
    return [round(0.1 - 0.005 * number, 3) for number in range(count)]


def _parsed(specs: Sequence[Json], **fields: object) -> list[MlpSpec]:
    return [MlpSpec.model_validate({**each, **fields}) for each in specs]


def _reports(training: Training) -> Iterator[EpochReport]:
    return (report for report in training if isinstance(report, EpochReport))


def _stack_series() -> dict[str, Series]:
    series = {}
    for kind, how in KINDS.items():
        series[f"single{kind}"] = Series(f"epochd's Training, an epoch of one run{how}; the mean of 16 in a row")
        for name, (what, _) in STACKS.items():
            series[f"{name}{kind}"] = Series(f"epochd's Training, an epoch of a {what}{how}")
    return series


STEPS: Final = {
    "single": ("one run", 0.55),
    "stack_of_8": ("a stack of 8, one seed", 0.80),
    "own_seeds": ("a stack of 8, 8 seeds", 0.80),
}


def _step_series() -> dict[str, Series]:
    steps = {f"steps_{name}": Series(f"the steps of an epoch of {what}") for name, (what, _) in STEPS.items()}
    alone = {f"products_{name}": Series(f"their matrix products alone, {what}") for name, (what, _) in STEPS.items()}
    return steps | alone


def _ratios() -> dict[str, Ratio]:
    ratios = {
        "book_to_single": Ratio("the book's epoch ÷ epochd's", "book", "single"),
        "sklearn_to_single": Ratio("scikit-learn's epoch, not evaluated ÷ epochd's, evaluated", "sklearn", "single"),
        "service_to_bare": Ratio("ten epochs through the service ÷ bare Training", "service", "bare"),
    }
    for kind, how in KINDS.items():
        for name, (what, _) in STACKS.items():
            ratios[f"{name}{kind}_share"] = Ratio(
                f"an epoch of a {what}{how} ÷ 16 epochs of one run", f"{name}{kind}", f"single{kind}", 1 / STACK
            )
    for name, (what, _) in STEPS.items():
        ratios[f"share_{name}"] = Ratio(f"products ÷ steps, {what}", f"products_{name}", f"steps_{name}")
    return ratios


def _bars() -> list[Bar]:
    bars = [
        Bar("MLP: an epoch at least 11 times as fast as the book's loop", "book_to_single", at_least=11),
        Bar("MLP: an epoch faster than scikit-learn's MLPClassifier", "sklearn_to_single", at_least=1),
        Bar("MLP, 10 epochs: the service takes at most 1.05 of bare Training", "service_to_bare", at_most=1.05),
    ]
    for kind, how in KINDS.items():
        for name, (what, most) in STACKS.items():
            claim = f"A {what}{how}: at most {most:.0%} of 16 single runs"
            bars.append(Bar(claim, f"{name}{kind}_share", at_most=most))
    for name, (what, least) in STEPS.items():
        bars.append(Bar(f"Matrix products: at least {least:.0%} of the step, {what}", f"share_{name}", at_least=least))
    return [*bars, Bar("A worker stays under 1 GiB (one MLP)", "worker_peak", at_most=1024, largest=True)]


BENCHMARK: Final = Benchmark(
    name=NAME,
    about="An MLP on Fashion-MNIST: seconds per epoch of the book's loop, scikit-learn and epochd, alone and stacked.",
    measure=measure,
    series={
        "book": Series("the book's loop (train_epoch_ch3 over its DataLoader, then evaluate_accuracy), an epoch"),
        "sklearn": Series("scikit-learn's MLPClassifier.partial_fit, an epoch"),
        "sklearn_test": Series("scikit-learn's score on the test set"),
        **_stack_series(),
        **_step_series(),
        "service": Series("epochd, one run of 10 epochs: POST until its curve has been read"),
        "bare": Series("epochd's Training alone, the same 10 epochs"),
        "worker_peak": Series("most memory of a worker process", "MiB"),
    },
    ratios=_ratios(),
    bars=_bars(),
    sources=[book.SOURCE, "scikit-learn, neural_network.MLPClassifier"],
)

if __name__ == "__main__":
    raise SystemExit(harness.main(BENCHMARK))
