"""How values are written along an axis."""

import pytest

from api import labels


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([0.1, 0.01, 1e-05], ["0.1", "0.01", "1e-05"]),
        ([1 / 3, 3 / 70], ["0.333", "0.0429"]),
        ([0.1234, 0.1235], ["0.1234", "0.1235"]),
        ([0.1, 0.1 + 1e-10], ["0.1", "0.1000000001"]),
        ([0, 0.5, 12_345], ["0", "0.5", "12345"]),
        (["mse", None, [256, 64]], ["mse", "–", "256-64"]),
        ([], []),
    ],
)
def test_numbers_have_as_few_digits_as_tell_them_apart(values: list[object], said: list[str]) -> None:
    assert labels.apart(values) == said
