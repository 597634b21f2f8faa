"""A process like a worker's slot, which handles threads and memory as a slot does: bare Training is like for like.

What is measured there is made there, and stays there between the rounds. The book's loop and scikit-learn run in the
benchmark's own process instead, since the processes and threads that they start would inherit the binding.
"""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from time import perf_counter
from typing import Any, Final, TypeVar
from unittest.mock import patch

import torch

from benchmarks.images import HOME
from mlcore.openmp import environment, usable_cores
from mlcore.spec import parse_run_spec
from mlcore.training import Training
from worker.allocator import keep_freed

Json = dict[str, Any]
T = TypeVar("T")

_kept: Final[dict[str, Any]] = {}


@dataclass(frozen=True)
class Process:
    """The process; it does one thing at a time, in its main thread, as a slot does."""

    pool: ProcessPoolExecutor

    def call(self, function: Callable[..., T], *arguments: object) -> T:
        """Call a function there and return its result."""
        return self.pool.submit(function, *arguments).result()

    def keep(self, name: str, make: Callable[..., object], *arguments: object) -> None:
        """Make an object there and keep it there under a name."""
        self.call(_keep, name, make, *arguments)

    def ask(self, name: str, method: Callable[[Any], T]) -> T:
        """Call a method of a kept object."""
        answer: T = self.call(_ask, name, method)
        return answer


@contextmanager
def process() -> Iterator[Process]:
    """Start the process, and end it afterwards."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=keep_freed) as pool:
        with patch.dict(os.environ, environment(usable_cores())):
            pool.submit(torch.get_num_threads).result()
        yield Process(pool)


def bare_seconds(specs: list[Json], threads: int) -> float:
    """Return how long plain Training takes for these runs as one stack, with nothing stored; to be called there."""
    parsed = [parse_run_spec(each) for each in specs]
    torch.set_num_threads(threads)
    start = perf_counter()
    for _ in Training(parsed, data_root=HOME):
        pass
    return perf_counter() - start


def _keep(name: str, make: Callable[..., object], *arguments: object) -> None:
    _kept[name] = make(*arguments)


def _ask(name: str, method: Callable[[Any], T]) -> T:
    return method(_kept[name])
