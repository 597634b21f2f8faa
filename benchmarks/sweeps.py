"""How a sweep's cost grows with its runs: from 1 to 100,000, from the POST to the last byte of all curves."""

from typing import Any, Final

from benchmarks import harness
from benchmarks.harness import Bar, Benchmark, Findings, Options, Series
from benchmarks.service import Service, serving

Json = dict[str, Any]

NAME: Final = "sweeps"
SIZES: Final = (1, 10, 100, 1_000, 10_000, 100_000)
LARGEST_ROUNDS: Final = 3  # of the largest sweep, which takes longer than all others together
EPOCHS: Final = 20
DEGREES: Final = 20
DECAYS: Final = 50
LARGEST_RATE: Final = 0.03


def measure(options: Options, findings: Findings) -> None:
    sizes = SIZES[: options.pick(len(SIZES), 3)]
    for number in harness.rounds(options, NAME):
        with serving() as service:
            service.warm_up()
            findings.add("api_idle", service.api_mib())
            for size in sizes if number < LARGEST_ROUNDS else sizes[:-1]:
                _time_sweep(findings, service, size)
                service.rest()
            findings.add("worker_peak", service.worker_peak_mib())
            findings.add("api_peak", service.api_peak_mib())


def _time_sweep(findings: Findings, service: Service, size: int) -> None:
    trained = service.train(request_of(size), runs=size, pause=0.005 if size < 1000 else 0.05)
    findings.add(f"submit_{size}", trained.answered)
    findings.add(f"train_{size}", trained.finished - trained.answered)
    findings.add(f"read_{size}", trained.read - trained.finished)
    findings.add(f"per_run_{size}", trained.read / size * 1e3)


def request_of(size: int) -> Json:
    """Return an experiment of so many runs: degrees first, then λ, then learning rates."""
    degrees = min(size, DEGREES)
    decays = min(size // degrees, DECAYS)
    rates = size // degrees // decays
    grid = {
        "degree": list(range(degrees)),
        "weight_decay": [round(0.01 * number, 2) for number in range(decays)],
        "learning_rate": [LARGEST_RATE * (number + 1) / rates for number in range(rates)],
    }
    return {"spec": {"variant": "polynomial", "epochs": EPOCHS, "reuse": False}, "grid": grid}


def _series() -> dict[str, Series]:
    series = {}
    for size in SIZES:
        series[f"submit_{size}"] = Series(f"{size:,} runs: until the POST was answered")
        series[f"train_{size}"] = Series(f"{size:,} runs: from there until all were final")
        series[f"read_{size}"] = Series(f"{size:,} runs: one GET of all curves")
        series[f"per_run_{size}"] = Series(f"{size:,} runs: all of it, per run", "ms")
    return series | {
        "worker_peak": Series("most memory of a worker process", "MiB"),
        "api_idle": Series("memory of the API before the sweeps", "MiB"),
        "api_peak": Series("most memory of the API, all curves of 100,000 runs in one answer included", "MiB"),
    }


BENCHMARK: Final = Benchmark(
    name=NAME,
    about=f"Polynomial sweeps of 1 to 100,000 runs of {EPOCHS} epochs: submit, train, read all curves.",
    measure=measure,
    series=_series(),
    bars=[Bar("A worker stays under 1 GiB (100,000 runs)", "worker_peak", at_most=1024, largest=True)],
)

if __name__ == "__main__":
    raise SystemExit(harness.main(BENCHMARK))
