"""How a sweep of several stacks gets along with 1 to 4 workers, which share the cores."""

from functools import partial
from typing import Any, Final

from benchmarks import harness
from benchmarks.harness import Benchmark, Findings, Options, Ratio, Series
from benchmarks.service import serving

Json = dict[str, Any]

NAME: Final = "workers"
SLOTS: Final = (1, 2, 3, 4)
BATCH_SIZES: Final = [5, 6, 7, 8, 9, 10, 11, 12]
"""Runs of different batch sizes cannot share a stack, so there are as many jobs."""
DECAYS: Final = 100


def measure(options: Options, findings: Findings) -> None:
    decays = [round(0.001 * number, 3) for number in range(options.pick(DECAYS, 2))]
    spec = {"variant": "polynomial", "epochs": options.pick(400, 10), "degree": 19, "reuse": False}
    request: Json = {"spec": spec, "grid": {"batch_size": BATCH_SIZES, "weight_decay": decays}}
    for number in harness.rounds(options, NAME):
        harness.in_turn([partial(_time, findings, request, slots) for slots in SLOTS], number)


def _time(findings: Findings, request: Json, slots: int) -> None:
    runs = len(request["grid"]["batch_size"]) * len(request["grid"]["weight_decay"])
    with serving(slots=slots) as service:
        service.warm_up()
        trained = service.train(request, runs=runs, pause=0.02)
        findings.add(f"slots_{slots}", trained.finished)


BENCHMARK: Final = Benchmark(
    name=NAME,
    about="A sweep of 8 stacks of 100 polynomial runs of 400 epochs, with 1 to 4 workers on the cores there are.",
    measure=measure,
    series={f"slots_{slots}": Series(f"{slots} workers: POST until all runs were final") for slots in SLOTS},
    ratios={
        f"speedup_{slots}": Ratio(f"1 worker ÷ {slots} workers", "slots_1", f"slots_{slots}") for slots in SLOTS[1:]
    },
)

if __name__ == "__main__":
    raise SystemExit(harness.main(BENCHMARK))
