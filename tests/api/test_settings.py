"""What can be set, and that it is written down."""

import re
from pathlib import Path

from api.settings import ApiSettings
from worker.logs import LogSettings

OPERATIONS = Path(__file__).parents[2] / "docs" / "operations.md"
OF_CLIENTS = {"EPOCHD_KEY", "EPOCHD_URL"}
OF_DOCKER_COMPOSE = {"EPOCHD_PUBLISH"}


def test_every_setting_is_explained_and_no_other() -> None:
    explained = set(re.findall(r"EPOCHD_[A-Z_]+", OPERATIONS.read_text()))
    assert explained - OF_CLIENTS - OF_DOCKER_COMPOSE == {
        f"EPOCHD_{name.upper()}" for settings in (ApiSettings, LogSettings) for name in settings.model_fields
    }
