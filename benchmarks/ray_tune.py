"""Eight polynomial trials: as trials of Ray Tune, each the book's loop, against one experiment of epochd.

Ray is started before and stopped after each measurement, outside of what is timed; a trial gets one core and reports
what the book's loop evaluates, so that there is a curve. Ray's usage statistics are off.
"""

import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory
from typing import Any, Final

from benchmarks import book, harness
from benchmarks.harness import Benchmark, Findings, Options, Ratio, Series
from benchmarks.service import serving

Json = dict[str, Any]

NAME: Final = "ray_tune"
DEGREES: Final = [1, 2, 3, 4, 6, 9, 14, 19]
SILENT: Final = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_DEDUP_LOGS": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # no files for TensorBoard: Ray does less
    "RAY_TRAIN_V2_ENABLED": "0",
}


def measure(options: Options, findings: Findings) -> None:
    epochs = options.pick(400, 20)
    os.environ.update(SILENT)
    for number in harness.rounds(options, NAME):
        harness.in_turn([lambda: _time_ray(findings, epochs), lambda: _time_epochd(findings, epochs)], number)


def _time_ray(findings: Findings, epochs: int) -> None:
    with _ray() as folder:
        _tune(_does_nothing, folder, epochs)  # the first trials start Ray's worker processes
        seconds = _tune(_does_nothing, folder, epochs)
        findings.add("ray_nothing", seconds / len(DEGREES))
        findings.add("ray", _tune(_trains, folder, epochs))


def _time_epochd(findings: Findings, epochs: int) -> None:
    spec = {"variant": "polynomial", "epochs": epochs, "evaluate_every": book.SHOWN_EVERY, "reuse": False}
    with serving() as service:
        service.warm_up()
        trained = service.train({"spec": spec, "grid": {"degree": DEGREES}}, runs=len(DEGREES))
        findings.add("epochd", trained.read)


@contextmanager
def _ray() -> Iterator[str]:
    """Run Ray on this machine alone; nothing of it is left."""
    import ray

    with TemporaryDirectory(prefix="ray-") as folder:
        ray.init(
            address="local",
            num_cpus=os.cpu_count(),
            include_dashboard=False,
            logging_level=logging.ERROR,
            log_to_driver=False,
            _temp_dir=folder,
            _node_ip_address="127.0.0.1",
        )
        try:
            yield folder
        finally:
            ray.shutdown()


def _tune(trainable: Callable[[Json], None], folder: str, epochs: int) -> float:
    """Run the trials and return the seconds they took; each must have ended well."""
    from ray import tune

    tuner = tune.Tuner(
        tune.with_resources(trainable, {"cpu": 1}),
        param_space={"degree": tune.grid_search(DEGREES), "epochs": epochs},
        tune_config=tune.TuneConfig(reuse_actors=True),  # a process trains trial after trial, where Ray can
        run_config=tune.RunConfig(storage_path=folder, verbose=0),
    )
    start = time.perf_counter()
    results = tuner.fit()
    seconds = time.perf_counter() - start
    assert len(results) == len(DEGREES), f"{len(results)} trials"
    assert results.num_errors == 0, f"{results.num_errors} trials failed"
    return seconds


def _does_nothing(config: Json) -> None:
    from ray import tune

    tune.report({"train_loss": float(config["degree"])})


def _trains(config: Json) -> None:
    from ray import tune

    def report(point: book.Point) -> None:
        epoch, train_loss, test_loss = point
        tune.report({"epoch": epoch, "train_loss": train_loss, "test_loss": test_loss})

    book.polynomial_run(config["degree"], config["epochs"], report=report)


BENCHMARK: Final = Benchmark(
    name=NAME,
    about="Eight polynomial trials of 400 epochs: Ray Tune with the book's loop against one experiment of epochd.",
    measure=measure,
    series={
        "ray": Series("Ray Tune, 8 trials of the book's loop: Tuner.fit()"),
        "ray_nothing": Series("Ray Tune, a trial that does nothing: Tuner.fit() of 8, per trial"),
        "epochd": Series("epochd, an experiment of 8 runs: POST until all curves have been read"),
    },
    ratios={"ray_to_epochd": Ratio("Ray Tune ÷ epochd", "ray", "epochd")},
    sources=[book.SOURCE, "Ray Tune: tune.Tuner, tune.report"],
)

if __name__ == "__main__":
    raise SystemExit(harness.main(BENCHMARK))
