"""The cards of this machine that torch can train on; `python -m worker.cards` prints them as JSON.

`find` asks in a process of its own: one that is to fork must not touch CUDA, and torch takes more memory than a
supervisor should.
"""

import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, TypeAdapter

logger = logging.getLogger(__name__)

DRIVERS = (Path("/dev/nvidiactl"), Path("/dev/dxg"))  # Linux, and Linux inside Windows
LOOK_SECONDS = 120.0  # importing torch from a cold disk, and starting CUDA


class Card(BaseModel):
    """A card, or a slot's part of one: `number` among those that this process sees, its name, and bytes of memory."""

    model_config = ConfigDict(frozen=True)

    number: int
    name: str
    memory: int
    parts: int = 1

    def shared_by(self, slots: int) -> "Card":
        """Return what each of so many slots has of it."""
        return self.model_copy(update={"memory": self.memory // slots, "parts": slots})

    @property
    def environment(self) -> dict[str, str]:
        """What a process is started with that is to see this card alone."""
        visible = os.environ.get("CUDA_VISIBLE_DEVICES")
        number = visible.split(",")[self.number].strip() if visible else str(self.number)
        return {"CUDA_VISIBLE_DEVICES": number, "EPOCHD_CARD": self.model_dump_json()}


class NoCard(Exception):
    """A worker is to train on a card and there is none; str() is a sentence for whoever started it."""


_cards = TypeAdapter(list[Card])


def for_device(device: Literal["auto", "cpu", "gpu"]) -> list[Card]:
    """Return the cards to train on when EPOCHD_DEVICE is this; raises NoCard when there have to be some."""
    found = [] if device == "cpu" else find()
    if device == "gpu" and not found:
        raise NoCard("EPOCHD_DEVICE is gpu, but torch finds no card here that it can use.")
    return found


def find() -> list[Card]:
    """Return the cards that torch can use here; none where there is no driver, without a look at torch."""
    if not any(driver.exists() for driver in DRIVERS):
        return []
    try:
        command = [sys.executable, "-P", "-m", "worker.cards"]
        found = subprocess.run(command, capture_output=True, check=True, timeout=LOOK_SECONDS)  # noqa: S603
        return _cards.validate_json(found.stdout)
    except (OSError, subprocess.SubprocessError, ValueError) as problem:
        logger.warning("there is a driver for cards, but torch could not say which there are: %s", problem)
        return []


def main() -> int:
    """Print the cards that torch can use."""
    import torch

    seen = [torch.cuda.get_device_properties(number) for number in range(torch.cuda.device_count())]
    cards = [Card(number=number, name=one.name, memory=one.total_memory) for number, one in enumerate(seen)]
    sys.stdout.write(_cards.dump_json(cards).decode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
