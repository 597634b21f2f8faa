"""Fashion-MNIST (Xiao, Rasul and Vollgraf 2017; d2l 3.5): 60,000 training and 10,000 test images of 28×28 grey pixels.

Free of torch until the first `load`. `python -m mlcore.data.fashion_mnist --root DIR` fetches the set.
"""

import argparse
import sys
import threading
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mlcore.data import fashion_mnist_source as source
from mlcore.errors import DatasetDamaged, DatasetError, DatasetMissing

if TYPE_CHECKING:
    from torch import Tensor

NAMES: Final = (
    "t-shirt",
    "trouser",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "ankle boot",
)
SIDE: Final = 28
N_PIXELS: Final = SIDE * SIDE
N_CLASSES: Final = len(NAMES)
N_TRAIN: Final = 60_000
N_TEST: Final = 10_000

_parsing = threading.Lock()


@dataclass(frozen=True, eq=False)
class FashionMnist:
    """The set in memory, 55 MB: images [n, 784], pixels as bytes from 0 (black) to 255; labels int64 [n], 0 to 9."""

    train_images: "Tensor"
    train_labels: "Tensor"
    test_images: "Tensor"
    test_labels: "Tensor"


def load(root: Path, *, fetch: bool = False) -> FashionMnist:
    """Return the set found in the data folder `root`, verified and parsed once per process; nobody may write to it.

    What is not there comes from where Debian's package puts it and, with `fetch`, from the network.
    Raises DatasetMissing when it cannot be had, DatasetDamaged when its content is not what it should be.
    """
    with _parsing:  # two threads would otherwise parse it twice
        return _load(root.resolve(), fetch=fetch)


def find(root: Path) -> Path | None:
    """Return the folder of the four plain files under `root`, without the network; None when there is none."""
    return source.find(root)


@cache
def _parsed(root: Path) -> FashionMnist:
    try:
        source.verify(source.raw_folder(root))
    except DatasetDamaged as error:
        raise DatasetDamaged(f"{error} Delete it from the data folder and run `make data`.") from None
    train_images, train_labels = _split(root, train=True)
    test_images, test_labels = _split(root, train=False)
    return FashionMnist(train_images, train_labels, test_images, test_labels)


def _load(root: Path, *, fetch: bool) -> FashionMnist:
    found = source.fetch(root, _say) if fetch else source.find(root)
    if found is None:
        raise DatasetMissing(source.MISSING)
    return _parsed(root)


def _split(root: Path, *, train: bool) -> "tuple[Tensor, Tensor]":
    data = source.fashion_mnist_class()(root, train=train)
    return data.data.reshape(-1, N_PIXELS), data.targets


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


def main(arguments: list[str] | None = None) -> int:
    """Fetch the set into a data folder and verify it; 0 when it is there and right, 1 otherwise."""
    parser = argparse.ArgumentParser(prog="python -m mlcore.data.fashion_mnist", description=main.__doc__)
    parser.add_argument("--root", type=Path, required=True, metavar="DIR", help="the data folder")
    root = parser.parse_args(arguments).root
    try:
        folder = source.fetch(root, _say)
        source.verify(folder)
    except DatasetDamaged as error:
        _say(f"{error} Delete it from the data folder and run this again.")
        return 1
    except DatasetError as error:
        _say(f"{error}")
        return 1
    _say(f"Fashion-MNIST: verified in {folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
