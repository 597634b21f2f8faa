"""A real service, `epochd up` with its worker in a data folder of its own, and a client of it."""

from collections.abc import Iterator

import pytest

from epochd import Client
from tests.end_to_end.service import serving


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(tmp_path_factory.mktemp("service") / "data") as running:
        yield str(running.http.base_url)


@pytest.fixture
def client(service: str) -> Iterator[Client]:
    with Client(service) as client:
        yield client
