"""`epochd presets` and `epochd run`: the chapter's figures, through a service that is up."""

from collections.abc import Callable
from typing import Annotated, ParamSpec, TypeVar

import typer
from rich.console import Console
from rich.table import Table

from epochd.client import Client
from epochd.transport import EpochdError

Url = Annotated[str, typer.Option(help="Address of the service.", envvar="EPOCHD_URL")]
Key = Annotated[str | None, typer.Option(help="API key, where the service asks for one.", envvar="EPOCHD_KEY")]
Asked = ParamSpec("Asked")
Answered = TypeVar("Answered")
HERE = "http://127.0.0.1:8000"


def presets(url: Url = HERE, key: Key = None) -> None:
    """List the figures of the chapter and the questions they raise."""
    with Client(url, key) as client:
        items = _or_exit(client.presets)
    table = Table("section", "preset", "what", "runs", "about", box=None)
    for each in items:
        about = f"{max(each['estimated_seconds'], 1):.0f} s"
        table.add_row(each["section"], each["name"], each["title"], f"{each['runs']:,}", about)
    Console(width=None if Console().is_terminal else 120).print(table)


def run(
    preset: Annotated[str, typer.Argument(help="Its name; `epochd presets` lists them.")],
    url: Url = HERE,
    key: Key = None,
) -> None:
    """Submit a preset, wait until it is trained, and say where its picture is."""
    with Client(url, key) as client:
        experiment = _or_exit(client.run_preset, preset)
        typer.echo(f"{experiment['name']}: {experiment['runs']['total']} runs, {url}{experiment['links']['self']}")
        ended = _or_exit(client.wait, experiment["id"])
        figure = next(each["figure"] for each in client.presets() if each["name"] == preset)
    typer.echo(f"{ended['status']}: {url}{figure.format(experiment_id=ended['id'])}")
    raise typer.Exit(int(ended["status"] != "succeeded"))


def _or_exit(ask: Callable[Asked, Answered], *arguments: Asked.args, **options: Asked.kwargs) -> Answered:
    try:
        return ask(*arguments, **options)
    except EpochdError as problem:
        typer.echo(str(problem), err=True)
        raise typer.Exit(1) from None
