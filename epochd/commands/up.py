"""`epochd up`: serve here."""

import logging
from pathlib import Path
from typing import Annotated

import typer

from epochd.commands.server_parts import server_parts


def up(
    host: Annotated[str, typer.Option(help="Address to serve at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to serve at; 0 takes any free one.", min=0, max=65535)] = 8000,
    data: Annotated[
        Path, typer.Option(help="Folder of everything the service keeps.", envvar="EPOCHD_DATA", file_okay=False)
    ] = Path("var"),
    slots: Annotated[int | None, typer.Option(help="How many jobs train at once; they share the cores.", min=1)] = None,
) -> None:
    """Serve the API with its worker slots and its janitor until Ctrl-C."""
    with server_parts("up"):
        from api.settings import ApiSettings
        from epochd import supervisor
        from epochd.starting import CannotStart, database_explained, make_data_folder, settings_explained
        from store.errors import StoreError
        from worker.logs import configure_logging
    options = supervisor.Options(host, port, data.resolve(), slots or supervisor.default_slots())
    try:
        with settings_explained():
            settings = ApiSettings(data=options.data)  # those of every process: the API's include the others'
            configure_logging("supervisor")
        logging.captureWarnings(capture=True)
        make_data_folder(options.data)
        with database_explained(settings):
            supervisor.serve(options)
    except (CannotStart, StoreError) as problem:
        typer.echo(str(problem), err=True)
        raise typer.Exit(1) from None
