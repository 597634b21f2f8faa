"""A file whose age tells whoever watches a process whether it still does its work: cheaper to ask than Python."""

import logging
from pathlib import Path

logger = logging.getLogger(__name__)


def beat(pulse: Path | None) -> None:
    """Make the file new, if there is to be one."""
    if pulse is None:
        return
    try:
        pulse.touch()
    except OSError as problem:
        logger.warning("the file %s cannot be touched: %s", pulse, problem.strerror)
