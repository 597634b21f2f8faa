"""Text that every format of an answer can have, and in little room."""

import re
import textwrap

# What XML 1.0 forbids, and with it SVG; NUL and lone surrogates, which no database takes, are among them.
_no_text = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def is_text(given: str) -> bool:
    """Whether there is nothing else in it."""
    return _no_text.search(given) is None


def only_text(given: str) -> str:
    """The text without the rest."""
    return _no_text.sub("", given)


def wrapped(text: str, width: int) -> str:
    """At most two lines of at most so many characters; a name stored long ago may hold what is no text."""
    return textwrap.fill(only_text(text), width, max_lines=2, placeholder=" …")


def short(text: str, longest: int) -> str:
    """One line of at most so many characters."""
    line = " ".join(text.split())
    return line if len(line) <= longest else line[: longest - 1] + "…"
