"""What a run makes of examples of its own data: predictions, tiles of images, and the confusion matrix."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
from numpy.typing import NDArray

from api import tables
from api.axes import refused
from api.figures import PictureFormat
from api.schemas import common, predictions, results
from api.schemas.predictions import ConfusionQuery, PredictionQuery, Split
from api.trained import Trained
from mlcore.data.fashion_mnist import N_CLASSES, NAMES
from mlcore.spec import MlpSpec
from mlcore.words import counted

Classes = NDArray[np.int64]
FORMATS: Final = ("json", "png")
CONFUSION_FORMATS: Final = ("json", "csv", "png", "svg")
MOST_TILES: Final = 100


def write(trained: Trained, query: PredictionQuery, root: Path, form: str) -> bytes:
    """The predictions in this format; raises Problem 422 for a split that is not there, DatasetError.

    Raises Problem 409 for a picture of anything but images, and for errors of anything but a classifier.
    """
    from mlcore import checkpoint, prediction

    total, indices = _chosen(trained, query, root)
    if form == "png":
        indices = indices[:MOST_TILES]
    items = prediction.predict_split(
        trained.spec, checkpoint.weights_from_bytes(trained.data), query.split, indices, root
    )
    if form == "png":
        return _tiles(trained, query, root, items)
    item = results.ClassPrediction if isinstance(trained.spec, MlpSpec) else results.ValuePrediction
    return common.dump(
        predictions.StoredPredictions(
            **trained.head,
            split=query.split,
            total=total,
            offset=query.offset,
            items=[item(**values) for values in items],
        )
    )


def _chosen(trained: Trained, query: PredictionQuery, root: Path) -> tuple[int, list[int]]:
    """How many examples there are to show, and the indices of those that are asked for."""
    among = np.arange(_size(trained, query.split))
    if query.only == "errors":
        labels, predicted = _classes(trained, query.split, root)
        among = np.flatnonzero(labels != predicted)
    return len(among), among[query.offset : query.offset + query.limit].tolist()


def _size(trained: Trained, split: Split) -> int:
    """How many examples a split has; raises Problem 422 when it has none."""
    sizes = trained.spec.sizes._asdict()
    if not sizes[split]:
        there = ", ".join(name for name, size in sizes.items() if size)
        raise refused("split", f"this run has no {split} examples; it has {there}")
    return int(sizes[split])


def _classes(trained: Trained, split: Split, root: Path) -> tuple[Classes, Classes]:
    """The labels of a split, and what the run makes of it."""
    from mlcore import checkpoint, prediction

    return prediction.classes(trained.mlp, checkpoint.weights_from_bytes(trained.data), split, root)


def _tiles(trained: Trained, query: PredictionQuery, root: Path, items: Sequence[dict[str, Any]]) -> bytes:
    from api import image_figures
    from mlcore import prediction

    pixels = prediction.images(trained.mlp, query.split, [item["index"] for item in items], root)
    return image_figures.tiles(*trained.titles(_said(query, items)), pixels, items)


def _said(query: PredictionQuery, items: Sequence[dict[str, Any]]) -> str:
    if not items:
        return f"no {query.split} images to show here"
    if query.only == "errors":
        return f"{query.split} images that are taken for another class"
    wrong = sum(item["label"] != item["predicted"] for item in items)
    return f"{counted(len(items), f'{query.split} image')}, {wrong} of them wrong"


def write_confusion(trained: Trained, query: ConfusionQuery, root: Path, form: str) -> bytes:
    """The confusion matrix in this format; raises Problem 409 for other variants, as `write` for the rest."""
    _size(trained, query.split)
    labels, predicted = _classes(trained, query.split, root)
    counts = np.bincount(labels * N_CLASSES + predicted, minlength=N_CLASSES**2).reshape(N_CLASSES, N_CLASSES)
    accuracy = float(counts.trace() / counts.sum())
    if form == "csv":
        lines = [tables.row([name, *row]) for name, row in zip(NAMES, counts.tolist(), strict=True)]
        return tables.row(["label", *NAMES]) + b"".join(lines)
    if form == "json":
        return common.dump(
            predictions.ConfusionMatrix(
                **trained.head, split=query.split, accuracy=accuracy, names=list(NAMES), counts=counts.tolist()
            )
        )
    from api import image_figures

    said = f"{counted(counts.sum(), f'{query.split} image')}, accuracy {accuracy:.3f}"
    return image_figures.confusion_matrix(*trained.titles(said), counts, NAMES, cast("PictureFormat", form))
