"""A thin HTTP client of the service: every method is one request, and answers are the documents of the API as dicts.

with Client("http://127.0.0.1:8000") as client:
    experiment = client.submit({"variant": "polynomial", "degree": 19, "epochs": 1500})
    client.wait(experiment["id"])
    run = client.runs(experiment["id"])[0]
    print(client.curves(run["id"])["series"]["test_loss"][-1])
"""

import math
import time
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, Literal
from urllib.parse import quote
from uuid import UUID

from epochd.transport import Event, Json, Query, Transport

Id = str | UUID
Picture = Literal["png", "svg"]
OnProgress = Callable[[Json], object]

FINAL: Final = frozenset({"succeeded", "failed", "cancelled"})
FIRST_PAUSE: Final = 0.05  # seconds between two looks at an experiment, when something has just changed
LONGEST_PAUSE: Final = 1.0
BACK_OFF: Final = 1.5
LARGEST_PAGE: Final = 200


class Client(Transport):
    """Speaks with one service; a context manager, or `close()` it. Every method raises EpochdError on a refusal.

    `base_url` is the service's address ("http://127.0.0.1:8000"), `key` an API key where it asks for one (by
    default the one in the environment variable EPOCHD_KEY).
    """

    # Experiments

    def submit(
        self,
        spec: Mapping[str, Any],
        *,
        wait: int | None = None,
        idempotency_key: str | UUID | None = None,
        **fields: object,
    ) -> Json:
        """Submit a run spec (`{"variant": …}`) or a whole request (`{"spec": …}`) and return the experiment.

        `fields` are further fields of the request: grid, seeds, data_seeds, folds, name, tags, note, priority, device,
        ephemeral. With `wait` it is returned when it has ended, or after so many seconds, 30 at most. It is made once,
        however often it has to be sent; an `idempotency_key` of your own says so beyond this call.
        """
        return self._submit("/v1/experiments", _request(spec, fields), wait=wait, key=idempotency_key)

    def validate(self, spec: Mapping[str, Any], **fields: object) -> Json:
        """Submit nothing, but raise what `submit` would; return how many runs, jobs and epochs it would train.

        The answer has the `specs` of the first 100 runs too, and `estimated_seconds`, an order of magnitude.
        """
        path = "/v1/experiments"
        return self._json("POST", path, params={"validate_only": "true"}, json=_request(spec, fields))

    def wait(self, experiment_id: Id, on_progress: OnProgress | None = None, timeout: float | None = None) -> Json:
        """Look at an experiment again and again until it is final, and return it then.

        `on_progress` is called with the experiment each time it has come further. Looks are frequent while it does
        and rarer while it does not, at most a second apart. Raises TimeoutError after `timeout` seconds.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        seen, pause = None, FIRST_PAUSE
        while True:
            experiment = self.experiment(experiment_id)
            state = (experiment["status"], experiment["progress"]["epochs_done"])
            pause = min(pause * BACK_OFF, LONGEST_PAUSE) if state == seen else FIRST_PAUSE
            if state != seen and on_progress is not None:
                on_progress(experiment)
            if experiment["status"] in FINAL:
                return experiment
            left = math.inf if deadline is None else deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"experiment {experiment_id} is still {experiment['status']} after {timeout:g} s")
            seen = state
            time.sleep(min(pause, left))

    def experiment(self, experiment_id: Id) -> Json:
        """Return an experiment: its request, status, counts of runs by status, progress."""
        return self._json("GET", f"/v1/experiments/{experiment_id}")

    def events(self, experiment_id: Id, last_id: str | None = None, **query: Query) -> Iterator[Event]:
        """Follow an experiment: yield what has happened to it, and what happens, until it has ended (`end`).

        `progress` says how it stands, `status` what changed, `metrics` has new epochs of up to 50 runs; `query`: run,
        metric. A connection that breaks is made again, and each event comes once; with `last_id`, those after.
        """
        return self._events(f"/v1/experiments/{experiment_id}/events", query, last_id)

    def update(self, experiment_id: Id, **changes: object) -> Json:
        """Change name, tags or note; None takes one away, and tags that are not named stay."""
        return self._json("PATCH", f"/v1/experiments/{experiment_id}", json=changes)

    def delete(self, experiment_id: Id) -> None:
        """Delete an experiment with all that it gave; what is queued of it is cancelled, what is running refused."""
        self._request("DELETE", f"/v1/experiments/{experiment_id}")

    def experiments(self, **query: Query) -> Iterator[Json]:
        """Yield the experiments, newest first, page by page; `query` narrows it (status, variant, tag, q, order_by)."""
        return self._pages("/v1/experiments", query)

    def runs(self, experiment_id: Id, **query: Query) -> list[Json]:
        """Return the runs of an experiment in the order of its axes, from all pages; `query` narrows them (status)."""
        return list(self._pages(f"/v1/experiments/{experiment_id}/runs", {"page_size": LARGEST_PAGE, **query}))

    def experiment_curves(self, experiment_id: Id, **query: Query) -> Json:
        """Return the curves of an experiment's runs, narrowed as those of `curves`, and as `group_by` says.

        With `aggregate` ("mean", "std", "min", "max", or several of them) there is an entry in `groups` for each group
        of runs that agree in the fields of `group_by` (by default the grid's) instead of one in `runs` for each run.
        """
        return self._json("GET", f"/v1/experiments/{experiment_id}/curves", params={**query, "format": "json"})

    def experiment_picture(self, experiment_id: Id, kind: Picture = "png", **query: Query) -> bytes:
        """Return a picture of the curves of an experiment's runs; `query` as of `experiment_curves`."""
        return self._bytes(f"/v1/experiments/{experiment_id}/curves", {**query, "format": kind})

    def summary(self, experiment_id: Id, **query: Query) -> Json:
        """Return an experiment by configuration: mean, std and 95 % interval of each metric over its replicates.

        With validation data `winner` is the configuration to choose. `query`: limit and offset of `configurations`.
        """
        return self._json("GET", f"/v1/experiments/{experiment_id}/summary", params={**query, "format": "json"})

    def summary_picture(self, experiment_id: Id, kind: Picture = "png", **query: Query) -> bytes:
        """Return a picture of the summary over one or two fields of the grid; `query`: metric, x, y."""
        return self._bytes(f"/v1/experiments/{experiment_id}/summary", {**query, "format": kind})

    def cancel(self, experiment_id: Id) -> Json:
        """Cancel an experiment: what is queued at once, what is running within two seconds."""
        return self._json("POST", f"/v1/experiments/{experiment_id}:cancel")

    def retry(self, experiment_id: Id) -> Json:
        """Train again what failed or was cancelled of an experiment, from the beginning; returns it as it is then."""
        return self._json("POST", f"/v1/experiments/{experiment_id}:retry")

    # Runs

    def run(self, run_id: Id) -> Json:
        """Return a run: its resolved spec, status, progress, metrics, error."""
        return self._json("GET", f"/v1/runs/{run_id}")

    def cancel_run(self, run_id: Id) -> Json:
        """Cancel one run; the others of its experiment go on."""
        return self._json("POST", f"/v1/runs/{run_id}:cancel")

    def curves(self, run_id: Id, **query: Query) -> Json:
        """Return a run's curves, also while it runs: `epochs` and, by metric, `series` (None where not measured).

        `query` narrows them: metric, after_epoch, max_points.
        """
        return self._json("GET", f"/v1/runs/{run_id}/curves", params={**query, "format": "json"})

    def picture(self, run_id: Id, kind: Picture = "png", **query: Query) -> bytes:
        """Return a picture of a run's curves; `query` as of `curves`."""
        return self._bytes(f"/v1/runs/{run_id}/curves", {**query, "format": kind})

    def fit(self, run_id: Id) -> Json:
        """Return a polynomial as it was learned and as it is in truth (`learned`, `true` over `x`), and its points."""
        return self._json("GET", f"/v1/runs/{run_id}/fit", params={"format": "json"})

    def fit_picture(self, run_id: Id, kind: Picture = "png") -> bytes:
        """Return a picture of a polynomial over its data."""
        return self._bytes(f"/v1/runs/{run_id}/fit", {"format": kind})

    def confusion_matrix(self, run_id: Id, **query: Query) -> Json:
        """Return which class an mlp takes for which: `counts`, a row per true class, `accuracy`; `query`: split."""
        return self._json("GET", f"/v1/runs/{run_id}/confusion-matrix", params={**query, "format": "json"})

    def confusion_picture(self, run_id: Id, kind: Picture = "png", **query: Query) -> bytes:
        """Return a picture of the confusion matrix."""
        return self._bytes(f"/v1/runs/{run_id}/confusion-matrix", {**query, "format": kind})

    def tiles(self, run_id: Id, **query: Query) -> bytes:
        """Return a PNG of an mlp's images with true and predicted names; `query`: split, only="errors", limit."""
        return self._bytes(f"/v1/runs/{run_id}/predictions", {**query, "format": "png"})

    def weights(self, run_id: Id) -> Json:
        """Return the learned weights of a polynomial or linear run, and the true ones beside them."""
        return self._json("GET", f"/v1/runs/{run_id}/weights")

    def checkpoints(self, run_id: Id) -> list[Json]:
        """List the checkpoints of a run."""
        items: list[Json] = self._json("GET", f"/v1/runs/{run_id}/checkpoints")["items"]
        return items

    def checkpoint(self, run_id: Id, which: str | int = "last") -> bytes:
        """Return a run's weights as safetensors bytes: those of its `last` or `best` epoch, or of one by number."""
        return self._bytes(f"/v1/runs/{run_id}/checkpoints/{_segment(which)}", {})

    def predictions(
        self,
        run_id: Id,
        inputs: Sequence[Any] | None = None,
        *,
        split: Literal["train", "valid", "test"] | None = None,
        indices: Sequence[int] | None = None,
        checkpoint: str | int = "last",
    ) -> list[Json]:
        """Return the run's outputs for `inputs`, or for `indices` of one of its splits.

        Inputs are numbers, vectors, or images: pixels, or the bytes of a PNG.
        """
        sent = None if inputs is None else [_input(each) for each in inputs]
        asked = {"inputs": sent, "split": split, "indices": indices}
        given = {name: value for name, value in asked.items() if value is not None}
        body = {"checkpoint": checkpoint, **given}
        items: list[Json] = self._json("POST", f"/v1/runs/{run_id}/predictions", json=body)["items"]
        return items

    def compare(
        self,
        a: Id | Mapping[str, Any],
        b: Id | Mapping[str, Any],
        metric: str = "test_loss",
        at: Literal["last", "best"] = "last",
    ) -> Json:
        """Compare two configurations by a metric: difference a − b with its interval, exact p, power and a verdict.

        A side is an experiment's id, or `{"experiment": id, "where": {"weight_decay": 0}}` for one of a sweep.
        """
        body = {"a": _side(a), "b": _side(b), "metric": metric, "at": at}
        return self._json("POST", "/v1/compare", json=body)

    # Concepts

    def activation(self, name: Literal["relu", "sigmoid", "tanh"], **query: float) -> Json:
        """Return an activation function and its derivative as `x`, `y` and `dy_dx`; `query` is start, stop, step."""
        return self._json("GET", f"/v1/concepts/activations/{_segment(name)}", params={**query, "format": "json"})

    def activation_picture(
        self, name: Literal["relu", "sigmoid", "tanh"], kind: Picture = "png", **query: float
    ) -> bytes:
        """Return a picture of an activation function and its derivative; `query` is start, stop, step."""
        path = f"/v1/concepts/activations/{_segment(name)}"
        return self._request("GET", path, params={**query, "format": kind}).content

    def dropout(self, **query: float) -> Json:
        """Return a tensor, its dropout mask and the product; `query` is rows, cols, p, seed."""
        return self._json("GET", "/v1/concepts/dropout", params=query)

    # The service

    def presets(self) -> list[Json]:
        """List the figures of the chapter and the questions they raise, each an experiment that `run_preset` runs."""
        items: list[Json] = self._json("GET", "/v1/presets")["items"]
        return items

    def run_preset(self, preset: str, /, **changes: object) -> Json:
        """Submit a preset and return the experiment; `changes` are name, tags, note, device, seeds, data_seeds."""
        return self._submit(f"/v1/presets/{_segment(preset)}:run", changes, wait=None, key=None)

    def variants(self) -> list[Json]:
        """List what can be trained, with the JSON Schema, defaults and examples of each."""
        items: list[Json] = self._json("GET", "/v1/variants")["items"]
        return items

    def variant(self, name: str) -> Json:
        """Return one variant: JSON Schema, defaults, examples."""
        return self._json("GET", f"/v1/variants/{_segment(name)}")

    def ready(self) -> Json:
        """Return how the service is; raises EpochdError with status 503 while something is missing."""
        return self._json("GET", "/readyz")


def _input(given: Any) -> Any:  # noqa: ANN401  a number, lists of them, or bytes
    """Return an input as JSON has it: the bytes of a file in base64."""
    return b64encode(given).decode() if isinstance(given, bytes) else given


def _segment(name: str | int) -> str:
    """Return a name as a path has it, whatever is in it."""
    return quote(str(name), safe="")


def _side(side: Id | Mapping[str, Any]) -> Json:
    asked = side if isinstance(side, Mapping) else {"experiment": side}
    return {name: str(value) if name == "experiment" else value for name, value in asked.items()}


def _request(spec: Mapping[str, Any], fields: Mapping[str, object]) -> Json:
    """Return the request that a run spec stands for, or that is one already, with further fields."""
    return {**(spec if "spec" in spec else {"spec": dict(spec)}), **fields}
