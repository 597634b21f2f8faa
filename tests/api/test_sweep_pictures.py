"""The pictures of a sweep's curves, and what of them is cached."""

import re
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from matplotlib.figure import Figure

from api.figures import Line, _panel
from store import experiments
from store.curves import Curve
from tests.api.pictures import assert_svg
from tests.api.service import Service
from tests.api.sweeps import EPOCHS, PNG, losses_of, sweep


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


@pytest.mark.parametrize("end", ["succeeded", "failed", "cancelled"])
@pytest.mark.parametrize("path", ["curves", "summary"])
def test_numbers_settle_when_no_retry_can_change_them_and_pictures_never(service: Service, end: str, path: str) -> None:
    experiment = service.submit({"variant": "polynomial", "epochs": EPOCHS}, seeds=2)
    service.train(losses_of, lambda spec: end if spec["seed"] else "succeeded")
    assert service.get(experiment["links"]["self"])["status"] == "succeeded"
    for form in ("json", "csv", "png", "svg"):
        answer = service.client.get(experiment["links"][path], params={"format": form})
        is_settled = end == "succeeded" and form in ("json", "csv")
        assert ("max-age" in answer.headers["cache-control"]) == is_settled, form


def test_a_picture_has_the_new_name_at_once(service: Service) -> None:
    experiment = sweep(service, name="before")
    for path in (experiment["links"]["curves"], experiment["links"]["summary"]):
        service.client.patch(experiment["links"]["self"], json={"name": "before"})
        first = service.client.get(path, params={"format": "svg"})
        service.client.patch(experiment["links"]["self"], json={"name": "after"})
        known = {"If-None-Match": first.headers["etag"]}
        again = service.client.get(path, params={"format": "svg"}, headers=known)
        assert again.status_code == 200
        assert again.content != first.content


@pytest.mark.parametrize("form", ["png", "svg"])
@pytest.mark.parametrize("params", [{}, {"group_by": "degree", "aggregate": "std"}, {"metric": "weight_l2_norm"}])
def test_pictures_are_the_same_for_the_same_curves(service: Service, form: str, params: dict[str, str]) -> None:
    experiment = sweep(service, name="A sweep with $ and\nlines")
    answers = [service.client.get(experiment["links"]["curves"], params={"format": form, **params}) for _ in range(2)]
    assert answers[0].content == answers[1].content
    assert answers[0].content.startswith(PNG if form == "png" else b"<?xml")


def said_in(service: Service, experiment: dict[str, Any], **params: str) -> str:
    """The texts of a picture: matplotlib writes each as a comment, too."""
    picture = service.client.get(experiment["links"]["curves"], params={"format": "svg", **params}).text
    return " ".join(" ".join(re.findall("<!-- (.*?) -->", picture, re.DOTALL)).split())


def test_entries_of_a_legend_are_told_apart_by_their_ends(service: Service) -> None:
    inits = [{"scheme": "linear_default"}, {"scheme": "normal"}]
    grid = {"init": inits, "coefficients": [[0.125] * 19 + [last] for last in (1.25, 1.75)]}
    said = said_in(service, sweep(service, grid=grid, seeds=1)).replace("/ ", "/")
    for scheme in ("linear_default", "normal"):
        for last in ("1.25", "1.75"):
            assert re.search(rf"initial weights {scheme}[ .\d]*, coefficients (0\.125/){{19}}{last}", said)


def test_lines_that_are_not_to_be_seen_say_so_in_the_legend(service: Service) -> None:
    experiment = service.submit({"variant": "polynomial", "epochs": EPOCHS}, grid={"learning_rate": [0.01, 0.02, 5, 6]})
    level = {0.01: 1.0, 0.02: 2.0, 5: 1e50, 6: np.nan}
    service.train(lambda spec: {"train_loss": np.full(EPOCHS, level[spec["learning_rate"]])})
    said = said_in(service, experiment)
    assert said.count("out of view") == said.count("nothing to draw") == 1
    assert "learning rate 5 (out of view)" in said
    assert "learning rate 6 (nothing to draw)" in said


@pytest.mark.parametrize("start", [0.0, 5.0])
def test_a_norm_that_leaves_the_others_leaves_them_legible(start: float) -> None:
    epochs = np.arange(1, 6)
    norms = [Curve(epochs, {"weight_l2_norm": np.linspace(start, end, 5)}) for end in (5.5, 6.0, 6.5, 550.0)]
    figure = Figure()
    axes = figure.subplots()
    _panel(axes, "weight_l2_norm", [Line("one", curve) for curve in norms])
    top = axes.transAxes.inverted().transform(axes.transData.transform((5, 6.0)))[1]
    assert top > 0.08 if start == 0 else axes.get_yscale() == "log"


def test_a_band_that_reaches_below_zero_leaves_the_means_legible() -> None:
    """As that of a group whose runs diverge: their spread exceeds their mean."""
    curves = [Curve(np.arange(1, 6), {"test_loss": np.linspace(1.0, end, 5)}) for end in (0.1, 1e12)]
    edges = [
        ({"test_loss": values - spread}, {"test_loss": values + spread})
        for values, spread in ((curve.series["test_loss"], 2 * curve.series["test_loss"].max()) for curve in curves)
    ]
    figure = Figure()
    axes = figure.subplots()
    _panel(axes, "loss", [Line("one", curve, band) for curve, band in zip(curves, edges, strict=True)])
    assert axes.get_yscale() == "log"
    assert 0.01 < axes.get_ylim()[0] <= 0.1


@pytest.mark.parametrize("form", ["png", "svg"])
def test_a_name_in_any_script_is_drawn_without_a_warning(service: Service, form: str) -> None:
    experiment = sweep(service, name="学習率 学习率 학습률 \U0001f600")
    for path in (experiment["links"]["curves"], experiment["links"]["summary"]):
        assert service.client.get(path, params={"format": form}).status_code == 200


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
