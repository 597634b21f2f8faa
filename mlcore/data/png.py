"""PNG pictures from clients: what they claim is checked before anything is decoded."""

import base64
import binascii
import io
import struct
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mlcore.data.fashion_mnist import SIDE

LARGEST: Final = 64 * 1024  # bytes; 28 × 28 pixels of the deepest kind have 6 KiB
SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
END: Final = b"\0\0\0\0IEND\xaeB`\x82"
HEADER: Final = struct.Struct(">8sI4sII")  # signature, length and name of the first chunk, width, height
DATA_URL: Final = "data:image/png;base64,"
DEEP_MODES: Final = ("I", "I;16", "I;16B")
"""Pillow's modes of 16 bits per pixel, which its conversion to 8 would cut off instead of scaling."""


class BadPng(ValueError):
    """What a client sent is no PNG of 28 × 28 pixels; str() says what it is instead."""


def pixels(text: str) -> NDArray[np.float64]:
    """Decode a base64 PNG, or a data URL of one, to grey levels [28, 28] from 0 (black) to 255; raises BadPng.

    Colours become luminance (ITU-R 601), what is transparent shows black.
    """
    data = _bytes(text)
    _check_header(data)
    try:
        with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
            return _grey(image)
    except Exception as error:  # Pillow tells of damage in many ways, failed assertions among them
        raise BadPng("is a damaged PNG") from error


def _bytes(text: str) -> bytes:
    encoded = text.removeprefix(DATA_URL)
    if len(encoded) > 4 * LARGEST // 3 + 4:
        raise BadPng(f"is larger than {LARGEST // 1024} KiB, which no picture of {SIDE} × {SIDE} pixels needs")
    try:
        return base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadPng("is text that is not base64 (RFC 4648, with padding)") from error


def _check_header(data: bytes) -> None:
    """Refuse by the first and the last bytes alone: a small file can claim, and hold, a picture of any size."""
    if not data.startswith(SIGNATURE):
        raise BadPng("is base64, but not of a PNG")
    if len(data) < HEADER.size:
        raise BadPng("is a PNG that ends in its header")
    _, length, name, width, height = HEADER.unpack_from(data)
    if (length, name) != (13, b"IHDR"):
        raise BadPng("is a damaged PNG")
    if not data.endswith(END):  # Pillow is content with less
        raise BadPng("is a PNG that breaks off")
    if (width, height) != (SIDE, SIDE):
        raise BadPng(f"is a PNG of {width} × {height} pixels; it takes {SIDE} × {SIDE}")


def _grey(image: Image.Image) -> NDArray[np.float64]:
    image.load()
    if image.mode in DEEP_MODES:
        return np.asarray(image, np.float64) / 257  # 65535 = 257 · 255
    if image.has_transparency_data:
        ground = Image.new("RGBA", image.size, "black")
        image = Image.alpha_composite(ground, image.convert("RGBA"))
    return np.asarray(image.convert("L"), np.float64)
