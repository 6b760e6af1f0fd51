"""`urface align`: every outcome in the manifest, and a kill costs no photo that was finished."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from photos.aligning import DAMAGED, FACES, NONE, write_photos
from photos.made_detectors import yunet
from urface.cli import main
from urface.commands.given import find_faces
from urface.data.decode import encode_png, read_image
from urface.data.open import open_faces
from urface.photos import each_photo
from urface.photos.align import align_photos, counts, crop_begin
from urface.types import UserError


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(yunet(tmp_path_factory.mktemp("detector") / "y.onnx"))


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return write_photos(tmp_path / "photos")


def align(photos: Path, out: Path, detector: str, **more: object) -> pa.Table:
    sources = find_faces([str(photos)], photos=True)
    return align_photos(sources, out, detector=detector, progress=False, **more)  # type: ignore[arg-type]


def whole(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_every_photo_is_in_the_manifest_with_its_outcome(
    photos: Path, tmp_path: Path, detector: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "aligned"
    assert main(["align", str(photos), "-o", str(out), "--detector", detector]) == 0
    errors = capsys.readouterr().err
    assert f"{FACES} aligned, {NONE} no face, 0 too small, {DAMAGED} undecodable" in errors
    assert "undecodable: p0/damaged0.jpg: not a JPEG" in errors
    table = align(photos, out, detector)  # nothing left to do
    rows = {row["photo"]: row for row in table.to_pylist()}
    assert len(rows) == FACES + NONE + DAMAGED
    good = rows["p1/01.png"]
    assert (good["face"], good["faces"], good["identity"], good["rotation"]) == (1, 1, "p1", 0)
    assert good["path"] == "p1/01.png-1.png"
    assert (good["width"], good["height"]) == (90, 90)
    assert len(good["box"]) == 4
    assert len(good["points"]) == 10
    assert rows["p2/14.png"]["outcome"] == "no face"
    assert rows["p2/14.png"]["path"] is None
    assert rows["p0/damaged1.jpg"]["reason"]
    assert read_image(out / good["path"]).shape == (112, 112, 3)
    assert len(list(out.rglob("*.png"))) == FACES


def test_the_manifest_is_read_as_a_set_of_aligned_faces(
    photos: Path, tmp_path: Path, detector: str
) -> None:
    align(photos, tmp_path / "aligned", detector, manifest=tmp_path / "m.parquet")
    align(photos, tmp_path / "here", detector)
    for path in (tmp_path / "m.parquet", tmp_path / "here"):
        source = open_faces(path)
        assert len(source) == FACES
        assert source.identities == ["p0", "p1", "p2", "p3"]
        assert source.variation_names == ()  # a score or a width is no label
        assert source.image(0).shape == (112, 112, 3)


def test_a_finished_photo_is_not_done_again_and_a_changed_or_new_one_is(
    photos: Path, tmp_path: Path, detector: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    look = each_photo.look

    def watched(photo: each_photo.Photo, *more: object, **named: object) -> each_photo.Seen:
        done.append(photo.key)
        return look(photo, *more, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(each_photo, "look", watched)
    out = tmp_path / "aligned"
    first = align(photos, out, detector)
    assert len(done) == FACES + NONE + DAMAGED
    assert not (out / "manifest.parquet.journal").exists()
    before = (out / "manifest.parquet").stat().st_mtime_ns
    assert align(photos, out, detector).equals(first)
    assert len(done) == FACES + NONE + DAMAGED
    assert (out / "manifest.parquet").stat().st_mtime_ns == before
    done.clear()
    (photos / "p1" / "01.png").write_bytes(encode_png(np.full((70, 80, 3), 255, np.uint8)))
    (photos / "p1" / "new.png").write_bytes(encode_png(np.full((70, 80, 3), 255, np.uint8)))
    (out / "p3" / "03.png-1.png").unlink()
    (photos / "p3" / "07.png").unlink()
    table = align(photos, out, detector)
    assert sorted(done) == ["p1/01.png", "p1/new.png", "p3/03.png"]
    assert counts(table)["aligned"] == FACES  # one more, one less
    assert "p3/07.png" not in table["photo"].to_pylist()


@pytest.mark.parametrize("jobs", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_a_killed_run_goes_on_and_ends_as_if_undisturbed(
    photos: Path, tmp_path: Path, detector: str, jobs: int
) -> None:
    undisturbed = tmp_path / "undisturbed"
    align(photos, undisturbed, detector)
    out = tmp_path / "killed"
    journal = out / "manifest.parquet.journal"
    paths = [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    process = subprocess.Popen(
        [sys.executable, "-m", "photos.aligning", str(photos), str(out), detector, str(jobs)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
        stderr=subprocess.DEVNULL,
    )
    lines = 0
    while process.poll() is None and lines < 4:
        time.sleep(0.001)
        lines = journal.read_bytes().count(b"\n") if journal.exists() else 0
    process.send_signal(signal.SIGKILL)
    process.wait()
    if journal.exists():
        with journal.open("ab") as file:
            file.write(b'{"photo": "p1/05.png", "stamp')  # as if killed in a line
        for crop in out.rglob("[!.]*.png"):
            assert read_image(crop).shape == (112, 112, 3)  # none is half written
    align(photos, out, detector)
    assert whole(undisturbed) == {
        name: data
        for name, data in whole(out).items()
        if not name.rpartition("/")[2].startswith(".")
    }


def test_a_manifest_appended_to_row_by_row_would_lose_or_double_photos(tmp_path: Path) -> None:
    """The control: the same torn line in a plain list of what is done makes the next line unreadable."""
    naive = tmp_path / "list.jsonl"
    naive.write_bytes(b'{"photo": "a"}\n{"photo": "b", "st')
    with naive.open("ab") as file:
        file.write(b'{"photo": "b"}\n')
    lines = naive.read_text().splitlines()
    assert len(lines) == 2
    assert '"st{"photo"' in lines[1]


def test_two_processes_write_what_one_writes(photos: Path, tmp_path: Path, detector: str) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    align(photos, one, detector)
    align(photos, two, detector, jobs=2)
    assert whole(one) == whole(two)


@pytest.mark.slow
def test_a_process_that_is_killed_ends_the_run_with_one_line_and_nothing_finished_is_lost(
    photos: Path, tmp_path: Path, detector: str
) -> None:
    sources = find_faces([str(photos)], photos=True)
    found = each_photo.look_at_all(each_photo.photos_of(sources), detector, jobs=2)
    next(found)
    for child in multiprocessing.active_children():
        os.kill(child.pid, signal.SIGKILL)  # type: ignore[arg-type]
    with pytest.raises(UserError, match="a process that looks for faces was ended"):
        list(found)


def test_a_manifest_of_something_else_is_refused(
    photos: Path, tmp_path: Path, detector: str
) -> None:
    out = tmp_path / "aligned"
    align(photos, out, detector)
    with pytest.raises(UserError, match="another detector, --faces, --keep-names or output"):
        align(photos, out, detector, faces="all")
    with pytest.raises(UserError, match="or above it"):
        align(photos, out, detector, manifest=tmp_path / "elsewhere" / "m.parquet")
    with pytest.raises(UserError, match=r"written as \.parquet"):
        align(photos, out, detector, manifest=tmp_path / "m.csv")
    (tmp_path / "m.parquet").write_bytes(b"something")
    with pytest.raises(UserError, match="not a manifest of photos"):
        align(photos, out, detector, manifest=tmp_path / "m.parquet")
    other = tmp_path / "other"
    other.mkdir()
    (other / "x.png").write_bytes(encode_png(np.zeros((9, 9, 3), np.uint8)))
    with pytest.raises(UserError, match="manifest of other photos"):
        align(other, out, detector)
    with pytest.raises(UserError, match="jobs must be at least 1"):
        align(photos, tmp_path / "o", detector, jobs=0)


def test_photos_without_any_face_end_with_one_line(
    tmp_path: Path, detector: str, capsys: pytest.CaptureFixture[str]
) -> None:
    photo = tmp_path / "x.png"
    photo.write_bytes(encode_png(np.zeros((40, 40, 3), np.uint8)))
    out = tmp_path / "out"
    assert main(["align", str(photo), "-o", str(out), "--detector", detector]) == 2
    assert "no face in any of 1 photos" in capsys.readouterr().err
    assert (out / "manifest.parquet").is_file()


def test_crops_lie_below_the_folder_whatever_the_photo_is_called() -> None:
    for key in ("../../etc/a.jpg", "/etc/a.jpg", "./a.jpg", "a/../../a.jpg"):
        assert crop_begin(Path("out"), key).is_relative_to("out")
        assert ".." not in crop_begin(Path("out"), key).parts
    assert len(crop_begin(Path("out"), "x" * 250 + ".jpg").name) < 100


def test_crops_of_photos_that_are_gone_are_removed_and_nothing_else(
    photos: Path, tmp_path: Path, detector: str
) -> None:
    out = tmp_path / "aligned"
    align(photos, out, detector)
    (out / "mine.txt").write_text("kept")
    (photos / "p3" / "07.png").unlink()
    (photos / "p1" / "01.png").write_bytes(encode_png(np.zeros((60, 60, 3), np.uint8)))  # no face
    table = align(photos, out, detector)
    named = {path for path in table["path"].to_pylist() if path}
    assert {str(p.relative_to(out)) for p in out.rglob("*.png")} == named
    assert "p3/07.png-1.png" not in named
    assert (out / "mine.txt").read_text() == "kept"


def test_a_manifest_that_names_other_files_removes_none(
    photos: Path, tmp_path: Path, detector: str
) -> None:
    """Who can write a manifest must not choose what the next run deletes."""
    out = tmp_path / "aligned"
    precious = tmp_path / "precious.png"
    precious.write_bytes(b"mine")
    table = align(photos, out, detector)
    rows = table.to_pylist()
    for row in rows:
        if row["photo"] == "p3/07.png":
            row["path"] = "../precious.png"
    hostile = pa.Table.from_pylist(rows, table.schema)
    pq.write_table(hostile, out / "manifest.parquet")
    (photos / "p3" / "07.png").unlink()
    align(photos, out, detector)
    assert precious.read_bytes() == b"mine"


def test_a_folder_of_crops_among_the_photos_is_refused(
    photos: Path, tmp_path: Path, detector: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for out in (photos / "aligned", photos):
        assert main(["align", str(photos), "-o", str(out), "--detector", detector]) == 2
        assert "choose a folder outside" in capsys.readouterr().err
    assert not (photos / "aligned").exists()


def test_a_name_that_is_not_utf8_is_one_line(
    photos: Path, tmp_path: Path, detector: str, capsys: pytest.CaptureFixture[str]
) -> None:
    name = os.fsencode(photos / "p1") + b"/\xff.png"
    Path(os.fsdecode(name)).write_bytes(encode_png(np.zeros((60, 60, 3), np.uint8)))
    assert main(["align", str(photos), "-o", str(tmp_path / "o"), "--detector", detector]) == 2
    told = capsys.readouterr().err
    assert "not UTF-8" in told
    assert "Traceback" not in told


def test_names_are_kept_for_lists_that_name_them(
    photos: Path, tmp_path: Path, detector: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "lfw"
    given = ["align", str(photos), "-o", str(out), "--detector", detector, "--keep-names"]
    assert main(given) == 0
    table = pq.read_table(out / "manifest.parquet")
    rows = {row["photo"]: row["path"] for row in table.to_pylist()}
    assert rows["p1/01.png"] == "p1/01.png"
    assert all(
        path is None or path == f"{key[: key.rindex('.')]}.png" for key, path in rows.items()
    )
    assert {path for path in rows.values() if path} == {
        str(path.relative_to(out)) for path in out.rglob("*.png")
    }
    before = (out / "manifest.parquet").stat().st_mtime_ns
    assert main(given) == 0  # nothing left to do
    assert (out / "manifest.parquet").stat().st_mtime_ns == before
    for more in ([], ["--keep-names", "--faces", "all"]):
        capsys.readouterr()
        assert main([*given[:-1], *more]) == 2
        assert "--keep-names" in capsys.readouterr().err
    (photos / "p1" / "01.jpg").write_bytes((photos / "p1" / "01.png").read_bytes())
    assert main([*given[:3], str(tmp_path / "other"), *given[4:]]) == 2
    assert "its crops would be those of p1/01" in capsys.readouterr().err
