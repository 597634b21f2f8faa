"""Runs the migrations on the connection that store.schema hands over, or (command line) on the settings' database."""

from alembic import context
from sqlalchemy import Connection

from store.engine import make_engine
from store.settings import StoreSettings
from store.tables import Experiment


def run(connection: Connection) -> None:
    """Run on an open connection; its transaction is its owner's."""
    context.configure(
        connection=connection,
        target_metadata=Experiment.metadata,  # that of all tables
        compare_type=True,
        render_as_batch=True,  # SQLite changes a column by copying its table
    )
    with context.begin_transaction():
        context.run_migrations()


def run_on_settings() -> None:
    """Run on the database that EPOCHD_DATABASE_URL or EPOCHD_DATA names."""
    engine = make_engine(StoreSettings().url)
    with engine.begin() as connection:
        run(connection)
    engine.dispose()


if (given := context.config.attributes.get("connection")) is not None:
    run(given)
else:
    run_on_settings()
