"""PNG pictures from clients: read right, and refused by their header before anything is decoded."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from mlcore.data import png
from tests.png import encoded, enormous, picture, saved, without_palette

LEVELS = np.arange(784, dtype=np.uint16).reshape(28, 28) % 256


GREY = saved(Image.fromarray(LEVELS.astype(np.uint8)))


@pytest.mark.parametrize("prefix", ["", "data:image/png;base64,"])
def test_grey_levels_come_as_they_are(prefix: str) -> None:
    np.testing.assert_array_equal(png.pixels(prefix + encoded(GREY)), LEVELS)


@pytest.mark.parametrize(
    ("image", "level"),
    [
        (picture("1", colour=1), 255),
        (picture("RGB", colour=(255, 255, 255)), 255),
        (picture("RGB", colour=(255, 0, 0)), 76),  # 0.299 · 255
        (picture("RGBA", colour=(255, 255, 255, 255)), 255),
        (picture("RGBA", colour=(255, 255, 255, 0)), 0),
        (picture("LA", colour=(200, 255)), 200),
        (picture("I;16", colour=65535), 255),
        (picture("I;16", colour=257 * 100), 100),
        (picture("RGB", colour=(10, 10, 10)).quantize(4), 10),
    ],
    ids=["1 bit", "white", "red", "opaque", "transparent", "grey and alpha", "16 bits", "16 bits, darker", "palette"],
)
def test_every_kind_of_png_becomes_grey(image: Image.Image, level: int) -> None:
    found = png.pixels(encoded(saved(image)))
    assert found.shape == (28, 28)
    np.testing.assert_allclose(found, level, atol=0.5)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (encoded(saved(picture(), "GIF")), "not of a PNG"),
        (encoded(saved(picture(), "BMP")), "not of a PNG"),
        (encoded(b""), "not of a PNG"),
        (encoded(GREY[:20]), "ends in its header"),
        (encoded(GREY[:60]), "breaks off"),
        (encoded(GREY[:-1]), "breaks off"),
        (encoded(GREY[:40] + GREY[-12:]), "damaged"),
        (encoded(png.SIGNATURE + bytes(100)), "damaged"),
        (encoded(without_palette(saved(picture("P")))), "damaged"),
        (encoded(enormous(2**31 - 1, 2**31 - 1)), "2147483647 × 2147483647"),
        (encoded(enormous(20_000, 20_000)), "20000 × 20000"),
        (encoded(enormous(0, 0)), "0 × 0"),
        (encoded(saved(picture(size=(27, 28)))), "27 × 28"),
        ("*" * 100, "not base64"),
        ("pictüre", "not base64"),
        ("A" * 100_000, "larger than 64 KiB"),
    ],
)
def test_what_is_no_png_of_28_by_28_pixels_is_refused(text: str, said: str) -> None:
    with pytest.raises(png.BadPng, match=said):
        png.pixels(text)


def test_an_enormous_picture_is_refused_before_it_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "open", lambda *_, **__: pytest.fail("it was decoded"))
    for data in (enormous(20_000, 20_000), saved(picture(), "GIF"), GREY[:20]):
        with pytest.raises(png.BadPng):
            png.pixels(encoded(data))


@given(place=st.integers(8, len(GREY) - 1), byte=st.integers(0, 255), cut=st.integers(0, len(GREY)))
@settings(max_examples=200, deadline=None)
def test_damage_anywhere_is_refused_or_does_no_harm(place: int, byte: int, cut: int) -> None:
    data = bytearray(GREY)
    data[place] = byte
    for damaged in (bytes(data), GREY[:cut]):
        try:
            found = png.pixels(encoded(damaged))
        except png.BadPng:
            continue
        assert found.shape == (28, 28)
