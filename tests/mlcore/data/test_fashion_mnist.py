"""Fashion-MNIST as the rest of mlcore sees it: found, verified, parsed once."""

import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from mlcore.data import fashion_mnist, fashion_mnist_source
from mlcore.errors import DatasetDamaged, DatasetMissing

REPOSITORY = Path(__file__).parents[3]
SAMPLE = REPOSITORY / "tests" / "fashion_mnist_sample"


@pytest.fixture
def nothing_from_debian(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fashion_mnist_source, "DEBIAN_FOLDER", tmp_path / "no-such-folder")


@pytest.fixture
def copy_of_sample(tmp_path: Path) -> Path:
    return shutil.copytree(SAMPLE, tmp_path / "data")


def test_images_are_rows_of_pixels_as_bytes() -> None:
    data = fashion_mnist.load(SAMPLE)

    assert data.train_images.shape == (1000, 784)
    assert data.test_images.shape == (500, 784)
    assert data.train_images.dtype == data.test_images.dtype == torch.uint8
    assert (int(data.train_images.min()), int(data.train_images.max())) == (0, 255)


def test_labels_go_with_the_images_and_every_class_is_there() -> None:
    data = fashion_mnist.load(SAMPLE)

    assert data.train_labels.dtype == data.test_labels.dtype == torch.int64
    assert data.train_labels.bincount().tolist() == [100] * 10
    assert data.test_labels.bincount().tolist() == [50] * 10
    assert len(fashion_mnist.NAMES) == 10


def test_the_pixels_are_those_of_the_file() -> None:
    data = fashion_mnist.load(SAMPLE)
    file = (SAMPLE / "FashionMNIST/raw/train-images-idx3-ubyte").read_bytes()[16:]

    third = torch.tensor(list(file[2 * 784 : 3 * 784]), dtype=torch.uint8)

    assert torch.equal(data.train_images[2], third)


def test_a_process_parses_a_set_once_however_many_threads_ask() -> None:
    with ThreadPoolExecutor(4) as pool:
        sets = list(pool.map(lambda _: fashion_mnist.load(SAMPLE), range(4)))

    assert all(data is sets[0] for data in sets)


def test_names_cost_no_torch() -> None:
    code = (
        "import sys, mlcore.data.fashion_mnist as f; assert f.NAMES[9] == 'ankle boot' and 'torch' not in sys.modules"
    )

    subprocess.run([sys.executable, "-c", code], check=True, cwd=REPOSITORY)


@pytest.mark.usefixtures("nothing_from_debian")
def test_a_missing_set_says_how_to_get_it_and_names_no_path(tmp_path: Path) -> None:
    with pytest.raises(DatasetMissing, match="make data") as caught:
        fashion_mnist.load(tmp_path)

    assert str(tmp_path) not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("nothing_from_debian")
@pytest.mark.parametrize("name", fashion_mnist_source.FILES)
def test_a_set_without_one_of_its_files_is_missing(copy_of_sample: Path, name: str) -> None:
    (fashion_mnist_source.raw_folder(copy_of_sample) / name).unlink()

    with pytest.raises(DatasetMissing):
        fashion_mnist.load(copy_of_sample)


@pytest.mark.parametrize("name", fashion_mnist_source.FILES)
def test_one_changed_bit_is_damage_that_names_the_file(copy_of_sample: Path, name: str) -> None:
    file = fashion_mnist_source.raw_folder(copy_of_sample) / name
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)

    with pytest.raises(DatasetDamaged, match=name) as caught:
        fashion_mnist.load(copy_of_sample)

    assert str(copy_of_sample) not in str(caught.value)


def test_a_truncated_file_is_damage(copy_of_sample: Path) -> None:
    file = fashion_mnist_source.raw_folder(copy_of_sample) / "train-images-idx3-ubyte"
    file.write_bytes(file.read_bytes()[:1000])

    with pytest.raises(DatasetDamaged):
        fashion_mnist.load(copy_of_sample)


def test_without_sums_of_its_own_a_folder_must_hold_the_official_set(copy_of_sample: Path) -> None:
    (fashion_mnist_source.raw_folder(copy_of_sample) / "SHA256SUMS").unlink()

    with pytest.raises(DatasetDamaged, match="make data"):
        fashion_mnist.load(copy_of_sample)


def test_fetching_a_damaged_set_says_what_to_delete(copy_of_sample: Path) -> None:
    (fashion_mnist_source.raw_folder(copy_of_sample) / "t10k-labels-idx1-ubyte").write_bytes(b"")
    command = [sys.executable, "-m", "mlcore.data.fashion_mnist", "--root", str(copy_of_sample)]

    refused = subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY)

    assert refused.returncode == 1
    assert "t10k-labels-idx1-ubyte does not have its known content" in refused.stderr
    assert refused.stderr.endswith("Delete it from the data folder and run this again.\n")


def test_damage_is_not_remembered(copy_of_sample: Path) -> None:
    file = fashion_mnist_source.raw_folder(copy_of_sample) / "t10k-labels-idx1-ubyte"
    good = file.read_bytes()
    file.write_bytes(b"")
    with pytest.raises(DatasetDamaged):
        fashion_mnist.load(copy_of_sample)

    file.write_bytes(good)

    assert len(fashion_mnist.load(copy_of_sample).test_labels) == 500


@pytest.fixture
def full_set() -> Path:
    root = REPOSITORY / "var"
    if not fashion_mnist_source.is_complete(fashion_mnist_source.raw_folder(root)):
        pytest.skip("the full set is not here: `make data` fetches it")
    return root


def test_the_full_set_is_the_official_one(full_set: Path) -> None:
    data = fashion_mnist.load(full_set)

    assert data.train_images.shape == (60_000, 784)
    assert data.train_labels.bincount().tolist() == [6_000] * 10
    assert data.test_labels.bincount().tolist() == [1_000] * 10


def test_the_sample_is_cut_from_the_full_set(full_set: Path) -> None:
    sample, full = fashion_mnist.load(SAMPLE), fashion_mnist.load(full_set)

    for label in range(10):
        first = full.test_images[full.test_labels == label][:50]
        assert torch.equal(sample.test_images[sample.test_labels == label], first)
