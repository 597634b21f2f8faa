"""Fonts for names that pictures show in scripts which matplotlib's own font has no characters of."""

from typing import Final

FALLBACKS: Final = (
    "Noto Sans CJK SC",
    "Noto Sans CJK JP",
    "Source Han Sans SC",
    "WenQuanYi Micro Hei",
    "Droid Sans Fallback",
    "PingFang SC",
    "Hiragino Sans",
    "Apple SD Gothic Neo",
    "Microsoft YaHei",
    "Yu Gothic",
    "Malgun Gothic",
    "Arial Unicode MS",
)
"""Those with Chinese, Japanese and Korean characters that systems commonly have."""


def fallbacks() -> list[str]:
    """Those of them that are installed."""
    from matplotlib.font_manager import fontManager

    installed = set(fontManager.get_font_names())
    return [name for name in FALLBACKS if name in installed]
