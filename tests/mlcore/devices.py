"""The devices that a test runs on: the CPU always, a card where there is one."""

import pytest
import torch

needs_card = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a card that torch can use")
DEVICES = [pytest.param("cpu"), pytest.param("cuda", marks=needs_card)]
