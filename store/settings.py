"""Where the data is: settings of the store, from EPOCHD_* environment variables."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy import URL


class StoreSettings(BaseSettings):
    """EPOCHD_DATA is the folder of everything the service keeps; EPOCHD_DATABASE_URL moves the database elsewhere."""

    model_config = SettingsConfigDict(env_prefix="EPOCHD_", extra="ignore")

    data: Path = Path("var")
    database_url: str | None = None
    start_seconds: float = Field(60.0, ge=0, description="How long a process that starts waits for its database.")

    @property
    def url(self) -> str:
        """The database as an SQLAlchemy URL; by default the file epochd.db in the data folder."""
        if self.database_url is not None:
            return self.database_url
        return URL.create("sqlite", database=str(self.data.absolute() / "epochd.db")).render_as_string()
