"""Claims about the numbers of templates."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from urface.benchmarks.columns import Table
from urface.benchmarks.template_rows import DENSE, TemplateIds, no_row_twice, one_subject_each
from urface.types import UserError


def table(**whole: list[int]) -> Table:
    columns = {name: np.array(values, np.int64) for name, values in whole.items()}
    rows = len(next(iter(columns.values())))
    return Table(Path("rows.txt"), 1, rows, columns, {}, {})


@pytest.mark.parametrize("spread", [1, DENSE])
@pytest.mark.parametrize("start", [0, -5])
def test_places_are_what_a_dictionary_says(spread: int, start: int) -> None:
    rng = np.random.default_rng(1)
    numbers = start + spread * rng.permutation(40)[:17]
    ids = TemplateIds(numbers)
    place_of = {number: place for place, number in enumerate(sorted(numbers.tolist()))}
    asked = rng.choice(numbers, 200)
    found = ids.places(table(t=asked.tolist()), "t")
    assert found.tolist() == [place_of[number] for number in asked.tolist()]


@pytest.mark.parametrize("spread", [1, DENSE])
def test_every_unknown_number_is_an_error_with_its_line_and_never_template_0(spread: int) -> None:
    known = [spread * number for number in (2, 3, 5)]
    ids = TemplateIds(np.array(known))
    for unknown in (
        0,
        -1,
        known[1] + 1,
        known[2] + 1,
        known[2] + 2,
        -known[0],
        2**62 - 1,
        -(2**62),
    ):
        with pytest.raises(UserError, match=rf"^rows.txt:2: template {unknown} has no image"):
            ids.places(table(t=[known[0], unknown, known[1]]), "t")


def test_a_template_with_two_subjects_is_refused_with_the_line() -> None:
    rows = table(SUBJECT=[7, 8, 7, 9])
    place = np.array([1, 0, 1, 1])
    with pytest.raises(UserError, match=r"rows.txt:4: its template has another SUBJECT"):
        one_subject_each(rows, place, "SUBJECT", 2)
    assert one_subject_each(table(SUBJECT=[7, 8, 7]), place[:3], "SUBJECT", 2).tolist() == [8, 7]
    with pytest.raises(UserError, match=r"rows.txt:2: SUBJECT is negative"):
        one_subject_each(table(SUBJECT=[7, -1]), place[:2], "SUBJECT", 2)


def test_a_row_that_is_there_twice_is_refused_with_its_second_line() -> None:
    first, second = np.array([1, 1, 2, 1, 2]), np.array([1, 2, 1, 2, 1])
    with pytest.raises(UserError, match=r"rows.txt:4: it is there already"):
        no_row_twice(table(a=[0] * 5), first, second, "it")
    no_row_twice(table(a=[0] * 3), first[:3], second[:3], "it")
