"""`epochd watch`: follow an experiment while it trains."""

from typing import Annotated
from uuid import UUID

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from epochd.client import Client
from epochd.commands.asking import HERE, Key, Url, asking
from epochd.transport import Event, Json
from mlcore.words import counted


def watch(
    experiment_id: Annotated[UUID, typer.Argument(metavar="ID", help="Of the experiment.")],
    url: Url = HERE,
    key: Key = None,
) -> None:
    """Show how far an experiment is, and what happens to it, until it has ended."""
    console = Console()
    with asking(url, key) as client:
        status = _follow(client, experiment_id, console)
    raise typer.Exit(int(status != "succeeded"))


def _follow(client: Client, experiment_id: UUID, console: Console) -> str | None:
    """Show events until the last; return how the experiment ended, None when it was deleted."""
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("epochs")
    with Progress(*columns, TimeElapsedColumn(), console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task("connecting")
        ended: str | None = None
        for event in client.events(experiment_id):
            for line in _lines(event):
                progress.console.print(line, highlight=False, markup=False)
            if event.kind == "progress":
                done = event.data["progress"]
                progress.update(task, description=_counts(event), completed=done["epochs_done"], total=done["epochs"])
            if event.kind == "end":
                ended = event.data["status"]
    return ended


def _counts(event: Event) -> str:
    runs = {status: count for status, count in event.data["runs"].items() if count and status != "total"}
    return ", ".join(f"{count} {status}" for status, count in runs.items())


def _lines(event: Event) -> list[str]:
    """What to print of an event: how the experiment as a whole fares, and what went wrong."""
    if event.kind == "end":
        return ["deleted"] if event.data["status"] is None else []
    told = [change for change in event.data.get("changes", []) if _is_news(change)]
    return [f"{change['at'][11:19]} {_what(change)}" for change in told]


def _is_news(change: Json) -> bool:
    return change["of"] == "experiment" or change["kind"] != "status" or change["status"] in ("failed", "cancelled")


def _what(change: Json) -> str:
    many = counted(change["runs"], "run") if change["runs"] and change["of"] == "run" else change["of"]
    what = change["status"] or change["kind"].replace("_", " ")
    return f"{many} {what}" + (f": {change['reason']}" if change["reason"] else "")
