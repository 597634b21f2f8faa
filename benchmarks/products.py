"""The matrix products of a training step, timed alone: recorded as torch is asked for them, replayed with like tensors.

Recording finds the shapes and the memory layouts that the engine really uses, so this does not drift from it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, Final

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

PRODUCTS: Final = frozenset({"mm", "addmm", "addmm_", "bmm", "baddbmm", "baddbmm_", "_linear_pointwise"})
SMALL: Final = 1e-3  # numbers that stay finite however often they are multiplied and added up


@dataclass(frozen=True)
class Form:
    """What decides how long a product with a tensor takes."""

    shape: tuple[int, ...]
    stride: tuple[int, ...]
    dtype: torch.dtype

    @classmethod
    def of(cls, tensor: Tensor) -> "Form":
        """Return the form of a tensor."""
        return cls(tuple(tensor.shape), tuple(tensor.stride()), tensor.dtype)

    def tensor(self) -> Tensor:
        """Make a tensor of this form."""
        return torch.empty_strided(self.shape, self.stride, dtype=self.dtype).normal_(std=SMALL)


@dataclass(frozen=True)
class Call:
    """A product as it was asked for."""

    function: Callable[..., Tensor]
    arguments: tuple[Any, ...]
    keywords: Mapping[str, Any]


@dataclass
class Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes the products that are computed while it is entered."""

    calls: list[Call] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

    def __torch_dispatch__(  # torch says what these are
        self,
        func: Any,  # noqa: ANN401
        types: Any,  # noqa: ANN401
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401
        """Note the call, if it is a product, and do it."""
        keywords = kwargs or {}
        if func.overloadpacket.__name__ in PRODUCTS:
            self.calls.append(Call(func, tuple(map(_form, args)), keywords))
        return func(*args, **keywords)


class Products:
    """The products of one pass of `work`, to be done again alone."""

    def __init__(self, work: Callable[[], object]) -> None:
        with Recorder() as recorder:
            work()
        tensors = {(place, form): form.tensor() for place, form in _operands(recorder.calls)}
        self._calls = [
            (
                call.function,
                [tensors[place, one] if isinstance(one, Form) else one for place, one in enumerate(call.arguments)],
                call.keywords,
            )
            for call in recorder.calls
        ]

    def seconds(self) -> float:
        """Return how long all of them take, one after the other."""
        start = perf_counter()
        for function, arguments, keywords in self._calls:
            function(*arguments, **keywords)
        return perf_counter() - start

    def __len__(self) -> int:
        return len(self._calls)


def _form(argument: object) -> object:
    return Form.of(argument) if isinstance(argument, Tensor) else argument


def _operands(calls: list[Call]) -> set[tuple[int, Form]]:
    """Return the forms that there are at each place among the arguments."""
    return {(place, one) for call in calls for place, one in enumerate(call.arguments) if isinstance(one, Form)}
