"""Claims about the index of a RecordIO set: exact, small, and strict to the line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from urface.data import record_index
from urface.data.record_index import read_index
from urface.types import UserError

SIZE = 1 << 60


def write(folder: Path, text: str) -> Path:
    path = folder / "train.idx"
    path.write_bytes(text.encode("latin-1"))
    return path


@settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.dictionaries(
        st.integers(0, 10**18 - 1), st.integers(0, 10**17), min_size=1, max_size=60
    ).filter(lambda rows: len(set(rows.values())) == len(rows)),
    st.sampled_from(["\n", "\r\n"]),
    st.booleans(),
)
def test_the_columns_are_those_of_a_plain_loop_over_lines(
    tmp_path: Path, monkeypatch_piece: None, rows: dict[int, int], end: str, ended: bool
) -> None:
    text = end.join(f"{key}\t{4 * offset}" for key, offset in rows.items()) + (end if ended else "")
    found = read_index(write(tmp_path, text), SIZE)
    assert found.keys.tolist() == sorted(rows)
    assert found.offsets.tolist() == [4 * rows[key] for key in sorted(rows)]


@pytest.fixture
def monkeypatch_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record_index, "PIECE", 64)  # lines are cut by the pieces' ends


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("x\t4", "expected key<TAB>offset"),
        ("1 4", "expected key<TAB>offset"),
        ("1\t4\t4", "expected key<TAB>offset"),
        ("1", "expected key<TAB>offset"),
        ("", "expected key<TAB>offset"),
        ("\t4", "expected key<TAB>offset"),
        ("1\t", "expected key<TAB>offset"),
        ("-1\t4", "expected key<TAB>offset"),
        ("1.0\t4", "expected key<TAB>offset"),
        ("1\t4e3", "expected key<TAB>offset"),
        ("1\t" + "9" * 19, "expected key<TAB>offset"),
        ("1\t\xb2", "expected key<TAB>offset"),
        ("1\t6", "no multiple of 4"),
        ("1\t996", "past the end"),
        ("0\t8", "key 0 occurs twice"),
    ],
)
def test_a_bad_line_is_named_by_its_number(
    tmp_path: Path, monkeypatch_piece: None, line: str, reason: str
) -> None:
    lines = [f"{key}\t{4 * key}" for key in range(30, 60)]
    path = write(tmp_path, "\n".join(["0\t0", *lines, line, "2\t16"]) + "\n")
    with pytest.raises(UserError, match=rf"{path}:32: .*{reason}"):
        read_index(path, 1000)


def test_two_keys_at_one_offset_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="keys 1 and 3 both begin at byte 4"):
        read_index(write(tmp_path, "1\t4\n2\t8\n3\t4\n"), 1000)


@pytest.mark.parametrize("text", ["", "\n", "7" * 10_000])
def test_what_is_no_index_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(UserError, match=r"train\.idx"):
        read_index(write(tmp_path, text), 1000)


def test_a_million_lines_take_sixteen_bytes_each(tmp_path: Path) -> None:
    import tracemalloc

    path = tmp_path / "train.idx"
    path.write_text("".join(f"{key}\t{4096 * key}\n" for key in range(1_000_000)))
    tracemalloc.start()
    found = read_index(path, SIZE)
    held, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert np.array_equal(found.offsets, 4096 * np.arange(1_000_000))
    assert held < 17e6
    assert peak < 60e6
