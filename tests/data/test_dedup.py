"""Claims about a cleaned copy: what it leaves out, and that nothing else is touched."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from urface.cli import main
from urface.data.decode import encode_png, resize_image
from urface.data.open import open_faces

from .copies import altered, faces, write


@pytest.fixture
def crowded(tmp_path: Path) -> Path:
    """Three people; a copy within one, a larger copy, one under two names, and a damaged file."""
    pictures = faces(people=3, shots=2)
    folder = write(tmp_path / "faces", pictures)
    small = resize_image(pictures["p00/0.png"], 32)
    (folder / "p00" / "0.png").write_bytes(encode_png(small))
    (folder / "p00" / "9.png").write_bytes(encode_png(pictures["p00/0.png"]))
    (folder / "p01" / "7.png").write_bytes(altered(pictures["p01/1.png"], "bytes"))
    (folder / "p02" / "8.jpg").write_bytes(altered(pictures["p01/0.png"], "jpeg"))
    (folder / "p02" / "9.png").write_bytes(b"no picture")
    return folder


LEFT_OUT = {
    "p00/0.png": "near",  # the smaller of two
    "p01/0.png": "near",  # under two names
    "p01/7.png": "bytes",
    "p02/8.jpg": "near",
    "p02/9.png": "corrupt",
}


def test_a_cleaned_copy_leaves_out_what_it_says_and_keeps_the_rest_byte_for_byte(
    crowded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {p: p.read_bytes() for p in crowded.rglob("*") if p.is_file()}
    out = tmp_path / "clean"
    assert main(["data", "dedup", str(crowded), str(out)]) == 0
    removed = pq.read_table(out / "removed.parquet").to_pylist()
    assert {row["key"]: row["kind"] for row in removed} == LEFT_OUT
    assert "under another identity" in next(r for r in removed if r["key"] == "p02/8.jpg")["words"]
    copy = open_faces(out)
    assert set(copy.keys) == {str(p.relative_to(crowded)) for p in before} - LEFT_OUT.keys()
    for key in copy.keys:
        assert (out / key).read_bytes() == before[crowded / key]
    assert {p: p.read_bytes() for p in crowded.rglob("*") if p.is_file()} == before
    assert "5 images, 5 left out" in capsys.readouterr().err
    assert main(["data", "check", str(out)]) == 0


def test_the_list_alone_copies_nothing(crowded: Path, tmp_path: Path) -> None:
    out = tmp_path / "removed.parquet"
    assert main(["data", "dedup", str(crowded), str(out), "--list"]) == 0
    assert pq.read_table(out)["key"].to_pylist() == list(LEFT_OUT)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["faces", "removed.parquet"]


def test_what_the_test_set_shows_is_left_out(crowded: Path, tmp_path: Path) -> None:
    test = tmp_path / "test" / "who"
    test.mkdir(parents=True)
    (test / "1.jpg").write_bytes(altered(faces(1, 2)["p00/1.png"], "jpeg"))
    out = tmp_path / "clean"
    assert main(["data", "dedup", str(crowded), str(out), "--against", str(test.parent)]) == 0
    rows = {row["key"]: row for row in pq.read_table(out / "removed.parquet").to_pylist()}
    assert rows.keys() == {*LEFT_OUT, "p00/1.png"}
    assert rows["p00/1.png"]["other_key"] == "who/1.jpg"
    assert rows["p00/1.png"]["other_set"] == str(test.parent)


def test_labels_of_variations_travel_with_the_images(tmp_path: Path) -> None:
    pictures = faces(people=2, shots=2)
    folder = write(tmp_path / "faces", pictures)
    rows = [f"{key},{key[:3]},0.{n}" for n, key in enumerate(pictures)]
    (folder / "manifest.csv").write_text("path,identity,pose\n" + "\n".join(rows) + "\n")
    out = tmp_path / "clean"
    assert main(["data", "dedup", str(folder), str(out)]) == 0
    copy = open_faces(out)
    assert copy.variation_names == ("pose",)
    assert copy.variations[:, 0] == pytest.approx([0.0, 0.1, 0.2, 0.3])


@pytest.mark.parametrize(
    ("target", "message"),
    [("faces", "is there already"), ("faces/in", "lies within"), ("made", "is there already")],
)
def test_nothing_is_ever_changed_in_place(
    crowded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], target: str, message: str
) -> None:
    (tmp_path / "made").mkdir()
    assert main(["data", "dedup", str(crowded), str(tmp_path / target)]) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.count("\n") == 1


def test_an_interrupted_copy_leaves_nothing(
    crowded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("urface.data.dedup.write_findings", full)
    assert main(["data", "dedup", str(crowded), str(tmp_path / "clean")]) == 2
    assert [p.name for p in tmp_path.iterdir()] == ["faces"]


def test_a_set_of_nothing_but_damage_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "faces" / "a").mkdir(parents=True)
    (tmp_path / "faces" / "a" / "0.png").write_bytes(b"x")
    assert main(["data", "dedup", str(tmp_path / "faces"), str(tmp_path / "clean")]) == 2
    assert "no image would be left" in capsys.readouterr().err
    assert np.array([p.name == "faces" for p in tmp_path.iterdir()]).all()
