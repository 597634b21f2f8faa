"""Where the data is: settings of the store, from EPOCHD_* environment variables."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy import URL


class StoreSettings(BaseSettings):
    """Settings of whoever reads or writes what is stored."""

    model_config = SettingsConfigDict(env_prefix="EPOCHD_", extra="ignore")

    data: Path = Field(Path("var"), description="The folder of everything the service keeps, and of the images.")
    database_url: str | None = Field(
        None, description="A `postgresql://` or `sqlite:///` database; None: epochd.db in the data folder."
    )
    start_seconds: float = Field(60.0, ge=0, description="How long a process that starts waits for its database.")

    @property
    def url(self) -> str:
        """The database as an SQLAlchemy URL; by default the file epochd.db in the data folder."""
        if self.database_url is not None:
            return self.database_url
        return URL.create("sqlite", database=str(self.file.absolute())).render_as_string()

    @property
    def file(self) -> Path:
        """The file of the embedded database."""
        return self.data / "epochd.db"
