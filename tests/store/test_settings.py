from pathlib import Path

import pytest
from sqlalchemy import make_url

from store.settings import StoreSettings


def test_the_database_is_a_file_in_the_data_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("EPOCHD_DATABASE_URL", raising=False)
    monkeypatch.setenv("EPOCHD_DATA", str(tmp_path / "with space ? and #"))
    assert make_url(StoreSettings().url).database == str(tmp_path / "with space ? and #" / "epochd.db")


def test_a_relative_folder_is_taken_from_where_the_service_started(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("EPOCHD_DATABASE_URL", raising=False)
    monkeypatch.delenv("EPOCHD_DATA", raising=False)
    monkeypatch.chdir(tmp_path)
    assert make_url(StoreSettings().url).database == str(tmp_path / "var" / "epochd.db")


def test_another_database_is_named_by_its_url(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EPOCHD_DATABASE_URL", "postgresql://somebody@host/epochd")
    assert StoreSettings().url == "postgresql://somebody@host/epochd"
