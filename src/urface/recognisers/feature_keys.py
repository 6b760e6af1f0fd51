"""Rows of a features file by key, whatever the ending: an aligned copy of ``a.jpg`` is often ``a.png``."""

from __future__ import annotations

import re
from collections.abc import Sequence

ENDING = re.compile(r"\.(?:jpe?g|png|webp)\Z", re.IGNORECASE)


class RowsByKey(dict[str, int]):
    """Key -> row; a key that is not there is looked for without its image ending.

    Exact keys go first. Keys that differ in their ending alone are found by the whole key only.
    """

    def __init__(self, keys: Sequence[str]) -> None:
        super().__init__({key: row for row, key in enumerate(keys)})
        self._stems: dict[str, int] = {}
        twice = set()
        for row, key in enumerate(keys):
            stem = _stem(key)
            if self._stems.setdefault(stem, row) != row:
                twice.add(stem)
        for stem in twice:
            del self._stems[stem]

    def __missing__(self, key: str) -> int:
        try:
            return self._stems[_stem(key)]
        except KeyError:
            raise KeyError(key) from None

    def get(self, key: str, default: int = -1) -> int:  # type: ignore[override]
        """The row, or ``default``; a plain dict's get() does not look further."""
        try:
            return self[key]
        except KeyError:
            return default


def _stem(key: str) -> str:
    return ENDING.sub("", key)
