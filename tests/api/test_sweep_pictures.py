"""The pictures of a sweep's curves, and what of them is cached."""

from uuid import UUID

import pytest

from store import experiments
from tests.api.pictures import assert_svg
from tests.api.service import Service
from tests.api.sweeps import PNG, sweep


def test_curves_have_an_etag_that_changes_with_the_training(service: Service) -> None:
    experiment = service.submit({"variant": "linear", "epochs": 2}, seeds=2)
    claim = service.claim()
    service.store(claim, [1], test_loss=[1.0])
    path = experiment["links"]["curves"]
    tags = set()
    for params in ({}, {"format": "csv"}, {"format": "png"}, {"aggregate": "mean"}, {"metric": "test_loss"}):
        first = service.client.get(path, params=params)
        assert "no-cache" in first.headers["cache-control"]
        tags.add(first.headers["etag"])
        again = service.client.get(path, params=params, headers={"If-None-Match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
    assert len(tags) == 5
    service.store(claim, [2], test_loss=[0.5])
    assert service.client.get(path).headers["etag"] not in tags
    service.end(claim, {run.run_id: "succeeded" for run in claim.runs})
    assert "max-age" in service.client.get(path).headers["cache-control"]


@pytest.mark.parametrize("form", ["png", "svg"])
@pytest.mark.parametrize("params", [{}, {"group_by": "degree", "aggregate": "std"}, {"metric": "weight_l2_norm"}])
def test_pictures_are_the_same_for_the_same_curves(service: Service, form: str, params: dict[str, str]) -> None:
    experiment = sweep(service, name="A sweep with $ and\nlines")
    answers = [service.client.get(experiment["links"]["curves"], params={"format": form, **params}) for _ in range(2)]
    assert answers[0].content == answers[1].content
    assert answers[0].content.startswith(PNG if form == "png" else b"<?xml")


def test_a_picture_of_many_groups_says_that_they_are_too_many(service: Service) -> None:
    experiment = sweep(service, grid={"degree": list(range(20))}, seeds=1)
    answer = service.client.get(experiment["links"]["curves"], params={"format": "svg"})
    assert answer.content.startswith(b"<?xml")
    assert b"too many to tell apart" in answer.content
    few = service.client.get(experiment["links"]["curves"], params={"format": "svg", "group_by": "penalty"})
    assert b"too many" not in few.content


@pytest.mark.parametrize("shown", ["curves", "summary"])
def test_a_name_stored_before_such_names_were_refused_makes_no_broken_svg(service: Service, shown: str) -> None:
    experiment = sweep(service)
    with service.database.write() as session:
        experiments.annotate(session, UUID(experiment["id"]), name="a\a bell, \x1b[31mred\ufffe")
    answer = service.client.get(experiment["links"][shown], params={"format": "svg"})
    assert_svg(answer.content)
    assert "<!-- a bell, [31mred -->" in answer.text
