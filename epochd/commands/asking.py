"""What the commands that ask a service share: where it is, the key it wants, and what is said when it refuses."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Final

import typer

from epochd.client import Client
from epochd.transport import EpochdError

Url = Annotated[str, typer.Option(help="Address of the service.", envvar="EPOCHD_URL")]
Key = Annotated[str | None, typer.Option(help="API key, where the service asks for one.", envvar="EPOCHD_KEY")]
HERE: Final = "http://127.0.0.1:8000"


@contextmanager
def asking(url: str, key: str | None) -> Iterator[Client]:
    """Yield a client of the service; a refusal, or no answer, ends the command with a sentence."""
    try:
        with Client(url, key) as client:
            yield client
    except EpochdError as problem:
        way_out = ". Is it up (`epochd up`)? --url or EPOCHD_URL says where." if problem.status is None else ""
        typer.echo(f"{problem}{way_out}", err=True)
        raise typer.Exit(1) from None
