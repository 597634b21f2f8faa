"""The client against a real service."""

import time

import pytest

from epochd import Client, EpochdError
from epochd.client import FINAL
from epochd.transport import Json

QUICK = {"variant": "polynomial", "epochs": 20}
LONG = {"variant": "polynomial", "n_train": 5000, "epochs": 100_000}


@pytest.fixture(scope="module")
def finished(service: str) -> Json:
    """One run that has succeeded, for all tests that only read."""
    with Client(service) as client:
        experiment = client.submit(QUICK, name="quick", tags={"suite": "client"})
        client.wait(experiment["id"], timeout=60)
        return client.runs(experiment["id"])[0]


@pytest.fixture(scope="module")
def sweep(service: str) -> Json:
    """An experiment of four runs that have succeeded, for all tests that only read."""
    with Client(service) as client:
        experiment = client.submit({**QUICK, "n_valid": 20}, grid={"degree": [1, 3]}, seeds=2)
        return client.wait(experiment["id"], timeout=60)


def test_a_spec_alone_is_a_request(client: Client) -> None:
    experiment = client.submit(QUICK)

    assert experiment["status"] == "queued"
    assert experiment["request"] == {"spec": QUICK}


def test_a_whole_request_is_posted_as_it_is(client: Client) -> None:
    request = {"name": "whole", "tags": {"a": "b"}, "spec": QUICK}

    assert client.submit(request, note="n")["request"] == {**request, "note": "n"}


def test_validating_submits_nothing(client: Client) -> None:
    before = [each["id"] for each in client.experiments()]

    plan = client.validate(QUICK, grid={"degree": [1, 3]}, seeds=2)

    assert (plan["runs"], plan["jobs"], plan["epochs"]) == (4, 1, 80)
    assert client.validate(client.submit(QUICK)["request"])["runs"] == 1
    with pytest.raises(EpochdError, match="/grid/slope"):
        client.validate(QUICK, grid={"slope": [1]})
    assert [each["id"] for each in client.experiments()][1:] == before


def test_waiting_tells_of_progress_and_ends_with_the_final_experiment(client: Client) -> None:
    news: list[Json] = []

    experiment = client.wait(client.submit(QUICK)["id"], news.append, timeout=60)

    assert experiment["status"] == "succeeded"
    assert news[-1] == experiment
    done = [each["progress"]["epochs_done"] for each in news]
    assert done == sorted(done)
    assert done[-1] == 20


def test_waiting_gives_up_after_its_timeout_and_a_cancelled_experiment_is_final(client: Client) -> None:
    experiment = client.submit(LONG)

    with pytest.raises(TimeoutError, match=experiment["id"]):
        client.wait(experiment["id"], timeout=0)
    began = time.monotonic()
    with pytest.raises(TimeoutError, match=r"after 0\.7 s"):
        client.wait(experiment["id"], timeout=0.7)
    assert time.monotonic() - began >= 0.7
    client.cancel(experiment["id"])

    assert client.wait(experiment["id"], timeout=30)["status"] == "cancelled"


def test_what_was_cancelled_can_be_retried(client: Client) -> None:
    experiment = client.submit(LONG)
    client.cancel(experiment["id"])
    client.wait(experiment["id"], timeout=30)

    assert client.retry(experiment["id"])["status"] == "queued"

    client.cancel(experiment["id"])
    assert client.wait(experiment["id"], timeout=30)["status"] == "cancelled"


def test_one_run_can_be_cancelled(client: Client) -> None:
    run = client.runs(client.submit(LONG)["id"])[0]

    client.cancel_run(run["id"])

    assert client.wait(run["experiment_id"], timeout=30)["runs"]["cancelled"] == 1


def test_a_run_has_its_spec_and_its_metrics(client: Client, finished: Json) -> None:
    run = client.run(finished["id"])

    assert run["spec"]["degree"] == 3
    assert run["metrics"]["train_loss"]["last"] > 0


def test_curves_are_numbers_and_pictures(client: Client, finished: Json) -> None:
    curves = client.curves(finished["id"])

    assert curves["epochs"] == list(range(1, 21))
    assert len(curves["series"]["test_loss"]) == 20
    assert client.picture(finished["id"]).startswith(b"\x89PNG")
    assert b"<svg" in client.picture(finished["id"], "svg")


def test_curves_can_be_narrowed(client: Client, finished: Json) -> None:
    curves = client.curves(finished["id"], metric=["train_loss", "test_loss"], after_epoch=15)

    assert curves["epochs"] == [16, 17, 18, 19, 20]
    assert set(curves["series"]) == {"train_loss", "test_loss"}


def test_an_experiment_has_the_curves_of_its_runs(client: Client, finished: Json) -> None:
    curves = client.experiment_curves(finished["experiment_id"])

    assert [each["run_id"] for each in curves["runs"]] == [finished["id"]]
    assert client.experiment_picture(finished["experiment_id"]).startswith(b"\x89PNG")


def test_the_runs_of_a_sweep_come_in_its_order_whatever_the_page(client: Client, sweep: Json) -> None:
    runs = client.runs(sweep["id"], page_size=3)

    assert [(run["spec"]["degree"], run["seed"]) for run in runs] == [(1, 0), (1, 1), (3, 0), (3, 1)]
    assert client.runs(sweep["id"]) == runs
    assert client.runs(sweep["id"], status="failed") == []


def test_the_curves_of_a_sweep_are_grouped_and_aggregated(client: Client, sweep: Json) -> None:
    curves = client.experiment_curves(sweep["id"], aggregate=["mean", "max"], metric="test_loss")

    assert [group["values"] for group in curves["groups"]] == [{"degree": 1}, {"degree": 3}]
    assert set(curves["groups"][0]["series"]["test_loss"]) == {"mean", "max"}
    by_seed = client.experiment_curves(sweep["id"], aggregate="mean", group_by=["degree", "seed"])
    assert len(by_seed["groups"]) == 4
    assert b"<svg" in client.experiment_picture(sweep["id"], "svg", group_by="degree", metric="test_loss")


def test_a_summary_says_which_configuration_to_train_on_all_data(client: Client, sweep: Json) -> None:
    summary = client.summary(sweep["id"])

    assert [each["values"] for each in summary["configurations"]] == [{"degree": 1}, {"degree": 3}]
    assert summary["configurations"][0]["metrics"]["test_loss"]["n"] == 2
    assert [each["number"] for each in client.summary(sweep["id"], offset=1)["configurations"]] == [1]
    assert client.submit(summary["winner"]["refit"])["runs"]["total"] >= 1
    assert client.summary_picture(sweep["id"], metric="valid_loss").startswith(b"\x89PNG")


def test_weights_checkpoints_and_predictions_of_a_run(client: Client, finished: Json) -> None:
    assert len(client.weights(finished["id"])["weights"]) == 4
    assert client.checkpoints(finished["id"])
    assert b"layers.0.weight" in client.checkpoint(finished["id"])
    assert len(client.predictions(finished["id"], [0.0, 0.5, 1.0])) == 3
    assert len(client.predictions(finished["id"], split="test", indices=[0, 7])) == 2


def test_a_preset_is_run_by_its_name_and_drawn(client: Client) -> None:
    preset = next(each for each in client.presets() if each["name"] == "polynomial-normal")

    experiment = client.run_preset("polynomial-normal", note="mine")
    assert client.wait(experiment["id"], timeout=60)["status"] == "succeeded"

    assert experiment["runs"]["total"] == preset["runs"] == 1
    assert experiment["note"] == "mine"
    assert client.summary_picture(experiment["id"], metric="test_loss").startswith(b"\x89PNG")
    with pytest.raises(EpochdError, match="polynomial-normal"):
        client.run_preset("polynomial")


def test_a_preset_takes_a_name_of_its_own(client: Client) -> None:
    experiment = client.run_preset("polynomial-normal", name="mine")

    assert experiment["name"] == "mine"


@pytest.mark.parametrize("name", ["x?y", "a#b", "a b", "%", "é…"])
def test_a_name_arrives_as_it_is_whatever_is_in_it(client: Client, name: str) -> None:
    with pytest.raises(EpochdError, match="404") as caught:
        client.run_preset(name)
    assert name in caught.value.detail
    with pytest.raises(EpochdError, match="There is no such variant"):
        client.variant(name)


def test_the_fit_of_a_polynomial(client: Client, finished: Json) -> None:
    fit = client.fit(finished["id"])

    assert len(fit["x"]) == len(fit["learned"]) == len(fit["true"])
    assert b"<svg" in client.fit_picture(finished["id"], "svg")
    with pytest.raises(EpochdError, match="mlp"):
        client.confusion_matrix(finished["id"])


def test_experiments_are_listed_across_pages(client: Client, finished: Json) -> None:
    ids = [each["id"] for each in client.experiments(page_size=1, tag="suite:client")]

    assert ids == [finished["experiment_id"]]
    assert len({each["id"] for each in client.experiments(page_size=1)}) > 1


def test_what_can_be_trained(client: Client) -> None:
    assert {each["variant"] for each in client.variants()} == {"mlp", "polynomial", "linear"}
    assert client.variant("mlp")["variant"] == "mlp"


def test_two_configurations_are_compared(client: Client, finished: Json) -> None:
    sweep = client.submit({"spec": QUICK, "grid": {"degree": [1, 3]}, "data_seeds": 3})
    client.wait(sweep["id"], timeout=60)

    found = client.compare({"experiment": sweep["id"], "where": {"degree": 1}}, finished["experiment_id"], "train_loss")

    assert (found["pairs"], found["metric"], found["at"]) == (1, "train_loss", "last")
    assert found["a"]["values"] == {"degree": 1}
    assert found["difference"]["mean"] == found["a"]["mean"] - found["b"]["mean"]


def test_a_side_without_experiment_is_refused_by_the_service(client: Client, finished: Json) -> None:
    with pytest.raises(EpochdError, match="/a/experiment") as caught:
        client.compare({"where": {}}, finished["experiment_id"])

    assert caught.value.status == 422


def test_concepts_in_numbers_and_pictures(client: Client) -> None:
    assert client.activation("tanh", start=0, stop=1, step=0.5)["x"] == [0.0, 0.5]
    assert client.activation_picture("relu").startswith(b"\x89PNG")
    assert client.dropout(rows=3, cols=5, p=1)["dropped"] == 15


def test_the_service_says_that_it_is_ready(client: Client) -> None:
    assert client.ready()


def test_cancelling_what_has_ended_is_an_error(client: Client, finished: Json) -> None:
    with pytest.raises(EpochdError) as caught:
        client.cancel(finished["experiment_id"])

    assert caught.value.status == 409


def test_final_is_what_the_service_calls_final() -> None:
    from store.status import FINAL as STORED

    assert {str(status) for status in STORED} == FINAL
