"""What the tests of trainings share."""

from collections.abc import Iterator

import pytest
import torch

from tests.mlcore.devices import DEVICES


@pytest.fixture(autouse=True, scope="package")
def one_thread() -> Iterator[None]:
    """One thread, as a worker gives small networks: their products take longer with two, the more so on busy cores."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(params=DEVICES)
def device(request: pytest.FixtureRequest) -> str:
    """Every device there is, one after the other."""
    return str(request.param)
