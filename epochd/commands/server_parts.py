"""What the commands that go below HTTP need: `epochd[server]`, which the client alone does without."""

from collections.abc import Iterator
from contextlib import contextmanager

import typer


@contextmanager
def server_parts(command: str) -> Iterator[None]:
    """Import the server's parts in this block; where they are missing, say what to install, and exit."""
    try:
        yield
    except ModuleNotFoundError as missing:
        typer.echo(
            f"epochd {command} needs the server's parts ({missing.name} is missing): pip install '.[server]' in "
            "epochd's checkout",
            err=True,
        )
        raise typer.Exit(1) from None
