"""From the POST of one run to its first stored epoch, with a slot that has nothing else to do."""

import time
from typing import Any, Final
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from benchmarks import harness
from benchmarks.harness import Bar, Benchmark, Findings, Options, Series
from benchmarks.service import Service, serving
from store.engine import Database, make_engine
from store.tables import Experiment, Flush

Json = dict[str, Any]

NAME: Final = "latency"
SPEC: Final[Json] = {"variant": "polynomial", "reuse": False}
LOOK_SECONDS: Final = 0.002


def measure(options: Options, findings: Findings) -> None:
    with serving() as service:
        service.warm_up()
        database = Database(make_engine(f"sqlite:///{service.data / 'epochd.db'}"))
        for number in harness.rounds(options, NAME):
            experiment_id = _time_first_epoch(findings, service, number)
            service.wait(experiment_id, 0.02)
            with database.read() as session:
                _split(findings, session, experiment_id)
            service.rest()
        database.dispose()


def _time_first_epoch(findings: Findings, service: Service, seed: int) -> str:
    """Post a run and look at it until an epoch of it is stored, as a client sees it."""
    start = time.perf_counter()
    experiment = service.submit({"spec": {**SPEC, "seed": seed}})
    findings.add("answered", time.perf_counter() - start)
    path = f"/v1/experiments/{experiment['id']}"
    while service.get(path)["progress"]["epochs_done"] == 0:
        time.sleep(LOOK_SECONDS)
    findings.add("first_epoch", time.perf_counter() - start)
    return str(experiment["id"])


def _split(findings: Findings, session: Session, experiment_id: str) -> None:
    """Say where the time went, by the clock of the database, which counts milliseconds."""
    row = session.execute(
        select(Experiment.created_at, Experiment.started_at, func.min(Flush.created_at))
        .join(Flush, Flush.experiment_id == Experiment.id)
        .where(Experiment.id == UUID(experiment_id))
    ).one()
    created, claimed, stored = row
    assert claimed is not None
    assert stored is not None
    findings.add("to_claim", claimed - created)
    findings.add("to_stored", stored - claimed)


BENCHMARK: Final = Benchmark(
    name=NAME,
    about="From the POST of one polynomial run to its first stored epoch, with an idle slot.",
    measure=measure,
    series={
        "first_epoch": Series("POST until a GET shows the first stored epoch, looked for every 2 ms"),
        "answered": Series("of that, until the POST was answered"),
        "to_claim": Series("by the database's clock: from the experiment's row to the claim of its job"),
        "to_stored": Series("by the database's clock: from the claim to the first stored epoch"),
    },
    bars=[Bar("POST to first stored epoch, idle slot: median under 100 ms", "first_epoch", at_most=0.1)],
    repeats=30,
)

if __name__ == "__main__":
    raise SystemExit(harness.main(BENCHMARK))
