"""Where the files come from: the order of the places, whole or not at all, one process at a time."""

import gzip
import hashlib
import http.server
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from mlcore.data import fashion_mnist, fashion_mnist_source
from mlcore.data.fashion_mnist_source import FILES, SUMS_FILE, fashion_mnist_class, raw_folder
from mlcore.errors import DatasetDamaged, DatasetMissing

REPOSITORY = Path(__file__).parents[3]
SAMPLE = raw_folder(REPOSITORY / "tests" / "fashion_mnist_sample")


def gzipped_sample(folder: Path) -> Path:
    """The sample as Debian's package and the mirrors have the set: gzipped, here with its sums."""
    folder.mkdir(parents=True)
    for name in FILES:
        (folder / f"{name}.gz").write_bytes(gzip.compress((SAMPLE / name).read_bytes(), 1))
    shutil.copyfile(SAMPLE / SUMS_FILE, folder / SUMS_FILE)
    return folder


def listing(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


INSTALLED = {"FashionMNIST/.lock", f"FashionMNIST/raw/{SUMS_FILE}", *(f"FashionMNIST/raw/{name}" for name in FILES)}


@pytest.fixture
def debian(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "debian"
    monkeypatch.setattr(fashion_mnist_source, "DEBIAN_FOLDER", folder)
    return folder


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A web server on this machine in the place of torchvision's mirror, for the test to fill."""
    folder = tmp_path / "mirror"
    handler = partial(_Quiet, directory=str(folder))
    dataset = fashion_mnist_class()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        monkeypatch.setattr(dataset, "mirrors", [f"http://127.0.0.1:{server.server_port}/"])
        yield folder
        server.shutdown()
        thread.join()


@pytest.fixture
def dead_mirror(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    monkeypatch.setattr(fashion_mnist_class(), "mirrors", [f"http://127.0.0.1:{port}/"])


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


def trust_md5_of(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from torchvision.datasets.utils import calculate_md5

    sums = [(f"{name}.gz", calculate_md5(folder / f"{name}.gz")) for name in FILES]
    monkeypatch.setattr(fashion_mnist_class(), "resources", sums)


@pytest.fixture
def no_apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))


def test_files_in_the_data_folder_come_first(tmp_path: Path, debian: Path) -> None:
    gzipped_sample(debian)
    raw = shutil.copytree(SAMPLE, raw_folder(tmp_path / "data"))
    before = {path: path.stat().st_mtime_ns for path in raw.iterdir()}

    assert fashion_mnist.find(tmp_path / "data") == raw
    assert {path: path.stat().st_mtime_ns for path in raw.iterdir()} == before


@pytest.mark.usefixtures("debian")
def test_where_all_is_there_nothing_is_written(tmp_path: Path) -> None:
    shutil.copytree(SAMPLE, raw_folder(tmp_path))
    before = listing(tmp_path)
    assert fashion_mnist_source.fetch(tmp_path, print) == raw_folder(tmp_path)
    assert listing(tmp_path) == before


def test_gzipped_files_put_into_the_data_folder_are_unpacked(tmp_path: Path) -> None:
    root = tmp_path / "data"
    gzipped_sample(raw_folder(root))

    assert fashion_mnist.find(root) == raw_folder(root)
    assert len(fashion_mnist.load(root).train_labels) == 1000


def test_then_come_the_files_of_debians_package(tmp_path: Path, debian: Path) -> None:
    gzipped_sample(debian)
    root = tmp_path / "data"

    fashion_mnist.load(root)

    assert listing(root) == INSTALLED
    for name in FILES:
        assert (raw_folder(root) / name).read_bytes() == (SAMPLE / name).read_bytes()


def test_files_that_fail_their_sums_never_reach_the_data_folder(tmp_path: Path, debian: Path) -> None:
    gzipped_sample(debian)
    (debian / "t10k-labels-idx1-ubyte.gz").write_bytes(gzip.compress(b"something else"))

    with pytest.raises(DatasetDamaged, match="t10k-labels"):
        fashion_mnist.find(tmp_path / "data")

    assert listing(tmp_path / "data") == {"FashionMNIST/.lock"}


@pytest.mark.parametrize(
    "content", [b"no gzip at all", gzip.compress(b"x" * 10_000)[:20]], ids=["no gzip", "cut short"]
)
def test_a_broken_gzip_file_is_damage(tmp_path: Path, debian: Path, content: bytes) -> None:
    gzipped_sample(debian)
    (debian / "train-labels-idx1-ubyte.gz").write_bytes(content)

    with pytest.raises(DatasetDamaged, match="cannot be decompressed"):
        fashion_mnist.find(tmp_path / "data")


@pytest.mark.usefixtures("debian", "no_apt")
def test_then_comes_torchvisions_download(tmp_path: Path, mirror: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trust_md5_of(gzipped_sample(mirror), monkeypatch)
    sums = (line.split() for line in (SAMPLE / SUMS_FILE).read_text().splitlines())
    monkeypatch.setattr(fashion_mnist_source, "OFFICIAL_SUMS", {name: digest for digest, name in sums})
    root = tmp_path / "data"

    assert len(fashion_mnist.load(root, fetch=True).train_labels) == 1000
    assert listing(root) == INSTALLED - {f"FashionMNIST/raw/{SUMS_FILE}"}


@pytest.mark.usefixtures("debian", "no_apt")
def test_a_download_with_other_content_is_not_taken(
    tmp_path: Path, mirror: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trust_md5_of(gzipped_sample(mirror), monkeypatch)

    with pytest.raises(DatasetMissing):
        fashion_mnist.load(tmp_path / "data", fetch=True)

    assert listing(tmp_path / "data") == {"FashionMNIST/.lock"}


@pytest.mark.usefixtures("debian", "dead_mirror", "no_apt")
def test_where_nothing_works_every_reason_is_told_and_nothing_is_left(tmp_path: Path) -> None:
    lines: list[str] = []

    with pytest.raises(DatasetMissing, match="put its four IDX files"):
        fashion_mnist_source.fetch(tmp_path / "data", lines.append)

    assert any("torchvision's download failed" in line for line in lines)
    assert any("no apt-get" in line for line in lines)
    assert listing(tmp_path / "data") == {"FashionMNIST/.lock"}


@pytest.mark.usefixtures("dead_mirror")
@pytest.mark.skipif(shutil.which("apt-get") is None, reason="this machine has no apt-get")
def test_then_comes_debians_package_without_root(tmp_path: Path, debian: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A repository on disk stands for Debian's; its package lists are not there yet, as in a bare container."""
    configuration = package_repository(tmp_path / "repository", debian)
    monkeypatch.setenv("APT_CONFIG", str(configuration))
    root = tmp_path / "data"

    assert len(fashion_mnist.load(root, fetch=True).train_labels) == 1000
    assert listing(root) == INSTALLED


def package_repository(folder: Path, files_in: Path) -> Path:
    """Build a package dataset-fashion-mnist and a flat repository with it; returns the apt configuration to use."""
    control = f"Package: {fashion_mnist_source.DEBIAN_PACKAGE}\nVersion: 1\nArchitecture: all\n"
    tree = folder / "tree"
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "DEBIAN/control").write_text(f"{control}Maintainer: tests <tests@example.org>\nDescription: a sample\n")
    gzipped_sample(tree / files_in.relative_to("/"))
    subprocess.run(["dpkg-deb", "-b", "-Znone", tree, folder / "sample.deb"], check=True, capture_output=True)
    package = (folder / "sample.deb").read_bytes()
    (folder / "Packages").write_text(
        f"{control}Filename: ./sample.deb\nSize: {len(package)}\nSHA256: {hashlib.sha256(package).hexdigest()}\n"
    )
    (folder / "sources.list").write_text(f"deb [trusted=yes] file:{folder} ./\n")
    (folder / "state/lists/partial").mkdir(parents=True)
    configuration = folder / "apt.conf"
    configuration.write_text(
        f'Dir::Etc::SourceList "{folder}/sources.list";\nDir::Etc::SourceParts "{folder}/none";\n'
        f'Dir::State "{folder}/state";\nDir::State::Status "{folder}/status";\nDir::Cache "{folder}/cache";\n'
    )
    (folder / "status").touch()
    return configuration


def test_of_several_processes_one_installs_and_all_find_it_whole(tmp_path: Path) -> None:
    root = tmp_path / "data"
    gzipped_sample(raw_folder(root))
    command = [sys.executable, "-m", "mlcore.data.fashion_mnist", "--root", str(root)]

    processes = [subprocess.Popen(command, cwd=REPOSITORY) for _ in range(4)]

    assert [process.wait(60) for process in processes] == [0] * 4
    assert {name for name in listing(root) if not name.endswith(".gz")} == INSTALLED


@pytest.mark.usefixtures("debian")
def test_what_a_killed_process_left_behind_does_no_harm(tmp_path: Path) -> None:
    root = tmp_path / "data"
    gzipped_sample(raw_folder(root))
    leftover = root / "FashionMNIST" / ".incoming"
    leftover.mkdir()
    (leftover / FILES[0]).write_bytes(b"half")

    fashion_mnist_source.verify(fashion_mnist.find(root) or root)

    assert not leftover.exists()


def test_the_command_verifies_what_is_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(SAMPLE, raw_folder(tmp_path))

    assert fashion_mnist.main(["--root", str(tmp_path)]) == 0
    assert "verified" in capsys.readouterr().err


def test_the_command_fails_on_damage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(SAMPLE, raw_folder(tmp_path))
    (raw_folder(tmp_path) / FILES[2]).write_bytes(b"")

    assert fashion_mnist.main(["--root", str(tmp_path)]) == 1
    assert FILES[2] in capsys.readouterr().err


def test_a_data_folder_that_cannot_be_made_is_told_without_its_path(tmp_path: Path, debian: Path) -> None:
    gzipped_sample(debian)
    (tmp_path / "data").write_text("a file where a folder should be")

    with pytest.raises(DatasetMissing, match="cannot be put into the data folder") as caught:
        fashion_mnist.load(tmp_path / "data")

    assert str(tmp_path) not in str(caught.value)
