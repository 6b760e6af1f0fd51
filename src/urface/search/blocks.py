"""A table that grows and shrinks at its end without ever being copied whole."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

BLOCK = 8192  # rows; of 1,648 float32 they take 54 MB


class Blocks:
    """N rows of one width and type, in blocks of BLOCK rows. What is dropped is overwritten with zeros."""

    def __init__(self, width: int, dtype: type[np.generic]) -> None:
        self.width = width
        self.dtype = np.dtype(dtype)
        self.parts: list[np.ndarray] = []
        self.count = 0

    def __len__(self) -> int:
        return self.count

    @property
    def nbytes(self) -> int:
        return len(self.parts) * BLOCK * self.width * self.dtype.itemsize

    def append(self, rows: np.ndarray) -> None:
        """Rows [n, width] behind the last."""
        done = 0
        while done < len(rows):
            part, place = divmod(self.count, BLOCK)
            if part == len(self.parts):
                self.parts.append(np.zeros((BLOCK, self.width), self.dtype))
            taken = min(BLOCK - place, len(rows) - done)
            self.parts[part][place : place + taken] = rows[done : done + taken]
            self.count += taken
            done += taken

    def take(self, slots: np.ndarray) -> np.ndarray:
        """Copies of rows [n, width]."""
        out = np.empty((len(slots), self.width), self.dtype)
        order = np.argsort(slots, kind="stable")
        part, place = np.divmod(slots[order], BLOCK)
        for first, last in _runs(part):
            out[order[first:last]] = self.parts[part[first]][place[first:last]]
        return out

    def put(self, slots: np.ndarray, rows: np.ndarray) -> None:
        """Overwrite rows that are there."""
        order = np.argsort(slots, kind="stable")
        part, place = np.divmod(slots[order], BLOCK)
        for first, last in _runs(part):
            self.parts[part[first]][place[first:last]] = rows[order[first:last]]

    def cut(self, count: int) -> None:
        """Keep the first ``count`` rows."""
        for number, part in enumerate(self.parts):
            part[max(0, min(BLOCK, count - number * BLOCK)) :] = 0
        del self.parts[-(-count // BLOCK) :]
        self.count = count

    def tiles(self) -> Iterator[tuple[int, np.ndarray]]:
        """The blocks with the number of their first row, as views of the rows that are there."""
        for number, part in enumerate(self.parts):
            start = number * BLOCK
            yield start, part[: self.count - start]


def _runs(numbers: np.ndarray) -> Iterator[tuple[int, int]]:
    """Where runs of equal numbers start and end."""
    if len(numbers):
        edges = np.flatnonzero(np.diff(numbers)) + 1
        yield from zip([0, *edges.tolist()], [*edges.tolist(), len(numbers)], strict=True)
