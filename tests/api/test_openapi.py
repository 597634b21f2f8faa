"""The OpenAPI document and its page."""

import math
import re
from typing import Any

import pytest
from fastapi.testclient import TestClient
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from api import examples
from store import history
from tests.api.service import Service

KINDS = ("STATUS_CHANGED", "CANCEL_REQUESTED", "CRASHED", "RESUMED_ELSEWHERE", "CHECKPOINT_DAMAGED", "SPLIT")


@pytest.fixture
def document(client: TestClient) -> dict[str, Any]:
    found: dict[str, Any] = client.get("/openapi.json").json()
    return found


def operations(document: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Each operation with its path."""
    return [(path, operation) for path, methods in document["paths"].items() for operation in methods.values()]


def test_the_document_is_valid_openapi_3_1(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")
    OpenAPIV31SpecValidator(document).validate()


def test_operation_ids_make_good_method_names(document: dict[str, Any]) -> None:
    names = [operation["operationId"] for _, operation in operations(document)]
    assert len(names) == len(set(names))
    assert all(re.fullmatch("[a-z]+(_[a-z]+)*", name) for name in names)
    assert {"create_experiment", "get_experiment_summary", "get_run_curves", "cancel_run", "predict"} <= set(names)


def test_every_operation_is_described_and_says_what_it_answers(document: dict[str, Any]) -> None:
    for path, operation in operations(document):
        assert operation["description"], path
        assert operation["tags"], path
        for status, answer in operation["responses"].items():
            if status.startswith(("4", "5")):
                reference = answer["content"]["application/problem+json"]["schema"]["$ref"]
                assert reference == "#/components/schemas/Problem"
                assert answer["content"]["application/problem+json"]["examples"]
            elif status not in ("204", "304"):
                assert all(media["schema"] for media in answer["content"].values()), path
    assert "HTTPValidationError" not in str(document)


def test_authorize_takes_a_key_and_every_operation_under_v1_says_that_it_may_be_asked_for(
    document: dict[str, Any],
) -> None:
    assert document["components"]["securitySchemes"]["key"]["scheme"] == "bearer"
    for path, operation in operations(document):
        is_asked_for = path.startswith("/v1/")
        assert ("security" in operation) == is_asked_for, path
        assert ({"401", "403"} <= operation["responses"].keys()) == is_asked_for, path


def test_every_field_of_a_request_is_described(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    for name in (
        "ExperimentRequest",
        "MlpSpec",
        "PolynomialSpec",
        "LinearSpec",
        "PredictionRequest",
        "ComparisonRequest",
        "Side",
    ):
        fields = schemas[name]["properties"]
        assert [field for field in fields if not fields[field].get("description")] in ([], ["variant"]), name


def test_every_field_is_described(document: dict[str, Any]) -> None:
    bare = [
        f"{name}.{field}"
        for name, schema in document["components"]["schemas"].items()
        for field, said in schema.get("properties", {}).items()
        if not {"description", "$ref", "const"} & said.keys()
    ]
    assert bare == []


def test_fields_of_the_same_name_that_mean_different_things_are_described_apart(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    for field, places in {
        "status": ("Problem", "Health", "Readiness"),
        "runs": ("ExperimentCurves", "MetricsEvent", "ExperimentLinks", "GroupCurves"),
        "summary": ("ExperimentLinks", "Example"),
        "seed": ("Dropout", "Run"),
        "items": ("PresetList", "VariantList", "WorkerList", "CheckpointList", "ExperimentPage"),
    }.items():
        assert len({schemas[place]["properties"][field]["description"] for place in places}) == len(places), field


def test_what_can_happen_is_listed(document: dict[str, Any]) -> None:
    kinds = {getattr(history, name) for name in KINDS}
    said = document["components"]["schemas"]["Happening"]["properties"]["kind"]["description"]
    assert set(re.findall("[a-z_]+", said)) - {"or"} == kinds


def test_every_parameter_is_described(document: dict[str, Any]) -> None:
    bare = [
        f"{path} {parameter['name']}"
        for path, operation in operations(document)
        for parameter in operation.get("parameters", [])
        if not parameter.get("description")
    ]
    assert bare == []


def test_headers_that_answers_bring_are_described(document: dict[str, Any], service: Service) -> None:
    experiment = service.submit()
    service.submit()
    path = "/v1/experiments/{experiment_id}"
    etag = service.client.get(experiment["links"]["self"]).headers["etag"]
    key = {"Authorization": "Bearer nonsense"}
    wait = {"Prefer": "wait=0"}
    asked: list[tuple[str, str, dict[str, Any]]] = [
        ("post", "/v1/experiments", {"json": {"spec": {"variant": "linear"}}, "headers": wait}),
        ("get", "/v1/experiments", {"params": {"page_size": 1}}),
        ("get", path, {}),
        ("get", path, {"headers": {"If-None-Match": etag}}),
        ("patch", path, {"json": {"note": "mine"}}),
        ("post", f"{path}:cancel", {}),
        ("get", "/v1/experiments", {"headers": key, "params": {"x": "epochd_" + "0" * 32 + "_" + "x" * 43}}),
    ]
    told = {"etag", "link", "location", "preference-applied", "retry-after", "www-authenticate"}
    for method, template, request in asked:
        answer = service.client.request(method, template.format(experiment_id=experiment["id"]), **request)
        described = document["paths"][template][method]["responses"][str(answer.status_code)].get("headers", {})
        assert told & set(answer.headers) <= {name.lower() for name in described}, (method, template)
        assert all(header["description"] for header in described.values())
        assert described, (method, template)


def test_there_are_examples_for_each_variant_and_they_fit_the_schema(document: dict[str, Any]) -> None:
    content = document["paths"]["/v1/experiments"]["post"]["requestBody"]["content"]["application/json"]
    shown = [example["value"] for example in content["examples"].values()]
    assert {example["spec"]["variant"] for example in shown} == set(examples.EXPERIMENTS)
    assert {example["spec"]["variant"] for example in shown if "grid" in example} == set(examples.EXPERIMENTS)
    validator = OAS31Validator({**content["schema"], "components": document["components"]})
    for example in shown:
        validator.validate(example)


def test_there_are_examples_of_comparisons_and_they_fit_the_schema(document: dict[str, Any]) -> None:
    content = document["paths"]["/v1/compare"]["post"]["requestBody"]["content"]["application/json"]
    validator = OAS31Validator({**content["schema"], "components": document["components"]})
    for example in content["examples"].values():
        validator.validate(example["value"])
    assert set(content["examples"]) == set(examples.COMPARISONS)


def test_the_examples_of_problems_fit_the_schema_and_are_of_their_status(document: dict[str, Any]) -> None:
    validator = OAS31Validator({"$ref": "#/components/schemas/Problem", "components": document["components"]})
    shown: set[str] = set()
    for _, operation in operations(document):
        for status, answer in operation["responses"].items():
            examples = answer.get("content", {}).get("application/problem+json", {}).get("examples", {})
            for slug, example in examples.items():
                validator.validate(example["value"])
                assert str(example["value"]["status"]) == status
                shown.add(slug)
    assert {"invalid", "not-found", "still-running", "idempotency-key-reused", "no-checkpoint"} <= shown


def test_answers_fit_the_schema(document: dict[str, Any], service: Service) -> None:
    experiment = service.submit({"variant": "polynomial", "epochs": 2, "n_valid": 5}, grid={"degree": [1, 2]}, seeds=2)
    service.train(lambda spec: {"test_loss": [1.0, math.nan], "valid_loss": [2.0, 1.0 + spec["seed"]]})
    for path, schema in [
        (experiment["links"]["self"], "Experiment"),
        ("/v1/experiments", "ExperimentPage"),
        ("/v1/runs", "RunPage"),
        (service.run_of(experiment)["links"]["self"], "Run"),
        (service.run_of(experiment)["links"]["curves"], "RunCurves"),
        (experiment["links"]["curves"], "ExperimentCurves"),
        (experiment["links"]["curves"] + "?aggregate=mean,std", "AggregatedCurves"),
        (experiment["links"]["summary"], "Summary"),
        ("/v1/concepts", "ConceptList"),
        ("/v1/concepts/activations/tanh", "Activation"),
        ("/v1/concepts/dropout", "Dropout"),
    ]:
        wanted = {"$ref": f"#/components/schemas/{schema}", "components": document["components"]}
        OAS31Validator(wanted).validate(service.client.get(path).json())
    side = {"experiment": experiment["id"]}
    body = {"a": {**side, "where": {"degree": 1}}, "b": {**side, "where": {"degree": 2}}, "at": "best"}
    wanted = {"$ref": "#/components/schemas/Comparison", "components": document["components"]}
    OAS31Validator(wanted).validate(service.client.post("/v1/compare", json=body).json())
    refused = service.client.post("/v1/experiments", json={"spec": {}}).json()
    wanted = {"$ref": "#/components/schemas/Problem", "components": document["components"]}
    OAS31Validator(wanted).validate(refused)


def test_the_page_needs_nothing_from_elsewhere(client: TestClient) -> None:
    page = client.get("/docs").text
    addresses = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert addresses
    for address in addresses:
        assert address.startswith("/")
        assert client.get(address).status_code == 200
    assert client.get("/redoc").status_code == 404
