"""The examples a stack trains on: what is shared is held once, and each data set says which rows are its own."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.weak import WeakIdKeyDictionary

_copies = WeakIdKeyDictionary()  # on cards, of examples that are held here: by the original and the device


@dataclass(frozen=True, eq=False)
class Part:
    """The training, validation or test examples of one or several data sets of equal size.

    `features` [M, F] and `labels` [M] are held once for all of them; `rows` [D, n] names each data set's examples, or
    [1, n] where all have the same. Labels are class numbers (int64) or target values. Pixels may be held as bytes: they
    come out as float32 from 0 to 1.
    """

    features: Tensor
    labels: Tensor
    rows: Tensor

    def __len__(self) -> int:
        return self.rows.shape[1]

    @property
    def datasets(self) -> int:
        """How many different data sets there are, D."""
        return self.rows.shape[0]

    def rows_of(self, dataset: Tensor) -> Tensor:
        """Return the rows of each of the numbered data sets, [len(dataset), n]."""
        return self.rows.expand(len(dataset), -1) if self.datasets == 1 else self.rows[dataset]

    def at(self, rows: NDArray[np.int64]) -> "Part":
        """Return the part of the only data set's examples at these positions."""
        return Part(self.features, self.labels, self.rows[:, torch.from_numpy(rows)])

    def examples(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return features [*rows.shape, F] and labels [*rows.shape] of the rows."""
        flat = rows.flatten()
        features = numbers(self.features.index_select(0, flat)).view(*rows.shape, self.features.shape[1])
        return features, self.labels.index_select(0, flat).view(rows.shape)

    def batch(self, batch: slice) -> tuple[Tensor, Tensor]:
        """Return features [D, n, F] and labels [D, n] of each data set's examples there; uncopied where they lie so."""
        if self._is_in_order:
            return numbers(self.features[batch])[None], self.labels[batch][None]
        return self.examples(self.rows[:, batch])

    @cached_property
    def _is_in_order(self) -> bool:
        return self.datasets == 1 and bool((self.rows[0].diff() == 1).all()) and not self.rows[0, 0]

    def to(self, device: str) -> "Part":
        """Return the same part on a device; examples that stay here are copied there once."""
        return Part(_on(device, self.features), _on(device, self.labels), self.rows.to(device))


@dataclass(frozen=True)
class Dataset:
    """Training, test and, where the spec asks for one, validation examples."""

    train: Part
    test: Part
    valid: Part | None = None

    def parts(self) -> dict[str, Part]:
        """Return the parts that exist, by name."""
        named = {"train": self.train, "valid": self.valid, "test": self.test}
        return {name: part for name, part in named.items() if part is not None}

    def to(self, device: str) -> "Dataset":
        """Return the same data set on a device."""
        return Dataset(**{name: part.to(device) for name, part in self.parts().items()})


def numbers(features: Tensor) -> Tensor:
    """Return pixels that are bytes as float32 from 0 to 1; other features as they are."""
    return features.to(torch.float32).div_(255) if features.dtype == torch.uint8 else features


def _on(device: str, tensor: Tensor) -> Tensor:
    if tensor.device.type == torch.device(device).type:
        return tensor
    copies: dict[str, Tensor] = _copies.setdefault(tensor, {})  # type: ignore[no-untyped-call]
    if device not in copies:
        copies[device] = tensor.to(device)
    return copies[device]


def joined(datasets: list[Dataset]) -> Dataset:
    """Return the data sets as one whose parts have a row of `rows` for each; held once where they share examples."""
    names = datasets[0].parts().keys()
    return Dataset(**{name: _joined_parts([dataset.parts()[name] for dataset in datasets]) for name in names})


def _joined_parts(parts: list[Part]) -> Part:
    first = parts[0]
    if all(part.features is first.features for part in parts):
        if all(part.rows.equal(first.rows) for part in parts):
            return first
        return Part(first.features, first.labels, torch.cat([part.rows for part in parts]))
    offsets = torch.tensor([0, *(len(part.features) for part in parts[:-1])]).cumsum(0)
    rows = torch.cat([part.rows + offset for part, offset in zip(parts, offsets, strict=True)])
    return Part(torch.cat([part.features for part in parts]), torch.cat([part.labels for part in parts]), rows)
