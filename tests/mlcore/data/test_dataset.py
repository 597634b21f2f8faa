"""The examples a stack trains on."""

import pytest
import torch

from mlcore.data import loading
from mlcore.data.dataset import Part
from tests.mlcore.trainings import SAMPLE, spec_of


def test_pixels_that_are_bytes_come_out_as_torchvision_gives_them() -> None:
    """Its ToTensor divides float32 by 255."""
    pixels = torch.arange(256, dtype=torch.uint8).view(8, 32)
    part = Part(pixels, torch.arange(8), torch.arange(8)[None])
    expected = torch.arange(256, dtype=torch.float32).div(255).view(8, 32)
    rows = torch.tensor([[5, 1], [0, 7]])
    assert part.examples(rows)[0].equal(expected[rows])
    assert part.batch(slice(2, 6))[0].equal(expected[None, 2:6])


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_images_are_numbers_from_0_to_1_in_every_precision(precision: str) -> None:
    train = loading.load([spec_of("mlp", precision=precision)], SAMPLE).train
    images, _ = train.examples(train.rows)
    assert (float(images.min()), float(images.max())) == (0.0, 1.0)
    assert images.to(torch.float32).mul(255).round().div(255).equal(images.to(torch.float32))


def test_features_that_are_numbers_come_out_as_they_are() -> None:
    features = torch.randn(4, 3, dtype=torch.float64)
    part = Part(features, torch.zeros(4), torch.tensor([[2, 0, 1, 3]]))
    assert part.batch(slice(0, 2))[0].equal(features[None, [2, 0]])
