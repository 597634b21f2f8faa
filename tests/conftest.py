"""What all tests share."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def sample_root() -> Path:
    """The data folder with a small real sample of Fashion-MNIST: 1,000 training and 500 test images."""
    return Path(__file__).parent / "fashion_mnist_sample"
