"""The command line, `epochd`: each command is a module of its own, registered here in one line."""

import typer

from epochd.commands.claims import claims
from epochd.commands.demo import demo
from epochd.commands.keys import keys
from epochd.commands.presets import presets, run
from epochd.commands.up import up
from epochd.commands.watch import watch

app = typer.Typer(
    name="epochd", help="A REST training service with a job queue.", no_args_is_help=True, add_completion=False
)
app.command()(up)
app.command()(demo)
app.command()(claims)
app.command()(presets)
app.command()(run)
app.add_typer(keys)
app.command()(watch)


def main() -> None:
    """Run the command line; the console entry point."""
    app()
