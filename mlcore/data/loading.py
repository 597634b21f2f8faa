"""The data set of each variant, for one run or for a stack of runs."""

from collections.abc import Hashable, Sequence
from pathlib import Path

import numpy as np
import torch

from mlcore.data import fashion_mnist, synthetic
from mlcore.data.dataset import Dataset, Part, joined, numbers
from mlcore.data.folds import fold_rows
from mlcore.errors import DatasetTooSmall
from mlcore.randomness import stream
from mlcore.spec import LinearSpec, MlpSpec, PolynomialSpec, RunSpec
from mlcore.stack import datasets_of, source_of


def load(specs: Sequence[RunSpec], root: Path, *, fetch: bool = True) -> Dataset:
    """Load the data sets of a stack, in the order of `Layout.dataset`.

    Fashion-MNIST is looked for and, with `fetch`, if need be fetched, under `root`; raises DatasetError where that
    fails.
    """
    degree = max((spec.degree for spec in specs if isinstance(spec, PolynomialSpec)), default=0)
    sources: dict[Hashable, Dataset] = {}
    for spec in specs:
        if source_of(spec) not in sources:
            sources[source_of(spec)] = _source(spec, degree, root, fetch=fetch)
    return joined([_without_fold(spec, sources[source_of(spec)]) for spec in datasets_of(specs)])


def _without_fold(spec: RunSpec, source: Dataset) -> Dataset:
    """Hold the run's fold out of the training set, as its validation set."""
    if spec.folds is None or spec.fold is None:
        return source
    kept, held_out = fold_rows(spec.data_seed, spec.n_train, spec.folds, spec.fold)
    return Dataset(train=source.train.at(kept), valid=source.train.at(held_out), test=source.test)


def _source(spec: RunSpec, degree: int, root: Path, *, fetch: bool) -> Dataset:
    match spec:
        case PolynomialSpec():
            return synthetic.polynomial(spec, degree)
        case LinearSpec():
            return synthetic.linear(spec)
        case MlpSpec():
            return _images(spec, root, fetch=fetch)


def _images(spec: MlpSpec, root: Path, *, fetch: bool) -> Dataset:
    """Choose images by (data_seed, "split"): validation images are taken from the training images."""
    images = fashion_mnist.load(root, fetch=fetch)
    chosen = _choice(spec, 0, len(images.train_labels), spec.n_train + spec.n_valid)
    train, valid = np.sort(chosen[: spec.n_train]), np.sort(chosen[spec.n_train :])
    test = np.sort(_choice(spec, 1, len(images.test_labels), spec.n_test))

    def part(features: torch.Tensor, labels: torch.Tensor, rows: np.ndarray[tuple[int], np.dtype[np.int64]]) -> Part:
        if spec.precision != "float64":
            return Part(features, labels, torch.from_numpy(rows)[None])
        own = numbers(features[rows]).to(torch.float64)
        return Part(own, labels[rows], torch.arange(len(rows))[None])

    return Dataset(
        train=part(images.train_images, images.train_labels, train),
        test=part(images.test_images, images.test_labels, test),
        valid=part(images.train_images, images.train_labels, valid) if spec.n_valid else None,
    )


def _choice(spec: MlpSpec, part: int, available: int, wanted: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    if wanted > available:
        what = ("training", "test")[part]
        raise DatasetTooSmall(f"The spec asks for {wanted} {what} images; this data set has {available}.")
    return stream(spec.data_seed, "split", part).permutation(available)[:wanted]
