"""What keeps a program of the service from its work, as a sentence with the way out."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import ValidationError
from sqlalchemy.exc import DatabaseError, OperationalError

from epochd.folders import why_unusable
from store.engine import make_engine
from store.settings import StoreSettings


class CannotStart(Exception):
    """The program cannot do its work; str() is a sentence for whoever started it."""


@contextmanager
def settings_explained() -> Iterator[None]:
    """Raise CannotStart for what is wrong with the settings that are read in this block, a line for each."""
    try:
        yield
    except ValidationError as problem:
        lines = [f"EPOCHD_{str(each['loc'][0]).upper()}: {each['msg']}" for each in problem.errors()]
        raise CannotStart("\n".join(lines)) from None


@contextmanager
def database_explained(settings: StoreSettings) -> Iterator[None]:
    """Raise CannotStart where the settings' database turns out to be none in this block, or fails."""
    try:
        yield
    except OperationalError as problem:
        raise CannotStart(f"The database cannot be used: {problem.orig}") from None
    except DatabaseError as problem:
        raise CannotStart(
            f"The database {_name(settings)} cannot be used: {problem.orig}; restore a backup or choose another with "
            f"{_option(settings)}."
        ) from None


def make_data_folder(data: Path) -> None:
    """Make the folder if need be; raises CannotStart where it cannot be made, or not be written to."""
    problem = why_unusable(data, "data folder", "--data")
    if problem is not None:
        raise CannotStart(problem)


def require_database_file(settings: StoreSettings) -> None:
    """Raise CannotStart where the settings' database is a file, and there is none; StoreError for no database."""
    engine = make_engine(settings.url)
    if engine.dialect.name == "sqlite" and not Path(engine.url.database or "").is_file():
        raise CannotStart(f"There is no database {_name(settings)}; choose another with {_option(settings)}.")


def _name(settings: StoreSettings) -> str:
    url = make_engine(settings.url).url
    return url.database or "" if url.get_backend_name() == "sqlite" else url.render_as_string(hide_password=True)


def _option(settings: StoreSettings) -> str:
    return "--data" if settings.database_url is None else "EPOCHD_DATABASE_URL"
