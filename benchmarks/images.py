"""Fashion-MNIST for every side of a comparison: the same files, where each looks for them."""

import contextlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from mlcore.data import fashion_mnist_source as source

HOME: Final = Path("var").absolute()
"""The data folder that `make data` fills."""


def fetch() -> Path:
    """Return the data folder with the images in it; they are fetched the first time."""
    source.verify(source.fetch(HOME, _say))
    return HOME


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


@contextmanager
def where_the_book_looks() -> Iterator[None]:
    """Change, for a while, to a folder beside which `../data` holds the images: the book's functions look there."""
    with TemporaryDirectory(prefix="epochd-benchmark-") as folder:
        for name in ("data", "notebooks"):
            (Path(folder) / name).mkdir()
        (Path(folder) / "data" / "FashionMNIST").symlink_to(fetch() / "FashionMNIST")
        with contextlib.chdir(Path(folder) / "notebooks"):
            yield
