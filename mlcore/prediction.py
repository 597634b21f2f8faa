"""What a trained run says about inputs: a client's own, or stored examples of its data set."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mlcore.data import loading, png
from mlcore.data.dataset import Part
from mlcore.data.fashion_mnist import NAMES, SIDE
from mlcore.data.synthetic import polynomial_features
from mlcore.errors import BadInputs
from mlcore.from_scratch.activations import ACTIVATIONS
from mlcore.initialization import PIXELS
from mlcore.network import Parameters
from mlcore.polynomial_fit import with_x
from mlcore.spec import LinearSpec, MlpSpec, PolynomialSpec, RunSpec
from mlcore.words import counted

LARGEST_PIXEL = 255
LARGEST_INPUT = 1e6
BOUND = f"at most {LARGEST_INPUT:,.0f} in size"
RANGE = "pixels go from 0 (black) to 1, or from 0 to 255"
EXAMPLES_AT_ONCE = 10_000  # 31 MB of pixels

Item = dict[str, Any]
Floats = NDArray[np.float64]
Classes = NDArray[np.int64]


def outputs(spec: RunSpec, weights: Parameters, X: Tensor) -> Tensor:
    """Run the network with dropout off: X [n, inputs] → [n, outputs]."""
    activation = ACTIVATIONS[spec.activation if isinstance(spec, MlpSpec) else "identity"]
    layers = len([name for name in weights if name.endswith("weight")])
    for number in range(layers):
        X = X @ weights[f"layers.{number}.weight"].T
        if f"layers.{number}.bias" in weights:
            X = X + weights[f"layers.{number}.bias"]
        if number < layers - 1:
            X = activation.apply(X)
    return X


def predict(spec: RunSpec, weights: Parameters, inputs: Sequence[Any]) -> list[Item]:
    """Predict for a client's inputs.

    An input is a number x for `polynomial`, a list of `n_inputs` numbers for `linear`, and for `mlp` an image of 28
    rows of 28 pixels or 784 pixels in a row, each from 0 (black) to 1 or, where any is above 1, to 255, or a PNG of
    28 × 28 pixels in base64. Raises BadInputs, whose pointer names the input.
    """
    match spec:
        case PolynomialSpec():
            x = _numbers(inputs, (), f"a number x, {BOUND}")
            y = _values(spec, weights, polynomial_features(x, spec.degree))
            return [{"x": float(one), "y": value} for one, value in zip(x, y, strict=True)]
        case LinearSpec():
            what = f"a list of {counted(spec.n_inputs, 'number')}, each {BOUND}"
            y = _values(spec, weights, _numbers(inputs, (spec.n_inputs,), what))
            return [{"y": value} for value in y]
        case MlpSpec():
            return _classified(spec, weights, torch.from_numpy(_pixels(inputs)))


def predict_split(
    spec: RunSpec, weights: Parameters, split: str, indices: Sequence[int], data_root: Path
) -> list[Item]:
    """Predict for stored examples: `split` is train, valid or test, and indices count within it.

    Raises BadInputs for a split or an index that is not there, DatasetError where the data set is not here to be used.
    """
    part = _part(with_x(spec) if isinstance(spec, PolynomialSpec) else spec, split, data_root)
    for position, index in enumerate(indices):
        if not 0 <= index < len(part):
            there = counted(len(part), f"{split} example")
            raise BadInputs(f"/indices/{position}", f"{index} is not an index of the {there}")
    X, labels = part.examples(_rows(part, indices))
    if isinstance(spec, MlpSpec):
        items = _classified(spec, weights, X, labels)
    else:
        inputs = X[:, : spec.degree + 1] if isinstance(spec, PolynomialSpec) else X
        y = outputs(spec, weights, inputs).flatten().tolist()
        items = [{"y": value, "target": target} for value, target in zip(y, labels.tolist(), strict=True)]
        if isinstance(spec, PolynomialSpec):
            items = [{"x": x, **item} for x, item in zip(X[:, 1].tolist(), items, strict=True)]
    return [{"index": index, **item} for index, item in zip(indices, items, strict=True)]


def classes(spec: MlpSpec, weights: Parameters, split: str, data_root: Path) -> tuple[Classes, Classes]:
    """Return the labels [n] of a whole split and what the network predicts [n]; raises as `predict_split`."""
    part = _part(spec, split, data_root)
    predicted = []
    for rows in torch.split(part.rows[0], EXAMPLES_AT_ONCE):
        X, _ = part.examples(rows)
        predicted.append(outputs(spec, weights, X).argmax(1))
    return part.labels[part.rows[0]].numpy(), torch.cat(predicted).numpy()


def images(spec: MlpSpec, split: str, indices: Sequence[int], data_root: Path) -> Floats:
    """Return examples of a split as pictures [n, 28, 28], 0 (black) to 1; raises as `predict_split`."""
    part = _part(spec, split, data_root)
    X, _ = part.examples(_rows(part, indices))
    pixels: Floats = X.reshape(-1, SIDE, SIDE).numpy()
    return pixels


def _part(spec: RunSpec, split: str, data_root: Path) -> Part:
    parts = loading.load([spec], data_root, fetch=False).parts()  # whoever asks waits: no time for a download
    if split not in parts:
        raise BadInputs("/split", f"this run has no {split} examples; it has {', '.join(parts)}")
    return parts[split]


def _rows(part: Part, indices: Sequence[int]) -> Tensor:
    return part.rows[0][torch.tensor(indices, dtype=torch.int64)]


def _classified(spec: MlpSpec, weights: Parameters, X: Tensor, labels: Tensor | None = None) -> list[Item]:
    probabilities = outputs(spec, weights, X.to(weights["layers.0.weight"].dtype)).softmax(1)
    items = []
    for number, row in enumerate(probabilities.tolist()):
        predicted = int(np.argmax(row))
        label = None if labels is None else int(labels[number])
        items.append(
            {
                "label": label,
                "label_name": None if label is None else NAMES[label],
                "predicted": predicted,
                "predicted_name": NAMES[predicted],
                "probabilities": row,
            }
        )
    return items


def _values(spec: RunSpec, weights: Parameters, X: Floats) -> list[float]:
    values: list[float] = (
        outputs(spec, weights, torch.from_numpy(X).to(weights["layers.0.weight"].dtype)).flatten().tolist()
    )
    return values


def _pixels(inputs: Sequence[Any]) -> Floats:
    what = f"an image: 28 rows of 28 pixels, {PIXELS} pixels, or a PNG in base64; {RANGE}"
    flat = [_flat_image(number, image) for number, image in enumerate(inputs)]
    pixels = _numbers(flat, (PIXELS,), what)
    largest = pixels.max(1, initial=0)
    largest[[isinstance(image, str) for image in inputs]] = LARGEST_PIXEL  # a PNG says how bright its pixels are
    for number, image in enumerate(pixels):
        if image.min() < 0 or largest[number] > LARGEST_PIXEL:
            raise BadInputs(f"/inputs/{number}", RANGE)
    scaled: Floats = pixels / np.where(largest > 1, LARGEST_PIXEL, 1.0)[:, None]
    return scaled


def _flat_image(number: int, image: object) -> object:
    if isinstance(image, str):
        try:
            return png.pixels(image).flatten().tolist()
        except png.BadPng as error:
            raise BadInputs(f"/inputs/{number}", str(error)) from None
    rows = image if isinstance(image, list) else None
    if rows is None or len(rows) != 28 or not all(isinstance(row, list) and len(row) == 28 for row in rows):
        return image
    return [pixel for row in rows for pixel in row]


def _numbers(inputs: Sequence[Any], shape: tuple[int, ...], what: str) -> Floats:
    """Turn inputs into an array [n, *shape] of finite numbers, or say which of them is none."""
    for number, value in enumerate(inputs):
        entries = value if shape and isinstance(value, list) else [value]
        fits = not shape or (isinstance(value, list) and len(value) == shape[0])
        if not fits or not all(_is_number(entry) for entry in entries):
            raise BadInputs(f"/inputs/{number}", f"must be {what}")
    return np.array(inputs, dtype=np.float64).reshape(len(inputs), *shape)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= LARGEST_INPUT
