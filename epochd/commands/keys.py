"""`epochd keys`: who may use the service. They go to its database: the first key cannot come through HTTP."""

import csv
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final
from uuid import UUID

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from epochd.commands.roster import NewKey, RosterUnusable, Scope, read_roster
from epochd.commands.server_parts import server_parts

if TYPE_CHECKING:
    from store.engine import Database

PLAIN_WIDTH: Final = 150  # where there is no terminal

keys = typer.Typer(name="keys", help="Make, list and revoke the API keys of the service.", no_args_is_help=True)

Data = Annotated[Path, typer.Option(help="Data folder of the service.", envvar="EPOCHD_DATA", file_okay=False)]
HERE: Final = Path("var")


@keys.command()
def create(
    owner: Annotated[
        str | None,
        typer.Option(help="Whose is what is submitted with this key; each sees their own only.", show_default="local"),
    ] = None,
    scope: Annotated[
        Scope, typer.Option(help="read looks; write submits and cancels too; admin does so with everybody's.")
    ] = "write",
    label: Annotated[str, typer.Option(help="What it is for, to tell it from others in the list.")] = "",
    roster: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="CSV",
            help="Make a key for each line of a file (-: standard input) with a column owner, and if wanted scope and "
            "label; print them as CSV.",
        ),
    ] = None,
    data: Data = HERE,
) -> None:
    """Make a key and print it, this once; from then on the service asks every request for one."""
    wanted = _wanted(owner, scope, label, roster)
    made = _make(wanted, data)
    if roster is None:
        typer.echo("Keep this key, it is not shown again: as EPOCHD_KEY, or in Authorization: Bearer …", err=True)
        typer.echo(made[0])
        return
    table = csv.writer(sys.stdout, lineterminator="\n")
    table.writerow(("owner", "scope", "key"))
    table.writerows((new.owner, new.scope, key) for new, key in zip(wanted, made, strict=True))
    typer.echo(f"{len(made)} keys; keep them, they are not shown again.", err=True)


@keys.command("list")
def list_keys(data: Data = HERE) -> None:
    """List the keys there are: of each what is known, which is not the key itself."""
    with _database(data, may_be_new=False) as database, database.read() as session:
        from store import keys as stored

        rows = stored.all_of(session)
    if not rows:
        typer.echo("There are no keys: the service serves this machine alone, and asks for none.")
        return
    table = Table("id", "owner", "scope", "label", "made", "last used", "revoked", box=None)
    for row in rows:
        times = map(_time, (row.created_at, row.last_used_at, row.revoked_at))
        table.add_row(str(row.id), escape(row.owner), row.scopes[-1], escape(row.name), *times)
    Console(width=None if Console().is_terminal else PLAIN_WIDTH).print(table)


@keys.command()
def revoke(
    key_id: Annotated[UUID, typer.Argument(metavar="ID", help="As `epochd keys list` shows it.")], data: Data = HERE
) -> None:
    """Make a key good for nothing, for ever; a running service refuses it within two seconds."""
    with _database(data, may_be_new=False) as database, database.write() as session:
        from store import keys as stored

        stored.revoke(session, key_id)
        is_last = not stored.is_any_valid(session)
    typer.echo("Revoked.")
    if is_last:
        typer.echo("No key is left: the service refuses every request until you make another.", err=True)


def _wanted(owner: str | None, scope: Scope, label: str, roster: Path | None) -> list[NewKey]:
    if roster is not None and (owner is not None or label):
        raise typer.BadParameter("the file says whose the keys are, and what for", param_hint="--from")
    try:
        if roster is not None:
            return read_roster(roster, scope)
        return [NewKey("local" if owner is None else owner, scope, label)]
    except ValueError as problem:
        raise typer.BadParameter(str(problem), param_hint="--owner") from None
    except RosterUnusable as problem:
        raise typer.BadParameter(str(problem), param_hint="--from") from None


def _make(wanted: Sequence[NewKey], data: Path) -> list[str]:
    with _database(data, may_be_new=True) as database, database.write() as session:
        from store import keys as stored

        return [stored.create(session, owner=new.owner, scope=new.scope, label=new.label)[1] for new in wanted]


@contextmanager
def _database(data: Path, *, may_be_new: bool) -> "Iterator[Database]":
    """Yield the service's database; what goes wrong ends the command.

    Where it may be new it is made, and an old one in a data folder is migrated; otherwise it is taken as it is.
    """
    with server_parts("keys"):
        from epochd import starting
        from store.engine import Database, make_engine
        from store.errors import StoreError
        from store.settings import StoreSettings
        from store.startup import prepare, require_database
    try:
        with starting.settings_explained():
            settings = StoreSettings(data=data)
        if not may_be_new:
            starting.require_database_file(settings)
        elif settings.database_url is None:
            starting.make_data_folder(settings.data)
        with starting.database_explained(settings):
            (prepare if may_be_new else require_database)(settings)
            database = Database(make_engine(settings.url))
            try:
                yield database
            finally:
                database.dispose()
    except (starting.CannotStart, StoreError) as problem:
        typer.echo(str(problem), err=True)
        raise typer.Exit(1) from None


def _time(seconds: float | None) -> str:
    return "–" if seconds is None else datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M")
