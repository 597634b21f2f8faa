"""Polynomial regression: the book's loop against the service, from the POST until every curve has been read.

Like against like: the chapter evaluates every 20 epochs, epochd by default every epoch, so both sides do both.
"""

from functools import partial
from itertools import product
from typing import Any, Final

from benchmarks import book, harness, slot_like
from benchmarks.harness import Bar, Benchmark, Findings, Options, Ratio, Series
from benchmarks.service import Service, job_seconds, serving

Json = dict[str, Any]

NAME: Final = "polynomial"
DEGREES: Final = list(range(20))
DECAYS: Final = [0, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3, 1]
RATES: Final = [0.002, 0.005, 0.01, 0.02, 0.03]
RUNS: Final = 1000
EVERY: Final = {"each": (1, "evaluated every epoch"), "shown": (book.SHOWN_EVERY, "evaluated every 20 epochs")}
SWEEPS: Final = {
    "one_seed": ("1,000 runs (20 degrees × 10 λ × 5 learning rates, one seed)", 1000),
    "ten_seeds": ("1,000 runs (20 degrees × 5 λ × 10 seeds)", 400),
}


def measure(options: Options, findings: Findings) -> None:
    epochs = options.pick(400, 20)
    book.polynomial_run_drawn(3, epochs=20)  # imports, and fonts
    with slot_like.process() as bare:
        sides = [lambda: _time_book(findings, epochs), lambda: _time_epochd(findings, epochs, bare)]
        for number in harness.rounds(options, NAME):
            harness.in_turn(sides, number)


def _time_book(findings: Findings, epochs: int) -> None:
    for kind, (every, _) in EVERY.items():
        findings.time(f"book_{kind}", partial(book.polynomial_run, 3, epochs, shown_every=every))
    findings.time("book_drawn", lambda: book.polynomial_run_drawn(3, epochs))


def _time_epochd(findings: Findings, epochs: int, bare: slot_like.Process) -> None:
    with serving() as service:
        service.warm_up()
        for kind, (every, _) in EVERY.items():
            single = service.train({"spec": spec(epochs, every)}, runs=1)
            findings.add(f"single_{kind}", single.read)
            findings.add(f"single_{kind}_finished", single.finished)
            for sweep in SWEEPS:
                service.rest()
                _time_sweep(findings, service, f"{sweep}_{kind}", request_for(sweep, epochs, every))
        shown = {"spec": spec(epochs, book.SHOWN_EVERY)}
        service.draw(shown)  # imports, and fonts
        findings.time("single_drawn", lambda: service.draw(shown))
        threads = int(service.only_run(single.experiment["id"])["threads"])
        findings.add("worker_peak", service.worker_peak_mib())
    for kind, (every, _) in EVERY.items():
        for sweep in SWEEPS:
            specs = specs_of(request_for(sweep, epochs, every))
            seconds = bare.call(slot_like.bare_seconds, specs, threads)
            name = f"{sweep}_{kind}"
            findings.add(f"{name}_bare", seconds)
            storing = findings.values[f"{name}_job"][-1] - seconds
            findings.add(f"{name}_storing", 100 * storing / findings.values[name][-1])
            findings.add(f"{name}_storing_of_job", 100 * storing / findings.values[f"{name}_job"][-1])


def _time_sweep(findings: Findings, service: Service, name: str, request: Json) -> None:
    trained = service.train(request, runs=RUNS, pause=0.02)
    findings.add(name, trained.read)
    findings.add(f"{name}_answered", trained.answered)
    findings.add(f"{name}_finished", trained.finished)
    findings.add(f"{name}_reading", trained.read - trained.finished)
    findings.add(f"{name}_job", job_seconds(trained.experiment))
    findings.add(f"{name}_bytes", trained.answer_bytes / 1e6)


def spec(epochs: int, every: int, **fields: object) -> Json:
    """Return a spec of the chapter's polynomial regression, which no earlier result may answer."""
    return {"variant": "polynomial", "epochs": epochs, "evaluate_every": every, "reuse": False, **fields}


def request_for(sweep: str, epochs: int, every: int) -> Json:
    """Return one of the experiments of 1,000 runs."""
    if sweep == "one_seed":
        return {
            "spec": spec(epochs, every),
            "grid": {"degree": DEGREES, "weight_decay": DECAYS, "learning_rate": RATES},
        }
    return {"spec": spec(epochs, every), "grid": {"degree": DEGREES, "weight_decay": DECAYS[:5]}, "seeds": 10}


def specs_of(request: Json) -> list[Json]:
    """Expand a request into the specs of its runs."""
    axes = {**request["grid"], "seed": list(range(request.get("seeds", 1)))}
    return [{**request["spec"], **dict(zip(axes, point, strict=True))} for point in product(*axes.values())]


def _series() -> dict[str, Series]:
    series = {"book_drawn": Series("the book's loop, one run, evaluated every 20 epochs, with its animated figure")}
    series["single_drawn"] = Series("epochd, one run, evaluated every 20 epochs: POST until a PNG of its curves")
    for kind, (_, evaluated) in EVERY.items():
        series[f"book_{kind}"] = Series(f"the book's loop, one run, {evaluated}")
        series[f"single_{kind}"] = Series(f"epochd, one run, {evaluated}: POST until its curve has been read")
        series[f"single_{kind}_finished"] = Series(f"epochd, one run, {evaluated}: until it was final")
        for sweep, (title, _) in SWEEPS.items():
            name, what = f"{sweep}_{kind}", f"{title}, {evaluated}"
            series |= {
                name: Series(f"epochd, {what}: POST until all curves have been read"),
                f"{name}_answered": Series(f"epochd, {what}: until the POST was answered"),
                f"{name}_finished": Series(f"epochd, {what}: until all runs were final and every curve can be read"),
                f"{name}_reading": Series(f"epochd, {what}: one GET of all curves"),
                f"{name}_job": Series(f"epochd, {what}: from the claim to the end of the last run"),
                f"{name}_bare": Series(f"mlcore's Training alone, {what}, the same threads, nothing stored"),
                f"{name}_storing": Series(
                    f"{what}: what storing and summarising take (the job without its training) of POST until read", "%"
                ),
                f"{name}_storing_of_job": Series(f"{what}: what storing and summarising take of the job alone", "%"),
                f"{name}_bytes": Series(f"{what}: all curves as JSON", "MB"),
            }
    return series | {"worker_peak": Series("most memory of a worker process", "MiB")}


def _ratios() -> dict[str, Ratio]:
    ratios = {"book_to_single_drawn": Ratio("book ÷ epochd, one run, with its figure", "book_drawn", "single_drawn")}
    for kind, (_, evaluated) in EVERY.items():
        book_side = f"book_{kind}"
        ratios[f"book_to_single_{kind}"] = Ratio(f"book ÷ epochd, one run, {evaluated}", book_side, f"single_{kind}")
        for sweep, (title, _) in SWEEPS.items():
            name = f"{sweep}_{kind}"
            ratios[f"book_to_{name}"] = Ratio(f"book ÷ epochd, per run of {title}, {evaluated}", book_side, name, RUNS)
    return ratios


def _bars() -> list[Bar]:
    drawn = "One run of 400 epochs with its figure: at least 10 times as fast as the book's loop as printed"
    bars = [Bar(drawn, "book_to_single_drawn", at_least=10)]
    for kind, (_, evaluated) in EVERY.items():
        claim = f"One run of 400 epochs: at least 10 times as fast as the book's loop ({evaluated})"
        bars.append(Bar(claim, f"book_to_single_{kind}", at_least=10))
        for sweep, (title, times) in SWEEPS.items():
            claim = f"{title}: per run at least {times:,} times as fast as the book's loop ({evaluated})"
            bars.append(Bar(claim, f"book_to_{sweep}_{kind}", at_least=times))
            claim = f"{title}: storing and summarising take less than 30 % of the time until read ({evaluated})"
            bars.append(Bar(claim, f"{sweep}_{kind}_storing", at_most=30))
    return [*bars, Bar("A worker stays under 1 GiB (polynomial sweeps)", "worker_peak", at_most=1024, largest=True)]


BENCHMARK: Final = Benchmark(
    name=NAME,
    about="Polynomial regression, 400 epochs: the book's loop against epochd, from POST until all curves are read.",
    measure=measure,
    series=_series(),
    ratios=_ratios(),
    bars=_bars(),
    sources=[book.SOURCE],
)

if __name__ == "__main__":
    raise SystemExit(harness.main(BENCHMARK))
