"""What the commands that ask a service share: where it is, the key it wants, and what is said when it refuses."""

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Annotated, Final

import typer

from epochd.client import Client
from epochd.transport import EpochdError, NoAnswer, with_way_out

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
        typer.echo(_told(problem), err=True)
        raise typer.Exit(1) from None


def _told(problem: EpochdError) -> str:
    """Return what is wrong with the way out, where the command line knows one."""
    if isinstance(problem, NoAnswer):
        return with_way_out(problem, "Is it up (`epochd up`)? --url or EPOCHD_URL says where.")
    if problem.status == HTTPStatus.UNAUTHORIZED:
        return with_way_out(problem, "--key or EPOCHD_KEY gives the key.")
    return str(problem)
