"""Claims about text files of columns."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from urface.benchmarks.columns import LARGEST, Column, read_columns
from urface.types import UserError

ROW = [Column("name", "text"), Column("number", "whole"), Column("share", "real")]


def put(folder: Path, data: bytes | str) -> Path:
    file = folder / "rows.txt"
    file.write_bytes(data.encode() if isinstance(data, str) else data)
    return file


def refused(file: Path, **options: object) -> str:
    with pytest.raises(UserError) as error:
        read_columns(file, ROW, **options)  # type: ignore[arg-type]
    assert "\n" not in str(error.value)
    return str(error.value).removeprefix(str(file))


def test_columns_are_what_a_loop_over_lines_finds(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = [
        (f"n{rng.integers(0, 50)}", int(rng.integers(-99, 99)), float(rng.normal()))
        for _ in range(5000)
    ]
    file = put(tmp_path, "".join(f"{n} {i} {x!r}\n" for n, i, x in rows))
    table = read_columns(file, ROW)
    names, places = table.text["name"]
    assert [names[place] for place in places] == [row[0] for row in rows]
    assert names == list(dict.fromkeys(row[0] for row in rows))
    assert table.whole["number"].tolist() == [row[1] for row in rows]
    assert table.real["share"].tolist() == [row[2] for row in rows]
    assert len(table) == 5000
    assert table.where(7) == f"{file}:8"


def test_a_header_is_read_by_its_names_or_passed_over(tmp_path: Path) -> None:
    file = put(tmp_path, "other,share,name,number\n1,0.5,a,3\n\u00e9,1e2,b,4\n")
    named = read_columns(file, ROW, ",", "names")
    assert named.real["share"].tolist() == [0.5, 100.0]
    assert named.whole["number"].tolist() == [3, 4]
    assert named.where(1) == f"{file}:3"
    file = put(tmp_path, "a,b,c,d\nx,3,0.5,more\n")
    assert read_columns(file, ROW, ",", "any").whole["number"].tolist() == [3]


def test_windows_line_ends_a_byte_order_mark_and_no_last_line_end_are_read(tmp_path: Path) -> None:
    table = read_columns(put(tmp_path, b"\xef\xbb\xbfa 1 2\r\nb 2 3"), ROW)
    assert table.text["name"].names == ["a", "b"]


def test_an_empty_number_is_nan_only_where_it_may_be_empty(tmp_path: Path) -> None:
    columns = [Column("a", "real or empty"), Column("b", "whole")]
    table = read_columns(put(tmp_path, ",1\n2.5,2\n"), columns, ",")
    np.testing.assert_array_equal(table.real["a"], [np.nan, 2.5])


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("a 1", "2 fields, 3 are expected"),
        ("a 1 2 3", "4 fields"),
        ("", "name is empty"),
        ("a  1 2", "4 fields"),
        ("a x 2", "number is 'x', not a whole number"),
        ("a 1.0 2", "not a whole number"),
        (f"a {LARGEST + 1} 2", "too large"),
        (f"a {'9' * 40} 2", "not a whole number"),
        ("a  2", "number is"),
        (" 1 2", "name is"),
        ("a 1 two", "share is 'two', not a number"),
        ("a 1 nan", "share is not a finite number"),
        ("a 1 inf", "share is not a finite number"),
        ("a 1 1e999", "share is not a finite number"),
        ("a 1 ", "share is"),
        ("a\0 1 2", "zero byte"),
        ("\u3000a 1 2", "space"),
    ],
)
def test_a_malformed_row_is_refused_with_its_line(tmp_path: Path, line: str, why: str) -> None:
    message = refused(put(tmp_path, f"a 1 2\nb 2 3\n{line}\nc 4 5\n"))
    assert message.startswith(":3: ")
    assert why in message


def test_text_that_is_no_utf8_is_refused_with_its_line(tmp_path: Path) -> None:
    assert refused(put(tmp_path, b"a 1 2\n\xff 1 2\n")).startswith(":2: ")


def test_files_without_a_row_are_refused(tmp_path: Path) -> None:
    assert "no row" in refused(put(tmp_path, ""))
    assert "no row" in refused(put(tmp_path, "a,b,c\n"), delimiter=",", header="any")
    assert "cannot be read" in refused(tmp_path / "none.txt")
    assert "cannot be read" in refused(tmp_path)


def test_a_header_that_is_data_or_lacks_a_name_is_refused(tmp_path: Path) -> None:
    comma = {"delimiter": ",", "header": "any"}
    assert refused(put(tmp_path, "a,1,2\nb,1,2\n"), **comma).startswith(":1: ")
    assert refused(put(tmp_path, "img/a.jpg,x,y\nb,1,2\n"), **comma).startswith(":1: ")
    assert refused(put(tmp_path, "a,b\nb,1\n"), **comma).startswith(":1: ")
    by_name = {"delimiter": ",", "header": "names"}
    assert "share 0 times" in refused(put(tmp_path, "name,number\na,1\n"), **by_name)
    twice = refused(put(tmp_path, "name,number,share,name\na,1,2,b\n"), **by_name)
    assert "name 2 times" in twice


def test_a_repeated_name_is_refused_with_the_line_of_its_second_time(tmp_path: Path) -> None:
    table = read_columns(put(tmp_path, "a 1 2\nb 1 2\na 1 2\n"), ROW)
    with pytest.raises(UserError, match=":3: this name is there already"):
        table.refuse_repeats("name")
