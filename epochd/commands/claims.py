"""`epochd claims`: what the chapter says, checked by training it, with a report."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from epochd.claim_words import VERDICTS, effect, share
from epochd.client import Client
from epochd.commands.asking import HERE, Key, Url, asking
from epochd.commands.server_parts import server_parts
from epochd.own_service import data_folder, exit_status, make_console, make_folder, relative, serving
from epochd.transport import Json


def claims(
    names: Annotated[list[str] | None, typer.Argument(help="Which claims; all of them by default.")] = None,
    url: Url = HERE,
    key: Key = None,
    data: Annotated[
        Path | None, typer.Option(help="Start a service of its own on this data folder instead.", file_okay=False)
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for claims.json and claims.html.", file_okay=False)] = Path(),
    *,
    retrain: Annotated[bool, typer.Option("--retrain", help="Reuse no results of earlier, equal runs.")] = False,
) -> None:
    """Check what the chapter says: train it over many replicates, judge the results, and write a report."""
    with server_parts("claims"):
        from epochd.claim_checks import check, chosen
        from epochd.claim_report import page
    console = make_console()

    def work() -> bool:
        wanted, began = chosen(names or []), time.monotonic()
        make_folder(out, "folder", "--out")  # before what takes long
        service = asking(url, key) if data is None else _own_service(data, key, console)
        with service as client:
            found, pictures = check(client, wanted, console, retrain=retrain)
        _show(found, console)
        _save(out, found, page(found, pictures))
        said = f"checked in {time.monotonic() - began:.0f} s; report: {relative(out / 'claims.html')}"
        console.print(said, highlight=False, soft_wrap=True)
        return all(one["replicates"] for one in found["claims"])

    raise typer.Exit(exit_status(work))


@contextmanager
def _own_service(data: Path, key: str | None, console: Console) -> Iterator[Client]:
    with serving(data_folder(data, "claims"), console) as address, Client(address, key) as client:
        yield client


def _save(folder: Path, found: Json, page: str) -> None:
    (folder / "claims.json").write_text(f"{json.dumps(found, indent=1, ensure_ascii=False)}\n", encoding="utf-8")
    (folder / "claims.html").write_text(page, encoding="utf-8")


def _show(found: Json, console: Console) -> None:
    table = Table("section", "claim", "measured", "mean (95 % interval)", "in replicates", "verdict", box=None)
    for one in found["claims"]:
        table.add_row(
            one["section"],
            escape(one["title"]),
            one["measure"],
            effect(one),
            share(one),
            VERDICTS[one["holds"]].upper(),
        )
    console.print(table)
    for experiment in found["experiments"]:
        for error in experiment["errors"]:
            console.print(f"{experiment['name']}: {error}", markup=False)
