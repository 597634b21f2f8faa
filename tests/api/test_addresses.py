"""Every address there is, by its name in the OpenAPI document: it answers as the document says, in every format."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import numpy as np
import pytest
from openapi_schema_validator import OAS31Validator

from api.settings import ApiSettings
from store.engine import Database, make_engine
from store.startup import prepare
from tests.api.service import Service, client_of, problem

FORMATS: Final = {"json": "application/json", "csv": "text/csv", "png": "image/png", "svg": "image/svg+xml"}
POLYNOMIAL: Final = {"variant": "polynomial", "degree": 1, "n_valid": 10}
MLP: Final = {"variant": "mlp", "hidden": [], "n_train": 100, "n_test": 50}
POLYNOMIAL_WEIGHTS: Final = {"layers.0.weight": np.array([[5.0, 1.2]])}
CONSTANT_WEIGHTS: Final = {"layers.0.weight": np.array([[5.0]])}
MLP_WEIGHTS: Final = {"layers.0.weight": np.eye(10, 784, dtype=np.float32), "layers.0.bias": np.zeros(10, np.float32)}


@dataclass(frozen=True)
class World:
    """A service in which a polynomial and a softmax regression have been trained; whatever is submitted now waits."""

    service: Service
    document: dict[str, Any]
    run: str
    other_run: str
    classifier: str

    @property
    def experiment(self) -> str:
        return self.experiment_of(self.run)

    def experiment_of(self, run: str) -> str:
        return str(self.service.get(f"/v1/runs/{run}")["experiment_id"])

    def ask(self, address: str, *, json: Any = None, **parts: str) -> Any:
        """Ask an address with these ids in it."""
        method, template = address.split(" ")
        return self.service.client.request(method, template.format(**parts), json=json)

    def waiting(self) -> str:
        return str(self.service.submit(POLYNOMIAL)["id"])

    def cancelled(self) -> str:
        experiment = self.waiting()
        self.service.client.post(f"/v1/experiments/{experiment}:cancel")
        return experiment

    def waiting_run(self) -> str:
        return str(self.service.run_of({"id": self.waiting()})["id"])

    def answers(self, address: str) -> dict[str, Any]:
        """What the document says an address may answer, by status."""
        method, path = address.split(" ")
        found: dict[str, Any] = self.document["paths"][path][method.lower()]["responses"]
        return found


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, sample_root: Path) -> Iterator[World]:
    database_url = f"sqlite:///{tmp_path_factory.mktemp('addresses')}/epochd.db"
    settings = ApiSettings(data=sample_root, database_url=database_url, broker_url="memory://", worker_seen_seconds=1e6)
    prepare(settings)
    database = Database(make_engine(settings.url))
    with client_of(settings) as client:
        service = Service(client, database)
        service.heartbeat()
        run = service.trained(POLYNOMIAL, POLYNOMIAL_WEIGHTS)
        classifier = service.trained(MLP, MLP_WEIGHTS)
        other_run = service.trained({**POLYNOMIAL, "degree": 0}, CONSTANT_WEIGHTS)
        yield World(service, client.get("/openapi.json").json(), str(run), str(other_run), str(classifier))
    database.dispose()


REQUESTS: Final[dict[str, Callable[[World, str], Any]]] = {
    "POST /v1/experiments": lambda w, a: w.ask(a, json={"spec": POLYNOMIAL}),
    "GET /v1/experiments": lambda w, a: w.ask(a),
    "GET /v1/experiments/{experiment_id}": lambda w, a: w.ask(a, experiment_id=w.experiment),
    "PATCH /v1/experiments/{experiment_id}": lambda w, a: w.ask(a, experiment_id=w.experiment, json={"name": "a line"}),
    "DELETE /v1/experiments/{experiment_id}": lambda w, a: w.ask(a, experiment_id=w.waiting()),
    "GET /v1/experiments/{experiment_id}/runs": lambda w, a: w.ask(a, experiment_id=w.experiment),
    "POST /v1/experiments/{experiment_id}:cancel": lambda w, a: w.ask(a, experiment_id=w.waiting()),
    "POST /v1/experiments/{experiment_id}:retry": lambda w, a: w.ask(a, experiment_id=w.cancelled()),
    "GET /v1/experiments/{experiment_id}/events": lambda w, a: w.ask(a, experiment_id=w.experiment),
    "GET /v1/experiments/{experiment_id}/curves": lambda w, a: w.ask(a, experiment_id=w.experiment),
    "GET /v1/experiments/{experiment_id}/summary": lambda w, a: w.ask(a, experiment_id=w.experiment),
    "GET /v1/presets": lambda w, a: w.ask(a),
    "GET /v1/presets/{preset}": lambda w, a: w.ask(a, preset="polynomial-normal"),
    "POST /v1/presets/{preset}:run": lambda w, a: w.ask(a, preset="polynomial-normal"),
    "GET /v1/runs": lambda w, a: w.ask(a),
    "GET /v1/runs/{run_id}": lambda w, a: w.ask(a, run_id=w.run),
    "POST /v1/runs/{run_id}:cancel": lambda w, a: w.ask(a, run_id=w.waiting_run()),
    "GET /v1/runs/{run_id}/curves": lambda w, a: w.ask(a, run_id=w.run),
    "GET /v1/runs/{run_id}/weights": lambda w, a: w.ask(a, run_id=w.run),
    "GET /v1/runs/{run_id}/checkpoints": lambda w, a: w.ask(a, run_id=w.run),
    "GET /v1/runs/{run_id}/checkpoints/{checkpoint}": lambda w, a: w.ask(a, run_id=w.run, checkpoint="best"),
    "POST /v1/runs/{run_id}/predictions": lambda w, a: w.ask(a, run_id=w.run, json={"inputs": [0.5]}),
    "GET /v1/runs/{run_id}/predictions": lambda w, a: w.ask(a, run_id=w.classifier),
    "GET /v1/runs/{run_id}/confusion-matrix": lambda w, a: w.ask(a, run_id=w.classifier),
    "GET /v1/runs/{run_id}/fit": lambda w, a: w.ask(a, run_id=w.run),
    "POST /v1/compare": lambda w, a: w.ask(
        a, json={"a": {"experiment": w.experiment}, "b": {"experiment": w.experiment_of(w.other_run)}}
    ),
    "GET /v1/variants": lambda w, a: w.ask(a),
    "GET /v1/variants/{variant}": lambda w, a: w.ask(a, variant="linear"),
    "GET /v1/concepts": lambda w, a: w.ask(a),
    "GET /v1/concepts/activations/{name}": lambda w, a: w.ask(a, name="sigmoid"),
    "GET /v1/concepts/dropout": lambda w, a: w.ask(a),
    "GET /v1/queue": lambda w, a: w.ask(a),
    "GET /v1/workers": lambda w, a: w.ask(a),
    "POST /v1/session": lambda w, a: w.ask(a),
    "DELETE /v1/session": lambda w, a: w.ask(a),
    "GET /healthz": lambda w, a: w.ask(a),
    "GET /readyz": lambda w, a: w.ask(a),
    "GET /metrics": lambda w, a: w.ask(a),
    "GET /version": lambda w, a: w.ask(a),
}
GETS: Final = [address for address in REQUESTS if address.startswith("GET ")]


def test_every_address_of_the_document_is_asked_here(world: World) -> None:
    paths = world.document["paths"]
    assert {f"{method.upper()} {path}" for path, methods in paths.items() for method in methods} == set(REQUESTS)


@pytest.mark.parametrize("address", REQUESTS)
def test_it_answers_as_the_document_says(world: World, address: str) -> None:
    answer = REQUESTS[address](world, address)
    assert answer.is_success, answer.text
    content = world.answers(address)[str(answer.status_code)].get("content", {})
    assert bool(content) == bool(answer.content)
    media = answer.headers.get("content-type", "").partition(";")[0]
    assert not content or media in {each.partition(";")[0] for each in content}
    assert bool(media) == bool(content)
    if media == "application/json":
        schema = {**content[media]["schema"], "components": world.document["components"]}
        OAS31Validator(schema).validate(answer.json())


@pytest.mark.parametrize("address", GETS)
def test_it_comes_in_each_format_by_parameter_and_by_accept(world: World, address: str) -> None:
    content = world.answers(address)["200"]["content"]
    if len(content) == 1:
        return
    path = REQUESTS[address](world, address).request.url.path
    for name, media in FORMATS.items():
        for params, headers in (({"format": name}, {}), ({}, {"Accept": media})):
            answer = world.service.client.get(path, params=params, headers=headers)
            if media in content:
                assert answer.headers["content-type"].partition(";")[0] == media, (params, headers)
            else:
                problem(answer, 406, "not-acceptable")


@pytest.mark.parametrize("address", GETS)
def test_what_it_answers_need_not_be_sent_twice(world: World, address: str) -> None:
    answer = REQUESTS[address](world, address)
    assert ("304" in world.answers(address)) == ("etag" in answer.headers)
    if "etag" in answer.headers:
        again = world.service.client.get(answer.request.url.path, headers={"If-None-Match": answer.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == answer.headers["etag"]


@pytest.mark.parametrize("address", [address for address in REQUESTS if "{" in address])
def test_what_is_not_there_is_a_404(world: World, address: str) -> None:
    unknown = str(UUID(int=7))
    ids = {"experiment_id": unknown, "run_id": unknown}
    names = dict.fromkeys(("preset", "variant", "name", "checkpoint"), "no-such-thing")
    body = {"PATCH": {"name": "x"}, "POST": {"inputs": [1.0]} if address.endswith("/predictions") else None}
    answer = world.ask(address, **ids, **names, json=body.get(address.split(" ")[0]))
    problem(answer, 404, "not-found")
