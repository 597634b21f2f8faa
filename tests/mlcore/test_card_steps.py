"""What a card is asked for inside an epoch, looked at without one.

A network made on the CPU is moved to torch's device "meta", whose tensors have a shape and no content: whatever
would wait for a number is an error there. A dispatch mode refuses what mixes devices, which a card would refuse too.
"""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from mlcore.data import loading
from mlcore.from_scratch.network import Sums
from mlcore.from_scratch.replayed import ReplayedMlp, ReplayedRegression
from mlcore.spec import RunSpec
from mlcore.stack import layout_of
from tests.mlcore.test_devices import NAMES, stack_of
from tests.mlcore.trainings import SAMPLE


class OnOneDevice(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Refuses operations on tensors of another device than "meta"; single numbers may come from anywhere."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for one in tree_leaves((args, kwargs, result)):
            if isinstance(one, Tensor) and one.dim() and one.device.type != "meta":
                raise RuntimeError(f"{func} is asked for on device {one.device}")
        return result


def elsewhere(thing: Any, seen: dict[int, Any]) -> Any:
    """Put tensors without content in the place of all that can be reached from here; `seen` keeps the old ones."""
    if isinstance(thing, Tensor):
        if id(thing) not in seen:
            seen[id(thing)] = (thing.to("meta"), thing)
        return seen[id(thing)][0]
    if isinstance(thing, tuple) and hasattr(thing, "_fields"):
        return type(thing)(*(elsewhere(each, seen) for each in thing))
    if isinstance(thing, list | tuple):
        return type(thing)(elsewhere(each, seen) for each in thing)
    if isinstance(thing, dict):
        return {key: elsewhere(value, seen) for key, value in thing.items()}
    if type(thing).__module__.startswith("mlcore.") and hasattr(thing, "__dict__") and id(thing) not in seen:
        seen[id(thing)] = thing
        for name, value in vars(thing).items():
            vars(thing)[name] = elsewhere(value, seen)
    return thing


def network_of(specs: list[RunSpec]) -> ReplayedMlp | ReplayedRegression:
    """A network that has trained an epoch on the CPU, so that all there is to prepare is there, without content."""
    kind: Any = ReplayedMlp if specs[0].variant == "mlp" else ReplayedRegression
    network: ReplayedMlp | ReplayedRegression = kind(specs, layout_of(specs), "cpu")
    for _ in network.train_epoch(loading.load(specs, SAMPLE).train, 1):
        pass
    elsewhere(network, {})
    assert {tensor.device.type for tensor in network.parameters().values()} == {"meta"}
    return network


CASES: list[tuple[str, dict[str, Any]]] = [(name, {}) for name in NAMES] + [
    ("dropout", {"precision": "bf16"}),
    ("mlp", {"precision": "float32", "activation": "tanh", "penalty": "l1"}),
    ("mlp", {"hidden": []}),
]


@pytest.mark.parametrize(("name", "changes"), CASES)
def test_an_epoch_stays_on_its_device_and_waits_for_nothing(name: str, changes: dict[str, Any]) -> None:
    network = network_of(stack_of(name, **changes))
    with OnOneDevice():  # type: ignore[no-untyped-call]
        assert network._batches is not None
        batches = network._begun(network._batches.part, 2)
        if isinstance(network, ReplayedMlp):
            for mask in network._masks:
                if mask is not None:
                    mask.begin(2)
        network._take_whole()
        if batches.rest.shape[1]:
            network._take_step(*batches.rest_examples())
        if isinstance(network, ReplayedMlp):
            network._add_whole(Sums(network._layout), batches)


def test_such_a_look_finds_what_waits_and_what_mixes_devices() -> None:
    there = torch.ones(3, 4, device="meta")
    waiting: list[Callable[[], object]] = [
        lambda: there.sum().item(),
        lambda: bool(there.any()),
        lambda: there[there > 0],
    ]
    mixing: list[Callable[[], object]] = [
        lambda: there @ torch.ones(4, 2),
        lambda: there.index_select(0, torch.arange(2)),
    ]
    with OnOneDevice():  # type: ignore[no-untyped-call]
        for waits in waiting:
            with pytest.raises((RuntimeError, NotImplementedError), match=r"meta|nonzero"):
                waits()
        for mixes in mixing:
            with pytest.raises(RuntimeError, match="on device cpu"):
                mixes()
