"""Identifiers that sort by the time they were made."""

import uuid

from uuid_utils.compat import uuid7


def new_id() -> uuid.UUID:
    """Return a UUIDv7 (RFC 9562); within a process each is greater than the one before."""
    return uuid7()
