"""What a spec's `precision` is in tensors: how weights are kept, and in what the products of a step are computed.

tf32 keeps float32 and lets a card's tensor cores round what they multiply to 10 bits behind the point; bf16 multiplies
numbers of 7. Both add up in float32, and weights, losses and the penalty stay float32 (decision 15).
"""

from typing import Final

import torch

from mlcore.device import is_card
from mlcore.errors import WrongDevice
from mlcore.spec import Precision

STORED: Final[dict[Precision, torch.dtype]] = {
    "float32": torch.float32,
    "float64": torch.float64,
    "tf32": torch.float32,
    "bf16": torch.float32,
}
COMPUTED: Final[dict[Precision, torch.dtype]] = {**STORED, "bf16": torch.bfloat16}


def check(precision: Precision, device: str) -> None:
    """Raise WrongDevice where the device does not have such numbers."""
    if precision == "tf32" and not is_card(device):
        raise WrongDevice("precision tf32 is how the tensor cores of a card multiply; on a CPU float32 is the nearest.")


def choose(precision: Precision, device: str) -> None:
    """Let the products that a card is asked for from now on be rounded as the precision says: it is one switch."""
    if is_card(device):
        torch.backends.cuda.matmul.fp32_precision = "tf32" if precision == "tf32" else "ieee"
