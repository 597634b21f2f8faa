"""Where the four files of Fashion-MNIST come from, and whether they are the right ones.

A folder that holds the four IDX files, plain or gzipped, may carry its own `SHA256SUMS` of the plain files, as the
small sample for tests does; otherwise the official sums hold. Nothing half-written is ever left: files are made in a
folder beside their goal, verified, and renamed into place under a lock between processes.
"""

import gzip
import hashlib
import http.client
import os
import shutil
import socket
import subprocess
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from filelock import FileLock

from mlcore.errors import DatasetDamaged, DatasetError, DatasetMissing

# sha256 of the decompressed content, because the gzip bytes differ from one distributor to the next.
OFFICIAL_SUMS: Final[Mapping[str, str]] = {
    "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
}
FILES: Final = tuple(OFFICIAL_SUMS)
SUMS_FILE: Final = "SHA256SUMS"
DEBIAN_PACKAGE: Final = "dataset-fashion-mnist"
DEBIAN_FOLDER: Final = Path("/usr/share/datasets/fashion-mnist")
SILENCE_LIMIT: Final = 30.0  # seconds a download may go without a byte
APT_LIMIT: Final = 600.0  # seconds for one call of apt-get

MISSING: Final = (
    "Fashion-MNIST is not on this machine. Run `make data` in epochd's folder, "
    "or put its four IDX files (plain or gzipped) into FashionMNIST/raw of the data folder."
)

Report = Callable[[str], None]


def raw_folder(root: Path) -> Path:
    """Return where torchvision.datasets.FashionMNIST looks for the plain files under `root`."""
    return root / "FashionMNIST" / "raw"


def is_complete(folder: Path) -> bool:
    """Whether all four plain files are there; says nothing of their content."""
    return all((folder / name).is_file() for name in FILES)


def verify(folder: Path) -> None:
    """Compare the content of the four plain files with their sums; raises DatasetDamaged."""
    sums = _sums_of(folder)
    for name in FILES:
        with (folder / name).open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != sums.get(name):
                raise DatasetDamaged(f"The Fashion-MNIST file {name} does not have its known content (sha256 differs).")


def find(root: Path) -> Path | None:
    """Return the folder of the plain files under `root`, made from what this machine has if need be, or None.

    Raises DatasetDamaged when files had to be decompressed and are not what they should be.
    """
    raw = raw_folder(root)
    if is_complete(raw) or not any(map(_has_files, _local_folders(root))):
        return raw if is_complete(raw) else None
    with _lock(root):
        return _find_locally(root)


def fetch(root: Path, report: Report) -> Path:
    """Bring the four files to `root`, from the network unless this machine has them, and return their folder.

    Tries torchvision's own download, then Debian's package without root. One process fetches, others wait for it.
    `report` is told in words what happens. Raises DatasetMissing when nothing worked.
    """
    root = root.resolve()  # the tools below run in a folder of their own
    if is_complete(raw_folder(root)):  # as in an image, where nobody may write
        return raw_folder(root)
    with _lock(root):
        found = _find_locally(root)
        if found is not None:
            return found
        for title, download in _DOWNLOADS.items():
            report(f"Fashion-MNIST: trying {title}")
            try:
                with _fresh_folder(root, ".download") as folder:
                    return _place(download(folder), root)
            except DatasetError as error:
                report(f"Fashion-MNIST: {title} failed: {error}")
    raise DatasetMissing(MISSING)


def fashion_mnist_class() -> Callable[..., Any]:
    """Import torchvision.datasets.FashionMNIST, also beside a CPU-only torch when torchvision is of another build."""
    import torch

    try:
        from torchvision.datasets import FashionMNIST
    except RuntimeError as error:
        if "torchvision::nms" not in str(error) or torch.version.cuda is not None:
            raise
        _register_operator_schemas()
        from torchvision.datasets import FashionMNIST
    constructor: Callable[..., Any] = FashionMNIST
    return constructor


def _register_operator_schemas() -> None:
    """Declare the two operators that torchvision names at import and whose binary does not load beside this torch."""
    from torch import library

    for name in ("nms", "qnms"):
        library.define(f"torchvision::{name}", "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")


def _local_folders(root: Path) -> tuple[Path, Path]:
    return raw_folder(root), DEBIAN_FOLDER


def _has_files(folder: Path) -> bool:
    return all((folder / name).is_file() or (folder / f"{name}.gz").is_file() for name in FILES)


def _find_locally(root: Path) -> Path | None:
    raw = raw_folder(root)
    if is_complete(raw):
        return raw
    folder = next(filter(_has_files, _local_folders(root)), None)
    return None if folder is None else _place(folder, root)


def _place(source: Path, root: Path) -> Path:
    """Put the files of `source`, decompressed and verified, into the raw folder; the caller holds the lock."""
    raw = raw_folder(root)
    with _fresh_folder(root, ".incoming") as folder:
        for name in FILES:
            _copy_plain(source, folder, name)
        if (source / SUMS_FILE).is_file():
            shutil.copyfile(source / SUMS_FILE, folder / SUMS_FILE)
        verify(folder)
        raw.mkdir(exist_ok=True)
        (raw / SUMS_FILE).unlink(missing_ok=True)  # sums of other files, if any
        for file in folder.iterdir():
            file.replace(raw / file.name)
    return raw


def _copy_plain(source: Path, target: Path, name: str) -> None:
    if (source / name).is_file():
        shutil.copyfile(source / name, target / name)
        return
    try:
        with gzip.open(source / f"{name}.gz") as packed, (target / name).open("wb") as plain:
            shutil.copyfileobj(packed, plain, 1 << 20)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DatasetDamaged(f"The Fashion-MNIST file {name}.gz cannot be decompressed.") from error


def _sums_of(folder: Path) -> Mapping[str, str]:
    own = folder / SUMS_FILE
    if not own.is_file():
        return OFFICIAL_SUMS
    lines = own.read_text(encoding="utf-8").splitlines()
    return {name.strip(): digest for digest, _, name in (line.partition("  ") for line in lines)}


@contextmanager
def _lock(root: Path) -> Iterator[None]:
    """Keep other processes from writing to the folder; says DatasetMissing when it cannot be written at all."""
    folder = root / "FashionMNIST"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / ".lock"):
            yield
    except OSError as error:
        raise DatasetMissing(f"Fashion-MNIST cannot be put into the data folder: {error.strerror or error}.") from error


@contextmanager
def _fresh_folder(root: Path, name: str) -> Iterator[Path]:
    """Make an empty folder on the goal's file system, where a rename is atomic; a killed process's leftovers go."""
    folder = root / "FashionMNIST" / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _from_torchvision(folder: Path) -> Path:
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(SILENCE_LIMIT)  # urllib inside torchvision would wait for ever
    try:
        fashion_mnist_class()(folder, download=True)
    except (RuntimeError, OSError, http.client.HTTPException) as error:
        raise DatasetMissing(" ".join(str(error).split()) or type(error).__name__) from error
    finally:
        socket.setdefaulttimeout(before)
    return raw_folder(folder)


def _from_debian_package(folder: Path) -> Path:
    for tool in ("apt-get", "dpkg-deb"):
        if shutil.which(tool) is None:
            raise DatasetMissing(f"this machine has no {tool}.")
    try:
        package = _download_package(folder)
        _run(["dpkg-deb", "-x", str(package), "unpacked"], folder)
    except subprocess.CalledProcessError as error:
        raise DatasetMissing(" ".join(error.stderr.splitlines()[-1:]) or str(error)) from error
    except subprocess.TimeoutExpired as error:
        raise DatasetMissing(f"apt-get did not end within {error.timeout:.0f} s.") from error
    files = folder / "unpacked" / DEBIAN_FOLDER.relative_to("/")
    if not _has_files(files):
        raise DatasetMissing(f"the package {DEBIAN_PACKAGE} no longer has the four files.")
    return files


def _download_package(folder: Path) -> Path:
    """Download with the machine's package lists or, where they are missing or old, with fresh ones of our own."""
    get = ["apt-get", "-q", "-o", "APT::Sandbox::User="]  # as whoever we are, not as _apt, who cannot write here
    try:
        _run([*get, "download", DEBIAN_PACKAGE], folder)
    except subprocess.CalledProcessError:
        for name in ("lists/partial", "cache/archives/partial"):
            (folder / name).mkdir(parents=True)
        get += ["-o", f"Dir::State::Lists={folder / 'lists'}", "-o", f"Dir::Cache={folder / 'cache'}"]
        _run([*get, "update"], folder)
        _run([*get, "download", DEBIAN_PACKAGE], folder)
    return next(folder.glob("*.deb"))


def _run(command: list[str], folder: Path) -> None:
    environment = {**os.environ, "LC_ALL": "C"}
    subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True, text=True, timeout=APT_LIMIT)  # noqa: S603 - fixed words


_DOWNLOADS: Final[Mapping[str, Callable[[Path], Path]]] = {
    "torchvision's download": _from_torchvision,
    "Debian's package dataset-fashion-mnist (31 MB)": _from_debian_package,
}
