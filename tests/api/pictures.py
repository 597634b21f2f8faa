"""Whether bytes are the picture they claim to be."""

import io
from xml.etree import ElementTree as ET

from PIL import Image

SMALLEST = 300
"""Pixels or points of a picture one would show."""


def assert_png(content: bytes) -> None:
    """A PNG that decodes, of a size to look at, on which something is drawn."""
    with Image.open(io.BytesIO(content), formats=["PNG"]) as image:
        assert min(image.size) >= SMALLEST
        assert len(image.convert("RGB").getcolors(maxcolors=1 << 24) or []) > 10


def assert_svg(content: bytes) -> None:
    """A well-formed SVG of a size to look at, on which something is drawn."""
    root = ET.fromstring(content)  # noqa: S314  our own
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert min(float(root.attrib[side].removesuffix("pt")) for side in ("width", "height")) >= SMALLEST
    assert len(list(root.iter("{http://www.w3.org/2000/svg}path"))) > 10
