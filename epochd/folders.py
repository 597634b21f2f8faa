"""Folders that a command writes to, looked at before it does its work."""

import os
from pathlib import Path


def why_unusable(folder: Path, name: str, option: str) -> str | None:
    """Make the folder if need be; return why it cannot be written to, with the way out, or None when it can."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        return f"The {name} {folder} cannot be made: {problem.strerror}; choose another with {option}."
    if not os.access(folder, os.W_OK | os.X_OK):
        return f"The {name} {folder} cannot be written to; choose another with {option}."
    return None
