"""Bringing the tables to the version this code needs, and telling whether they are.

`python -m store.schema` migrates the database that the settings name.
"""

import argparse
import sys
from importlib.util import find_spec
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text

from store.errors import SchemaOutdated, StoreError
from store.settings import StoreSettings

DESCRIPTION = (
    "Give the database of the settings (EPOCHD_DATABASE_URL, or epochd.db in EPOCHD_DATA) the tables of this version."
)

# Any number that nothing else in the database locks by: "epochd" in ASCII.
_ADVISORY_LOCK = 0x65706F636864


def migrations_config(connection: Connection | None = None) -> Config:
    """Return Alembic's configuration for the migrations that are installed with this package."""
    found = find_spec("migrations")
    if found is None or found.origin is None:
        raise SchemaOutdated("The migrations are not installed.")
    config = Config()
    config.set_main_option("script_location", str(Path(found.origin).parent).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def upgrade(engine: Engine) -> None:
    """Migrate the database to the newest version, in one transaction; several processes may do so at once."""
    with engine.begin() as connection:  # on SQLite this waits for the other writers
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})
        command.upgrade(migrations_config(connection), "head")


def is_current(engine: Engine) -> bool:
    """Return whether the database has exactly the tables this code was written for."""
    return versions(engine) == set(ScriptDirectory.from_config(migrations_config()).get_heads())


def versions(engine: Engine) -> set[str]:
    """Return the migrations that the database's tables stand at; none where there are no tables."""
    with engine.execution_options(reads_only=True).connect() as connection:
        return set(MigrationContext.configure(connection).get_current_heads())


def check(engine: Engine) -> None:
    """Raise SchemaOutdated unless the database has exactly the tables this code was written for."""
    if not is_current(engine):
        raise SchemaOutdated(
            "The database's tables are not those of this version: migrate it with `python -m store.schema` before the "
            "service starts."
        )


def main() -> int:
    """Migrate the settings' database once it answers; 0 when it has the tables of this version, 1 otherwise."""
    from store.startup import migrate  # which stands on this module

    argparse.ArgumentParser(prog="python -m store.schema", description=DESCRIPTION).parse_args()
    try:
        migrate(StoreSettings())
    except StoreError as problem:
        sys.stderr.write(f"{problem}\n")
        return 1
    sys.stdout.write("The database has the tables of this version.\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
