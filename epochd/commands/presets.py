"""`epochd presets` and `epochd run`: the chapter's figures, through a service that is up."""

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from epochd.commands.asking import HERE, Key, Url, asking
from mlcore.words import counted


def presets(url: Url = HERE, key: Key = None) -> None:
    """List the figures of the chapter and the questions they raise."""
    with asking(url, key) as client:
        items = client.presets()
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
    service = url.rstrip("/")
    with asking(url, key) as client:
        experiment = client.run_preset(preset)
        runs = counted(experiment["runs"]["total"], "run")
        typer.echo(f"{experiment['name']}: {runs}, {service}{experiment['links']['self']}")
        ended = client.wait(experiment["id"])
        figure = next(each["figure"] for each in client.presets() if each["name"] == preset)
    typer.echo(f"{ended['status']}: {service}{figure.format(experiment_id=ended['id'])}")
    raise typer.Exit(int(ended["status"] != "succeeded"))
