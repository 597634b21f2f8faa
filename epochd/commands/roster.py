"""A class list as CSV: whose keys `epochd keys create --from` makes."""

import csv
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, cast, get_args

Scope = Literal["read", "write", "admin"]
LONGEST_NAME: Final = 200


class RosterUnusable(Exception):
    """The file is no list of owners; str() says what is wrong with it, and where."""


@dataclass(frozen=True)
class NewKey:
    """A key to be made."""

    owner: str
    scope: Scope
    label: str = ""

    def __post_init__(self) -> None:
        """Raise ValueError when the owner is no name."""
        if not 1 <= len(self.owner) <= LONGEST_NAME or not self.owner.isprintable():
            raise ValueError(f"an owner has 1 to {LONGEST_NAME} printable characters")


def read_roster(path: Path, scope: Scope) -> list[NewKey]:
    """Read a CSV file whose first line names its columns: `owner`, and if wanted `scope` and `label`.

    Other columns are let be; where a line has no scope, `scope` it is. The path - is standard input. Raises
    RosterUnusable.
    """
    try:
        content = sys.stdin.buffer.read() if path == Path("-") else path.read_bytes()
        lines = content.decode("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as problem:
        raise RosterUnusable(f"{path} cannot be read as UTF-8 text: {problem}.") from None
    delimiter = ";" if lines and ";" in lines[0] else ","  # spreadsheets write either, by the country they are in
    rows = csv.DictReader(lines, delimiter=delimiter)
    if "owner" not in (rows.fieldnames or ()):
        found = ", ".join(rows.fieldnames or ()) or "none"
        raise RosterUnusable(f"{path} has no column owner in its first line; its columns: {found}.")
    keys = [_new_key(f"{path}, line {rows.line_num}", row, scope) for row in rows]
    _require_each_once(path, [key.owner for key in keys])
    return keys


def _new_key(where: str, row: dict[str, str | None], scope: Scope) -> NewKey:
    owner, wanted, label = ((row.get(column) or "").strip() for column in ("owner", "scope", "label"))
    if wanted and wanted not in get_args(Scope):
        raise RosterUnusable(f"{where}: there is no scope {wanted!r}, but {', '.join(get_args(Scope))}.")
    try:
        return NewKey(owner, cast("Scope", wanted or scope), label)
    except ValueError as problem:
        raise RosterUnusable(f"{where}: {problem}.") from None


def _require_each_once(path: Path, owners: Iterable[str]) -> None:
    seen: set[str] = set()
    for owner in owners:
        if owner in seen:
            raise RosterUnusable(f"{path}: {owner} is there twice.")
        seen.add(owner)
    if not seen:
        raise RosterUnusable(f"{path} lists nobody.")
