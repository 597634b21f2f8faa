"""Numbers in sentences."""

import pytest

from mlcore.words import counted


@pytest.mark.parametrize(
    ("count", "said"), [(0, "0 epochs"), (1, "1 epoch"), (2, "2 epochs"), (60_000, "60,000 epochs")]
)
def test_one_is_singular(count: int, said: str) -> None:
    assert counted(count, "epoch") == said
