"""PNG files, and what passes itself off as one."""

import base64
import io
import struct
import zlib
from typing import Any

from PIL import Image

from mlcore.data import png


def picture(mode: str = "L", size: tuple[int, int] = (28, 28), colour: Any = 0) -> Image.Image:
    return Image.new(mode, size, colour)


def saved(image: Image.Image, kind: str = "PNG") -> bytes:
    content = io.BytesIO()
    image.save(content, kind)
    return content.getvalue()


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def enormous(width: int, height: int) -> bytes:
    """A small file that holds a picture of any size, with right checksums."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return png.SIGNATURE + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(10_000))) + chunk(b"IEND", b"")


def without_palette(data: bytes) -> bytes:
    """A PNG of palette colours without the palette (its chunk PLTE)."""
    start = data.index(b"PLTE") - 4
    (length,) = struct.unpack_from(">I", data, start)
    return data[:start] + data[start + 12 + length :]
