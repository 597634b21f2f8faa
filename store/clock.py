"""Time as the database tells it, so that leases do not depend on the clocks of the machines that hold them."""

from sqlalchemy import ColumnElement, Double, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Session
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement


class _DatabaseNow(FunctionElement[float]):
    name = "database_now"
    inherit_cache = True
    type = Double()


@compiles(_DatabaseNow, "sqlite")
def _sqlite(_element: _DatabaseNow, _compiler: SQLCompiler, **_options: object) -> str:
    # 2440587.5 is the Julian day of 1970-01-01; milliseconds survive in a double.
    return "((julianday('now') - 2440587.5) * 86400.0)"


@compiles(_DatabaseNow, "postgresql")
def _postgresql(_element: _DatabaseNow, _compiler: SQLCompiler, **_options: object) -> str:
    # Not now(): that is the start of the transaction, which may have waited long for a lock since.
    return "extract(epoch from clock_timestamp())::double precision"


def database_now() -> ColumnElement[float]:
    """Return an SQL expression: seconds since 1970-01-01 UTC by the database's clock, with milliseconds."""
    return _DatabaseNow()


_NOW = select(database_now())


def read_clock(session: Session) -> float:
    """Return the database's time now, in seconds since 1970-01-01 UTC."""
    return session.connection().execute(_NOW).scalar_one()
