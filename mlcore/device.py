"""Where a training runs: the CPU, which does what it is told at once, or a card, which does it by and by."""

import gc
import time
from collections.abc import Generator
from functools import cache

import torch

BRISK_SECONDS = 0.002  # how long a card is looked at without a pause
NO_ROOM = ("CUBLAS_STATUS_ALLOC_FAILED", "CUDA error: out of memory", "DefaultCPUAllocator: can't allocate memory")


@cache  # asked several times an epoch, of which a small one takes 150 µs
def is_card(device: str) -> bool:
    """Whether a device is a card."""
    return torch.device(device).type == "cuda"


def finished(device: str) -> Generator[None, None, None]:
    """Yield until the device has done what it was given so far: whoever read a result would wait without a sign."""
    if not is_card(device):
        return
    event = torch.cuda.Event()  # type: ignore[no-untyped-call]
    event.record()
    start = time.monotonic()
    while not event.query():  # type: ignore[no-untyped-call]
        yield
        if time.monotonic() - start > BRISK_SECONDS:
            time.sleep(BRISK_SECONDS / 4)


def out_of_memory(problem: BaseException | None) -> bool:
    """Whether a training failed because its device has no room for it; the cause may lie further back.

    A capture that is cut short hides the error that did it, and some parts of torch tell it in other ones.
    """
    while problem is not None:
        if isinstance(problem, torch.OutOfMemoryError | MemoryError) or any(sign in str(problem) for sign in NO_ROOM):
            return True
        problem = problem.__cause__ or problem.__context__
    return False


def free_memory(device: str) -> None:
    """Give back what torch keeps of a card's memory after a training that has failed."""
    gc.collect()
    if is_card(device):
        torch.cuda.empty_cache()
