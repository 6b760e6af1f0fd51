"""From rows that name templates by number to the templates' places: an unknown number is an error.

A table that holds 0 for every number it does not know gives such a row the first template's features,
and the rate comes out as if nothing had happened (the defect that reliability goal G63 tells of).
"""

from __future__ import annotations

import numpy as np

from urface.benchmarks.columns import Table
from urface.types import UserError

DENSE = (
    1 << 24
)  # numbers up to here are looked up in a table, which is ten times as fast as a search


class TemplateIds:
    """The numbers of T templates, ascending and unique; their places are 0..T-1."""

    def __init__(self, numbers: np.ndarray) -> None:
        self.numbers = np.unique(numbers)
        assert len(self.numbers) > 0
        self._table: np.ndarray | None = None
        if self.numbers[0] >= 0 and self.numbers[-1] < DENSE:
            self._table = np.full(int(self.numbers[-1]) + 2, -1, np.int32)
            self._table[self.numbers] = np.arange(len(self.numbers), dtype=np.int32)

    def __len__(self) -> int:
        return len(self.numbers)

    def places(self, table: Table, column: str, missing: str = "has no image") -> np.ndarray:
        """[R] int32, the place of the template that each row names.

        Raises UserError with file and line for a number that is none of the templates'; ``missing`` says
        what that means.
        """
        asked = table.whole[column]
        if self._table is not None:
            # The last cell holds -1: whatever is too large or negative is sent there.
            last = len(self._table) - 1
            inside = (asked >= 0) & (asked < last)
            found = self._table[asked if inside.all() else np.where(inside, asked, last)]
        else:
            found = np.searchsorted(self.numbers, asked).astype(np.int32)
            found[found == len(self.numbers)] = 0
            found[self.numbers[found] != asked] = -1
        unknown = found < 0
        if unknown.any():
            row = int(np.argmax(unknown))
            raise UserError(f"{table.where(row)}: template {asked[row]} {missing}")
        return found


def one_subject_each(table: Table, place: np.ndarray, column: str, count: int) -> np.ndarray:
    """[T] int64, the subject of each of ``count`` templates, all of which ``place`` [R] names.

    Raises UserError with file and line where a template's rows name two subjects, or one below 0.
    """
    subjects = table.whole[column]
    table.refuse(subjects < 0, f"{column} is negative")
    found = np.full(count, -1, np.int64)
    found[place[::-1]] = subjects[::-1]  # the first row of each template is written last
    table.refuse(found[place] != subjects, f"its template has another {column} on a line before")
    return found


def no_row_twice(table: Table, first: np.ndarray, second: np.ndarray, what: str) -> None:
    """Raise UserError with the line where two rows agree in both of ``first`` and ``second`` [R]."""
    order = np.lexsort((second, first))
    again = (np.diff(first[order]) == 0) & (np.diff(second[order]) == 0)
    if again.any():
        late = order[1:][again].min()
        raise UserError(f"{table.where(int(late))}: {what} is there already")
