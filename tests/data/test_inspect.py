"""Claims about `urface data inspect` and `check` on sets with faults."""

from __future__ import annotations

import json
import struct
import zlib
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from urface.cli import main
from urface.data.decode import encode_jpeg, encode_png
from urface.data.inspect import inspect_source
from urface.data.open import open_faces

from .copies import altered, faces, write


def bomb() -> bytes:
    """A PNG of 72 bytes that claims 400 million pixels."""
    body = struct.pack(">IIBBBBB", 20_000, 20_000, 8, 2, 0, 0, 0)
    parts = []
    for name, data in ((b"IHDR", body), (b"IDAT", b""), (b"IEND", b"")):
        parts.append(struct.pack(">I", len(data)) + name + data)
        parts.append(struct.pack(">I", zlib.crc32(name + data)))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """One person of three images, one of one, one of a bomb and a truncated JPEG."""
    jpeg = encode_jpeg(np.zeros((40, 30, 3), np.uint8))
    contents = {
        "al/0.png": encode_png(np.zeros((20, 10, 3), np.uint8)),
        "al/1.png": encode_png(np.ones((20, 10, 3), np.uint8)),
        "al/2.jpg": jpeg,
        "bo/0.jpg": encode_jpeg(np.full((40, 30, 3), 90, np.uint8)),
        "cy/0.png": bomb(),
        "cy/1.jpg": jpeg[:-2],
    }
    for key, data in contents.items():
        (tmp_path / key).parent.mkdir(exist_ok=True)
        (tmp_path / key).write_bytes(data)
    return tmp_path


def test_inspect_counts_formats_sizes_and_broken_headers(
    mixed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["data", "inspect", str(mixed), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["images"], said["people"], said["people_with_one"]) == (6, 3, 1)
    assert said["formats"] == {"PNG": 2, "JPEG": 2}
    assert said["sizes"] == {"10x20": 2, "30x40": 2}
    assert [key for key, _ in said["broken"]] == ["cy/0.png", "cy/1.jpg"]
    assert "20000 x 20000" in said["broken"][0][1]
    assert said["per_person"] == pytest.approx(
        {"0.0": 1, "0.05": 1.1, "0.25": 1.5, "0.5": 2, "0.75": 2.5, "0.95": 2.9, "1.0": 3}
    )
    assert said["file_bytes"] == sum(p.stat().st_size for p in mixed.rglob("*.*"))


def test_inspect_speaks_to_people_too(mixed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [f"{key},x,{value}" for key, value in (("al/0.png", 0.5), ("al/1.png", ""))]
    (mixed / "manifest.csv").write_text("path,identity,pose\n" + "\n".join(rows) + "\n")
    assert main(["data", "inspect", str(mixed)]) == 0
    out = capsys.readouterr().out
    assert "images             2\n" in out
    assert "sizes              10x20 (2)\n" in out
    assert "  pose             0.500  1 images" in out


def test_a_sample_is_spread_over_the_set(mixed: Path) -> None:
    contents = inspect_source(open_faces(mixed), sample=3, progress=False)
    assert (contents.looked_at, contents.images) == (3, 6)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("x.tar", b"\x1f\x8b" + bytes(600)),
        ("x.tar", b"not a tar" * 100),
        ("x.parquet", b"PAR1 nothing PAR1"),
        ("x.csv", b"path,identity\n../../etc/passwd,a\n"),
        ("x.csv", b"\xff\xfe\x00"),
        ("x.bin", b"\x80\x04."),
    ],
)
@pytest.mark.parametrize("command", ["inspect", "check", "dedup"])
def test_a_malformed_or_hostile_file_is_one_line_and_exit_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str, name: str, data: bytes
) -> None:
    (tmp_path / name).write_bytes(data)
    more = [str(tmp_path / "out")] if command == "dedup" else []
    assert main(["data", command, str(tmp_path / name), *more]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert name in captured.err


def test_check_names_duplicates_and_shared_names(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pictures = faces(people=2, shots=2)
    one = write(tmp_path / "one", pictures)
    assert main(["data", "check", str(one)]) == 0
    assert capsys.readouterr().out == ""
    other = tmp_path / "other" / "P01"
    other.mkdir(parents=True)
    (other / "x.jpg").write_bytes(altered(pictures["p00/0.png"], "jpeg"))
    (one / "p01" / "copy.png").write_bytes(altered(pictures["p01/0.png"], "bytes"))
    found = tmp_path / "found.parquet"
    code = main(["data", "check", str(one), "--against", str(other.parent), "-o", str(found)])
    assert code == 2
    captured = capsys.readouterr()
    lines = captured.out.splitlines()
    assert lines[0] == "p01/copy.png: the same bytes as p01/0.png"
    assert lines[1].startswith(f"p00/0.png: nearly the same as P01/x.jpg in {other.parent} (")
    assert len(lines) == 2  # p01 is a number and not a name
    table = pq.read_table(found).to_pylist()
    assert [row["kind"] for row in table] == ["bytes", "near"]
    assert (
        "1 images are there twice (0 by bytes, 0 by pixels, 1 by look) shared with" in captured.err
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--near", "11"], "--near must be from 0 to 10"),
        (["--false-flags", "1.5"], "--false-flags must lie"),
        (["-o", "x.txt"], "findings are written as .parquet"),
    ],
)
def test_check_refuses_what_it_cannot_do_before_it_reads(
    capsys: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    assert main(["data", "check", "nowhere", *options]) == 2
    assert message in capsys.readouterr().err
