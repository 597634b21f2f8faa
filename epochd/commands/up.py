"""`epochd up`: serve here."""

import logging
from pathlib import Path
from typing import Annotated

import typer

from epochd.commands.server_parts import server_parts


def up(
    host: Annotated[str, typer.Option(help="Address to serve at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to serve at; 0 takes any free one.", min=0, max=65535)] = 8000,
    data: Annotated[Path, typer.Option(help="Folder of everything the service keeps.", file_okay=False)] = Path("var"),
    slots: Annotated[int | None, typer.Option(help="How many jobs train at once; they share the cores.", min=1)] = None,
) -> None:
    """Serve the API with its worker slots and its janitor until Ctrl-C."""
    with server_parts("up"):
        from epochd import supervisor
        from epochd.listening import CannotServe
        from store.errors import StoreError
        from worker.logs import configure_logging
    configure_logging("supervisor")
    logging.captureWarnings(capture=True)
    options = supervisor.Options(host, port, data.resolve(), slots or supervisor.default_slots())
    try:
        supervisor.serve(options)
    except (CannotServe, StoreError) as problem:
        typer.echo(str(problem), err=True)
        raise typer.Exit(1) from None
