"""Numbers in sentences."""


def counted(count: int, noun: str) -> str:
    """So many of something, such as `1 epoch` and `60,000 test images`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
