"""Training on a card: one MLP, stacks of dropout MLPs, polynomial sweeps, and how near they come to what it can do.

`make bench-gpu` on a machine with a card. With --quick the sizes are tiny and the CPU will do: does it still run?
Every time is that of Training alone, from the specs to the last epoch's metrics, images on the card already.
"""

import sys
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise, product
from statistics import median
from time import perf_counter
from typing import Any, Final

import torch
from torch import Tensor

from benchmarks import book, harness
from benchmarks.harness import Bar, Benchmark, Findings, Options, Ratio, Series
from benchmarks.images import HOME, fetch, where_the_book_looks
from mlcore.device import is_card
from mlcore.initialization import layer_sizes
from mlcore.spec import MlpSpec, RunSpec, parse_run_spec
from mlcore.training import EpochReport, Training

Json = dict[str, Any]

NAME: Final = "gpu"
EPOCHS: Final = 10
STACKS: Final = (64, 512, 1000)
SWEEPS: Final = (10_000, 100_000)
PRECISIONS: Final = ("tf32", "bf16")
PRECISE_STACK: Final = 512
HIDDEN: Final = [256, 256]
DROPOUT: Final = [0.2, 0.5]
GIB: Final = 2**30


def measure(options: Options, findings: Findings) -> None:
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if not is_card(device) and not options.quick:
        sys.exit(
            "This benchmark needs a card that torch can use, and there is none; --quick runs tiny sizes on the CPU."
        )
    if is_card(device):
        card = torch.cuda.get_device_properties(0)
        findings.note(f"Measured on one {card.name} with {card.total_memory / GIB:.0f} GiB.")
    else:
        findings.note("Measured on the CPU, so these figures say nothing about any card.")
    if not options.quick:
        fetch()
    for number in harness.rounds(options, NAME):
        _time_limits(options, findings, device)
        sides = [*_mlp_sides(options, findings, device), *_polynomial_sides(options, findings, device)]
        harness.in_turn(sides if options.quick else [*sides, partial(_time_book, findings)], number)
        for name in _products_of(findings):
            _add_shares(options, findings, name)


def _mlp_sides(options: Options, findings: Findings, device: str) -> list[Callable[[], object]]:
    def single() -> None:
        reports = _reports([_mlp(options)], device)
        next(reports)  # it loads the images and captures the step
        seconds = [_seconds(partial(next, reports)) for _ in range(options.pick(5, 1))]
        findings.add("single", median(seconds))

    def stack(name: str, runs: int, **fields: object) -> None:
        specs = [_mlp(options, hidden=HIDDEN, dropout=DROPOUT, seed=seed, **fields) for seed in range(runs)]
        losses: list[float] = []
        findings.add(name, _seconds(lambda: losses.append(_train(specs, device))))
        if name.startswith(f"stack_{PRECISE_STACK}"):
            findings.add(f"loss_{name.removeprefix('stack_')}", losses[0])

    sides: list[Callable[[], object]] = [single, partial(stack, "dropout_alone", 1)]
    sides += [partial(stack, f"stack_{runs}", _size(options, runs)) for runs in STACKS]
    for precision in PRECISIONS if is_card(device) else PRECISIONS[1:]:
        name = f"stack_{PRECISE_STACK}_{precision}"
        sides.append(partial(stack, name, _size(options, PRECISE_STACK), precision=precision))
    return sides


def _polynomial_sides(options: Options, findings: Findings, device: str) -> list[Callable[[], object]]:
    def sweep(name: str, runs: int) -> None:
        specs = [_polynomial(options, *point) for point in _points(runs)]
        findings.add(name, _seconds(partial(_train, specs, device)))

    alone = partial(sweep, "polynomial_alone", 1)
    return [alone, *(partial(sweep, f"polynomial_{runs}", _size(options, runs)) for runs in SWEEPS)]


def _time_book(findings: Findings) -> None:
    """Time the chapter's own loops on this machine, as they are: on its CPU."""
    findings.time("book_polynomial", partial(book.polynomial_run, 3, 400, shown_every=1))
    with where_the_book_looks():
        findings.time("book_mlp", book.Mlp().epoch)


def _time_limits(options: Options, findings: Findings, device: str) -> None:
    """Measure what the device does at best: float32 operations a second in one large product, bytes copied a second."""
    side, many = options.pick(8192, 256), options.pick(GIB, 2**20)
    a = torch.ones(side, side, device=device)
    source, target = (torch.ones(many // 4, device=device) for _ in range(2))
    work: dict[str, tuple[Callable[[], Tensor], float]] = {
        "limit_products": (lambda: torch.mm(a, a), 2 * side**3 / 1e12),
        "limit_memory": (lambda: target.copy_(source), 2 * many / 1e9),
    }
    for name, (do, amount) in work.items():
        findings.add(name, amount / min(_seconds(partial(_done, do, device)) for _ in range(6)))


def _add_shares(options: Options, findings: Findings, name: str) -> None:
    """Add how much of the limits an MLP series used: operations and bytes counted, seconds measured."""
    runs, spec = 1, _mlp(options)
    epochs = 1
    if name != "single":
        runs = _size(options, int(name.removeprefix("stack_")))
        spec, epochs = _mlp(options, hidden=HIDDEN, dropout=DROPOUT), spec.epochs
    seconds = findings.values[name][-1] / epochs
    findings.add(f"operations_{name}", runs * operations(spec) / 1e12)
    findings.add(f"bytes_{name}", runs * moved_bytes(spec) / 1e9)
    for kind, limit in (("operations", "products"), ("bytes", "memory")):
        used = findings.values[f"{kind}_{name}"][-1] / seconds
        findings.add(f"share_{kind}_{name}", 100 * used / findings.values[f"limit_{limit}"][-1])


def operations(spec: MlpSpec) -> int:
    """Count the multiplications and additions of an epoch's products: forward, back to inputs, weights, evaluation."""
    weights = [fan_in * fan_out for fan_in, fan_out in pairwise(layer_sizes(spec))]
    return 2 * spec.n_train * (3 * sum(weights) - weights[0]) + 2 * spec.n_test * sum(weights)


def moved_bytes(spec: MlpSpec) -> int:
    """Count the least bytes that an epoch's steps move, were nothing kept in caches between operations.

    Each weight is read forward, back and for the update, and written; each activation is written, read and written by
    its function, with dropout by its mask, and read by two products.
    """
    weights = [fan_in * fan_out for fan_in, fan_out in pairwise(layer_sizes(spec))]
    steps = -(-spec.n_train // spec.batch_size)
    passes = 12 if any(spec.dropout) else 8
    return 4 * (4 * sum(weights) * steps + passes * sum(layer_sizes(spec)[1:]) * spec.n_train)


def _products_of(findings: Findings) -> list[str]:
    return [name for name in ("single", *(f"stack_{runs}" for runs in STACKS)) if name in findings.values]


def _size(options: Options, runs: int) -> int:
    return options.pick(runs, min(runs, 4))


def _mlp(options: Options, **fields: object) -> MlpSpec:
    small: Json = options.pick({}, {"n_train": 600, "n_test": 200, "epochs": 3})
    return MlpSpec.model_validate({"epochs": EPOCHS, "keep_checkpoints": "last", **small, **fields})


def _polynomial(options: Options, degree: int, decay: float, rate: float) -> RunSpec:
    given = {"degree": degree, "weight_decay": decay, "learning_rate": rate, "epochs": options.pick(400, 10)}
    return parse_run_spec({"variant": "polynomial", "keep_checkpoints": "last", **given})


def _points(runs: int) -> list[tuple[int, float, float]]:
    """Return so many points of the grid 20 degrees × 50 λ × learning rates; a single one is of degree 3."""
    if runs == 1:
        return [(3, 0.0, 0.01)]
    rates = -(-runs // 1000)
    grid = product(range(20), (0.01 * number for number in range(50)), (0.03 * (n + 1) / rates for n in range(rates)))
    return list(grid)[:runs]


def _reports(specs: Sequence[RunSpec], device: str) -> Any:  # noqa: ANN401 - an iterator of EpochReport
    training = Training(specs, data_root=HOME, device=device, replay=True)
    return (report for report in training if isinstance(report, EpochReport))


def _train(specs: Sequence[RunSpec], device: str) -> float:
    """Train to the end; return the mean of the runs' last test losses."""
    last = None
    for report in _reports(specs, device):
        last = report
    return float(last.metrics["test_loss"].mean()) if last is not None else float("nan")


def _done(work: Callable[[], object], device: str) -> None:
    work()
    if is_card(device):
        torch.cuda.synchronize()


def _seconds(work: Callable[[], object]) -> float:
    start = perf_counter()
    work()
    return perf_counter() - start


def _series() -> dict[str, Series]:
    series = {
        "single": Series("one MLP (784, 256, 10), an epoch with its evaluation"),
        "dropout_alone": Series("one dropout MLP (784, 256, 256, 10), 10 epochs"),
        "polynomial_alone": Series("one polynomial run of 400 epochs"),
        "book_mlp": Series("the book's loop on this machine's CPU, an epoch of its MLP"),
        "book_polynomial": Series("the book's loop on this machine's CPU, one polynomial run of 400 epochs"),
        "limit_products": Series("the device at its best: a float32 product of 8192 × 8192", "TFLOP/s"),
        "limit_memory": Series("the device at its best: a copy of 1 GiB", "GB/s"),
    }
    for runs in STACKS:
        series[f"stack_{runs}"] = Series(f"{runs:,} dropout MLPs with a seed each, as one stack, 10 epochs")
    for precision in PRECISIONS:
        what = f"{PRECISE_STACK} dropout MLPs in {precision}, 10 epochs"
        series[f"stack_{PRECISE_STACK}_{precision}"] = Series(what)
    for precision in ("", *(f"_{precision}" for precision in PRECISIONS)):
        what = f"mean test loss of {PRECISE_STACK} dropout MLPs, {precision.removeprefix('_') or 'float32'}"
        series[f"loss_{PRECISE_STACK}{precision}"] = Series(what, "")
    for runs in SWEEPS:
        series[f"polynomial_{runs}"] = Series(f"{runs:,} polynomial runs of 400 epochs, one seed, as one stack")
    for name in ("single", *(f"stack_{runs}" for runs in STACKS)):
        what = series[name].what
        series[f"operations_{name}"] = Series(f"{what}: operations of an epoch's products", "TFLOP")
        series[f"bytes_{name}"] = Series(f"{what}: bytes that an epoch's steps move at least", "GB")
        series[f"share_operations_{name}"] = Series(f"{what}: share of the device's operations a second", "%")
        series[f"share_bytes_{name}"] = Series(f"{what}: share of the device's bytes a second", "%")
    return series


def _ratios() -> dict[str, Ratio]:
    ratios = {"book_to_single": Ratio("the book's epoch ÷ epochd's on the card", "book_mlp", "single")}
    for runs in STACKS:
        what = f"{runs:,} dropout MLPs one after the other ÷ as a stack"
        ratios[f"alone_to_stack_{runs}"] = Ratio(what, "dropout_alone", f"stack_{runs}", runs)
        what = f"{runs:,} × 10 epochs of the book's MLP, the smaller one ÷ the stack"
        ratios[f"book_to_stack_{runs}"] = Ratio(what, "book_mlp", f"stack_{runs}", EPOCHS * runs)
    for runs in SWEEPS:
        for side, who in (("polynomial_alone", "epochd one after the other"), ("book_polynomial", "the book's loop")):
            what = f"{runs:,} polynomial runs: {who} ÷ the stack"
            ratios[f"{side}_to_{runs}"] = Ratio(what, side, f"polynomial_{runs}", runs)
    return ratios


BENCHMARK: Final = Benchmark(
    name=NAME,
    about="Training on a card: an MLP, stacks of dropout MLPs on 60,000 images, polynomial sweeps.",
    measure=measure,
    series=_series(),
    ratios=_ratios(),
    bars=[
        Bar("1,000 dropout MLPs, 10 epochs of 60,000 images, in 60 s (H200)", "stack_1000", at_most=60),
        Bar("An epoch of a single MLP in 25 ms (H200)", "single", at_most=0.025),
        Bar("100,000 polynomial runs of 400 epochs in 10 s (H200)", "polynomial_100000", at_most=10),
    ],
    sources=[book.SOURCE],
    repeats=3,
)

if __name__ == "__main__":
    raise SystemExit(harness.main(BENCHMARK))
