"""Services, data folders and stacks."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.end_to_end.service import OFTEN, Service, serving
from tests.stacks import STACKS, Stack, stack_of


@pytest.fixture
def data(tmp_path: Path, sample_root: Path) -> Path:
    """A data folder of the test's own, with the small real sample of Fashion-MNIST."""
    return make_data(tmp_path, sample_root)


@pytest.fixture(params=STACKS)
def stack(request: pytest.FixtureRequest) -> Iterator[Stack]:
    """A stack of the test's own, of either kind."""
    with stack_of(request, request.param) as stack:
        yield stack


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, sample_root: Path) -> Iterator[Service]:
    """An embedded service that the tests of a module share, so they leave it working."""
    with serving(make_data(tmp_path_factory.mktemp("service"), sample_root)) as service:
        yield service


@pytest.fixture(scope="module", params=STACKS)
def either(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, sample_root: Path
) -> Iterator[Service]:
    """A service on either stack that the tests of a module share, so they leave it working."""
    with (
        stack_of(request, request.param) as stack,
        serving(make_data(tmp_path_factory.mktemp("service"), sample_root), stack=stack, settings=OFTEN) as service,
    ):
        yield service


def make_data(folder: Path, sample_root: Path) -> Path:
    data = folder / "data"
    shutil.copytree(sample_root / "FashionMNIST", data / "FashionMNIST")
    return data
