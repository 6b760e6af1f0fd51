"""A log that a kill or another program damaged is read as far as it is one."""

from __future__ import annotations

from pathlib import Path

from urface.training.logs import Log, read_log

GOOD = b'{"stage": "embedding", "step": 3, "L_idt": 1.5}'
STRANGE = [b"5", b"\xff\xfe", b"[]", b"null", b"{}", b'{"stage": "embedding", "step": "x"}']


def test_lines_that_are_none_are_left_out_and_the_others_stay(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    for strange in STRANGE:
        path.write_bytes(b"\n".join([GOOD, strange, GOOD, GOOD[:-9]]))
        assert [line["step"] for line in read_log(path)] == [3, 3]
        with Log(tmp_path, "embedding", 4, 9, False) as log:
            log.write(5, {"L_idt": 1.0})
        assert [line["step"] for line in read_log(path)] == [3, 3, 5]
