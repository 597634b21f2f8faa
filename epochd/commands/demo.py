"""`epochd demo`: train the chapter's examples through a service of its own, over HTTP as any client would."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final
from uuid import uuid4

import typer
from rich.console import Console
from rich.table import Table

from epochd.client import Client
from epochd.commands.server_parts import server_parts
from epochd.own_service import data_folder, exit_status, make_console, relative, serving
from epochd.transport import Json
from epochd.watching import watch

SHOWN_WEIGHTS: Final = 4


@dataclass(frozen=True)
class Example:
    """One experiment of the demo."""

    slug: str
    title: str
    spec: dict[str, Any]

    def request(self, demo: str) -> Json:
        """What is posted; the tag tells this demo's experiments from others in the same data folder."""
        return {"name": self.title, "tags": {"demo": demo}, "spec": {**self.spec, "seed": 0, "data_seed": 0}}


EXAMPLES: Final = (
    Example("mlp", "4.2 MLP, 60,000 images", {"variant": "mlp", "epochs": 10}),
    Example("polynomial-3", "4.4 polynomial, degree 3", {"variant": "polynomial", "degree": 3, "epochs": 400}),
    Example("polynomial-1", "4.4 polynomial, degree 1", {"variant": "polynomial", "degree": 1, "epochs": 400}),
    Example("polynomial-19", "4.4 polynomial, degree 19", {"variant": "polynomial", "degree": 19, "epochs": 1500}),
    Example("linear-0", "4.5 linear, λ = 0", {"variant": "linear", "weight_decay": 0}),
    Example("linear-3", "4.5 linear, λ = 3", {"variant": "linear", "weight_decay": 3}),
)


def demo(
    data: Annotated[
        Path | None,
        typer.Option(
            help="Data folder of the service; by default a fresh one, demo/DATE-TIME in EPOCHD_DATA or var.",
            file_okay=False,
        ),
    ] = None,
) -> None:
    """Start a service, train the chapter's examples through it, show what came out, and stop it."""
    with server_parts("demo"):
        import mlcore.data.fashion_mnist  # noqa: F401  it and the service run as processes, which would fail later
    raise typer.Exit(exit_status(lambda: _demonstrate(data, make_console())))


def _demonstrate(data: Path | None, console: Console) -> bool:
    folder = data_folder(data, "demo")
    with serving(folder, console) as url, Client(url) as client:
        name = str(uuid4())
        experiments = [client.submit(example.request(name)) for example in EXAMPLES]
        finished = watch(client, f"demo:{name}", experiments, console)
        outcomes = [client.run(client.runs(experiment["id"])[0]["id"]) for experiment in finished]
        _show(client, outcomes, console)
        _save_pictures(client, outcomes, folder / "pictures", console)
    return all(run["status"] == "succeeded" for run in outcomes)


def _show(client: Client, runs: list[Json], console: Console) -> None:
    table = Table(title="After the last epoch (seed 0, data seed 0)", title_justify="left")
    table.add_column("experiment")
    for name in ("train loss", "test loss", "test accuracy", "‖w‖₂"):
        table.add_column(name, justify="right")
    table.add_column("learned weights", overflow="fold")
    for example, run in zip(EXAMPLES, runs, strict=True):
        table.add_row(example.title, *_figures(run), _weights(client, run))
    console.print(table)
    for example, run in zip(EXAMPLES, runs, strict=True):
        if run["error"]:
            console.print(f"{example.title} {run['status']}: {run['error']['detail']}", markup=False)


def _figures(run: Json) -> list[str]:
    last = {name: metric["last"] for name, metric in run["metrics"].items()}
    return [
        _number(last.get("train_loss")),
        _number(last.get("test_loss")),
        _number(last.get("test_accuracy"), ".4f"),
        _number(last.get("weight_l2_norm")),
    ]


def _weights(client: Client, run: Json) -> str:
    if run["status"] != "succeeded":
        return "–"
    if run["variant"] == "mlp":
        return "in its checkpoints"
    learned = client.weights(run["id"])
    shown = ", ".join(_number(weight, ".3g") for weight in learned["weights"][:SHOWN_WEIGHTS])
    more = len(learned["weights"]) - SHOWN_WEIGHTS
    bias = "" if learned["bias"] is None else f"; bias {_number(learned['bias'], '.3g')}"
    return shown + (f", and {more} more" if more > 0 else "") + bias


def _number(value: float | None, form: str = ".4g") -> str:
    return "–" if value is None else format(value, form)


def _save_pictures(client: Client, runs: list[Json], folder: Path, console: Console) -> None:
    folder.mkdir(exist_ok=True)
    for example, run in zip(EXAMPLES, runs, strict=True):
        file = folder / f"{example.slug}.png"
        file.write_bytes(client.experiment_picture(run["experiment_id"]))
        console.print(f"curves: {relative(file)}", highlight=False, soft_wrap=True)
