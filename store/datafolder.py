"""One service per data folder."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from store.errors import DataFolderInUse

LOCK_FILE = "epochd.lock"


@contextmanager
def lock_data_folder(path: Path) -> Iterator[Path]:
    """Make the folder if need be and hold it for this process alone until the block ends.

    The lock is the operating system's (flock), so it ends with the process, however that ends, and programs started
    from it do not inherit it. Raises DataFolderInUse when another process holds it.
    """
    path.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        _lock(descriptor, path)
        yield path
    finally:
        os.close(descriptor)


def _lock(descriptor: int, path: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip() or "unknown"
        raise DataFolderInUse(
            f"The data folder {path} is in use by another epochd service (process {holder}). "
            "Stop that one first, or give this one a folder of its own."
        ) from None
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode("ascii"), 0)
