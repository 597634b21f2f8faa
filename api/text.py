"""Characters that are text in every format an answer may have."""

import re

# What XML 1.0 forbids, and with it SVG; NUL and lone surrogates, which no database takes, are among them.
_no_text = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def is_text(given: str) -> bool:
    """Whether there is nothing else in it."""
    return _no_text.search(given) is None


def only_text(given: str) -> str:
    """The text without the rest."""
    return _no_text.sub("", given)
