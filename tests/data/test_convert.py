"""Claims about conversion: bytes stay, labels stay where they can, and nothing is half written."""

from __future__ import annotations

import itertools
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from urface.cli import main
from urface.data.convert import convert
from urface.data.decode import decode_image, encode_jpeg, encode_png
from urface.data.manifest import write_manifest
from urface.data.open import open_faces
from urface.data.pair_folder import read_pair_folder
from urface.data.source import FaceSource
from urface.data.verification_bin import read_verification_bin, write_verification_bin
from urface.types import UserError

RANDOM = np.random.default_rng(5)
FACES = {
    f"{who}/{shot}.{ending}": encode(RANDOM.integers(0, 256, (8, 8, 3), np.uint8))
    for who in ("00", "01", "02", "03")
    for shot, (ending, encode) in enumerate(
        (("jpg", encode_jpeg), ("png", encode_png), ("jpeg", encode_jpeg))
    )
}
TARGETS = ["out", "out.tar", "s-{000..N}.tar", "out/train.rec", "out/m.parquet", "out/m.csv"]


@pytest.fixture
def faces(tmp_path: Path) -> Path:
    for key, data in FACES.items():
        (tmp_path / "in" / key).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / key).write_bytes(data)
    return tmp_path / "in"


def contents(source: FaceSource) -> list[tuple[int, bytes]]:
    """Numbers of people, for a .rec writes them as short as they sort, and the bytes of their images."""
    return sorted(
        (int(source.identities[label]), source.read(place))
        for place, label in enumerate(source.labels)
    )


@pytest.mark.parametrize(("first", "second"), list(itertools.product(TARGETS, repeat=2)))
def test_every_way_through_two_containers_keeps_bytes_and_people(
    faces: Path, tmp_path: Path, first: str, second: str
) -> None:
    source = open_faces(faces)
    middle, end = tmp_path / "a" / first, tmp_path / "b" / second
    done = convert(source, middle, shard_bytes=9000, progress=False)
    assert (done.images, done.people, done.notes) == (12, 4, [])
    convert(open_faces(middle), end, shard_bytes=9000, progress=False)
    assert contents(open_faces(end)) == contents(source)
    assert list(tmp_path.rglob(".*")) == []


def test_variation_columns_are_kept_and_where_not_it_is_said(faces: Path, tmp_path: Path) -> None:
    keys = sorted(FACES)
    values = np.array([[0.25, np.nan]] * 6 + [[1.0, 0.5]] * 6, np.float32)
    people = ["ann", "bob"] * 6
    write_manifest(faces / "manifest.csv", keys, people, ["blur", "dark"], values)
    source = open_faces(faces)
    for target in TARGETS:
        if target.endswith(".rec"):
            continue
        convert(source, tmp_path / "a" / target, shard_bytes=20_000, progress=False)
        found = open_faces(tmp_path / "a" / target)
        assert found.keys == source.keys
        assert found.variation_names == ("blur", "dark")
        np.testing.assert_array_equal(found.variations, source.variations)
        assert [found.identities[label] for label in found.labels] == people
        for path in (tmp_path / "a").iterdir():
            path.rename(tmp_path / f"done-{path.name}-{target.partition('/')[2]}")
    done = convert(source, tmp_path / "r" / "train.rec", progress=False)
    assert done.notes == [
        "names of people are not kept: they are numbers 0 to 1",
        "columns are not kept: blur, dark",
    ]
    assert open_faces(tmp_path / "r").labels.tolist() == [0] * 6 + [1] * 6


def test_shards_stay_below_their_size_and_have_webdatasets_members(
    faces: Path, tmp_path: Path
) -> None:
    pattern = tmp_path / "s-{03..N}.tar"
    done = convert(open_faces(faces), pattern, shard_bytes=8192, progress=False)
    assert [path.name for path in done.files[:2]] == ["s-03.tar", "s-04.tar"]
    assert len(done.files) > 2
    seen: dict[str, bytes] = {}
    for path in done.files:
        with tarfile.open(path) as tar:
            members = tar.getmembers()
            assert members[-1].offset_data + 512 <= 8192
            for member in members:
                file = tar.extractfile(member)
                assert file is not None
                seen[member.name] = file.read()
    assert seen.pop("02/1.cls") == b"2"
    assert seen["02/1.png"] == FACES["02/1.png"]
    with pytest.raises(UserError, match="more shards than that"):
        convert(open_faces(faces), tmp_path / "t-{0..1}.tar", shard_bytes=8192, progress=False)
    assert not list(tmp_path.glob("*t-*"))


def test_webdatasets_flat_shards_are_read_by_their_cls(tmp_path: Path) -> None:
    import io

    def pack(path: Path, members: dict[str, bytes]) -> None:
        with tarfile.open(path, "w") as tar:
            for name, data in members.items():
                info = tarfile.TarInfo(name)
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))

    image = FACES["00/0.jpg"]
    for shard, labels in enumerate(([3, 12], [12, 100])):
        members = {}
        for number, label in enumerate(labels):
            members[f"{shard}{number}.jpg"] = image
            members[f"{shard}{number}.cls"] = f"{label}\n".encode()
        pack(tmp_path / f"w{shard}.tar", members)
    assert open_faces(tmp_path / "w0.tar").keys == ["03/00.jpg", "12/01.jpg"]
    with pytest.raises(UserError, match=r"not there: no shard"):
        open_faces(tmp_path / "v{0..N}.tar")
    for cls in (b"", b"a/b", b"..", b"x" * 300):
        pack(tmp_path / "bad.tar", {"0.jpg": image, "0.cls": cls})
        with pytest.raises(UserError, match=r"bad\.tar"):
            open_faces(tmp_path / "bad.tar")


@pytest.mark.parametrize("target", TARGETS)
def test_a_failure_leaves_nothing_and_what_exists_is_never_written_over(
    faces: Path, tmp_path: Path, target: str
) -> None:
    (faces / "03" / "9.jpg").symlink_to(tmp_path / "missing")
    with pytest.raises(UserError, match=r"03/9\.jpg"):
        convert(open_faces(faces), tmp_path / "o" / target, progress=False)
    assert [p for p in (tmp_path / "o").rglob("*") if p.is_file()] == []
    (faces / "03" / "9.jpg").unlink()
    convert(open_faces(faces), tmp_path / "o" / target, progress=False)
    with pytest.raises(UserError, match="exists already"):
        convert(open_faces(faces), tmp_path / "o" / target, progress=False)


def test_webp_becomes_png_for_record_readers_and_the_note_says_so(tmp_path: Path) -> None:
    import cv2

    pixels = RANDOM.integers(0, 256, (8, 8, 3), np.uint8)
    webp = cv2.imencode(".webp", pixels)[1].tobytes()
    (tmp_path / "in" / "0").mkdir(parents=True)
    (tmp_path / "in" / "0" / "x.webp").write_bytes(webp)
    source = open_faces(tmp_path / "in")
    done = convert(source, tmp_path / "o" / "train.rec", progress=False)
    assert done.notes == ["1 images were encoded anew, as PNG"]
    found = open_faces(tmp_path / "o")
    assert found.keys == ["0/1.png"]
    np.testing.assert_array_equal(found.image(0), decode_image(webp))
    convert(source, tmp_path / "o.tar", progress=False)
    assert open_faces(tmp_path / "o.tar").read(0) == webp


def test_images_in_celebas_frame_are_cut_to_the_template(tmp_path: Path) -> None:
    (tmp_path / "in" / "7").mkdir(parents=True)
    frame = RANDOM.integers(0, 256, (218, 178, 3), np.uint8)
    (tmp_path / "in" / "7" / "x.jpg").write_bytes(encode_jpeg(frame))
    source = replace(open_faces(tmp_path / "in"), celeba_frame=np.array([True]))
    done = convert(source, tmp_path / "o.tar", progress=False)
    assert done.notes == ["1 images were encoded anew, as PNG"]
    found = open_faces(tmp_path / "o.tar")
    assert found.keys == ["7/x.png"]
    np.testing.assert_array_equal(found.image(0), source.image(0))


def test_the_commands_convert_check_and_repair(
    faces: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rec, tar = tmp_path / "r" / "train.rec", tmp_path / "x.tar"
    assert main(["data", "convert", str(faces), str(rec)]) == 0
    assert capsys.readouterr().out == f"{rec}: 12 images of 4 people\n"
    assert main(["data", "check", str(rec)]) == 0
    assert "17 records, classic, 12 images of 4 people, 0 problems" in capsys.readouterr().err
    assert main(["data", "convert", str(rec), str(tar), "--swap-colours"]) == 0
    first = open_faces(tar)
    np.testing.assert_array_equal(first.image(0), decode_image(FACES["00/0.jpg"])[..., ::-1])
    rec.write_bytes(rec.read_bytes()[:-7])
    assert main(["data", "check", str(rec)]) == 2
    assert "truncated" in capsys.readouterr().out
    assert main(["data", "repair", str(rec)]) == 2
    assert main(["data", "repair", str(rec), "-o", str(tmp_path / "m" / "train.rec")]) == 0
    assert main(["data", "check", str(tmp_path / "m" / "train.rec")]) == 0
    assert main(["data", "convert", str(tar), str(tmp_path / "x.zip")]) == 2
    assert "a target must be" in capsys.readouterr().err


def test_a_set_of_pairs_becomes_plain_files_and_back(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = list(FACES.values())[:8]
    write_verification_bin(tmp_path / "x.bin", images, [True, False, False, True])
    assert main(["data", "convert", str(tmp_path / "x.bin"), str(tmp_path / "pairs")]) == 0
    assert capsys.readouterr().out.endswith("4 pairs, 2 of one person\n")
    assert (tmp_path / "pairs" / "images" / "000001.png").read_bytes() == images[1]
    lines = (tmp_path / "pairs" / "pairs.csv").read_text().splitlines()
    assert lines[:2] == ["left,right,same", "images/000000.jpg,images/000001.png,1"]
    found = read_pair_folder(tmp_path / "pairs")
    assert found.images == images
    assert main(["data", "convert", str(tmp_path / "pairs"), str(tmp_path / "y.bin")]) == 0
    assert read_verification_bin(tmp_path / "y.bin").images == images
    for arguments in (
        ["x.bin", "z.bin"],
        ["pairs", "other"],
        ["pairs", "y.bin"],
        ["x.bin", "pairs"],
    ):
        assert main(["data", "convert", *(str(tmp_path / name) for name in arguments)]) == 2


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("../a.jpg,images/0.jpg,1", "leads out"),
        ("/a.jpg,images/0.jpg,1", "leads out"),
        ("images/9.jpg,images/0.jpg,1", "cannot be read"),
        ("images/0.jpg,images/0.jpg,2", "0 or 1"),
        ("images/0.jpg,images/0.jpg", "0 or 1"),
        ("images/empty.jpg,images/0.jpg,1", "no or too many bytes"),
    ],
)
def test_a_bad_row_of_pairs_is_named_by_its_line(tmp_path: Path, row: str, reason: str) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "0.jpg").write_bytes(b"x")
    (tmp_path / "images" / "empty.jpg").write_bytes(b"")
    good = "images/0.jpg,images/0.jpg,1"
    (tmp_path / "pairs.csv").write_text(f"left,right,same\n{good}\n{row}\n")
    with pytest.raises(UserError, match=rf"pairs\.csv:3: .*{reason}"):
        read_pair_folder(tmp_path)


def test_two_images_that_differ_in_their_ending_alone_are_no_shards(tmp_path: Path) -> None:
    """webdataset has one .cls for both, and what would be written could not be read."""
    image = encode_png(np.zeros((8, 8, 3), np.uint8))
    (tmp_path / "faces" / "p").mkdir(parents=True)
    for name in ("a.png", "b.png"):
        (tmp_path / "faces" / "p" / name).write_bytes(image)
    source = open_faces(tmp_path / "faces")
    object.__setattr__(source, "keys", ["p/a.png", "p/a.PNG"])
    with pytest.raises(UserError, match="two images are named p/a but for their ending"):
        convert(source, tmp_path / "s-{0..1}.tar", progress=False)
    assert not list(tmp_path.glob("s-*"))
