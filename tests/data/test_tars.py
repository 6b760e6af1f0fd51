"""Claims about tars: read in place, at random, from any thread; hostile ones refused (G27)."""

from __future__ import annotations

import contextlib
import io
import os
import pickle
import tarfile
import time
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from urface.data.decode import DecodeError, encode_png
from urface.data.folders import read_folder
from urface.data.manifest import write_manifest
from urface.data.open import open_faces
from urface.data.tar_index import index_tar
from urface.data.tars import read_tar
from urface.types import UserError


def picture(level: int) -> bytes:
    return encode_png(np.full((8, 8, 3), level, np.uint8))


FACES = {
    f"{who}/{n}.png": picture(10 * n + len(who)) for who in ("a", "bb", "ccc") for n in range(3)
}


def make_tar(path: Path, members: dict[str, bytes], form: int = tarfile.PAX_FORMAT) -> Path:
    with tarfile.open(path, "w", format=form) as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


@pytest.fixture
def tar(tmp_path: Path) -> Path:
    return make_tar(tmp_path / "faces.tar", FACES)


def test_folder_tar_and_manifest_of_the_same_images_are_the_same_source(tmp_path: Path) -> None:
    for key, data in FACES.items():
        (tmp_path / "f" / key).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "f" / key).write_bytes(data)
    shuffled = dict(sorted(FACES.items(), key=lambda item: hash(item[1])))
    make_tar(tmp_path / "t.tar", {f"some/where/{key}": data for key, data in shuffled.items()})
    keys = sorted(FACES)
    write_manifest(tmp_path / "f" / "list.csv", keys, [key.split("/")[0] for key in keys])
    folder = read_folder(tmp_path / "f")
    for other in (open_faces(tmp_path / "t.tar"), open_faces(tmp_path / "f" / "list.csv")):
        assert other.keys == folder.keys == keys
        assert other.identities == folder.identities
        np.testing.assert_array_equal(other.labels, folder.labels)
        assert [other.read(i) for i in range(9)] == [folder.read(i) for i in range(9)]


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_every_tar_dialect_and_long_names_are_read(tmp_path: Path, form: int) -> None:
    faces = {f"{'d' * 90}/{'p' * 60}/1.png": picture(1), f"{'d' * 90}/q/2.png": picture(2)}
    if form != tarfile.USTAR_FORMAT:
        faces["d" * 90 + "/" + "\u00eb" * 120 + "/" + "n" * 240 + ".png"] = picture(3)
    source = read_tar(make_tar(tmp_path / "x.tar", faces, form))
    assert source.keys == sorted("/".join(key.split("/")[-2:]) for key in faces)
    assert sorted(source.read(i) for i in range(len(source))) == sorted(faces.values())


def test_a_tar_packed_from_within_its_folder_is_read(tmp_path: Path) -> None:
    source = read_tar(make_tar(tmp_path / "x.tar", {f"./{k}": v for k, v in FACES.items()}))
    assert source.keys == sorted(FACES)


def test_threads_forks_and_spawned_workers_read_the_right_bytes(tar: Path) -> None:
    source = read_tar(tar)
    expected = [FACES[key] for key in source.keys]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(source.read, list(range(9)) * 50)) == expected * 50
    copy = pickle.loads(pickle.dumps(source.read_bytes))  # what a spawned worker receives
    assert [copy(i) for i in range(9)] == expected


def test_the_descriptor_is_closed_with_the_source(tar: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    sources = [read_tar(tar) for _ in range(5)]
    assert len(os.listdir("/proc/self/fd")) == before + 5
    del sources
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_manifest_inside_labels_the_images(tmp_path: Path) -> None:
    write_manifest(
        tmp_path / "m.parquet", ["a/1.png", "bb/0.png"], ["x", "y"], ["blur"], [[0.5], [np.nan]]
    )
    table = (tmp_path / "m.parquet").read_bytes()
    for top in ("", "top/"):
        members = {f"{top}{key}": data for key, data in FACES.items()}
        members[f"{top}manifest.parquet"] = table
        source = open_faces(make_tar(tmp_path / "x.tar", members))
        assert source.keys == ["a/1.png", "bb/0.png"]
        assert source.variation_names == ("blur",)
        assert source.read(1) == FACES["bb/0.png"]
    del members["top/a/1.png"]
    with pytest.raises(UserError, match=r"no member top/a/1\.png"):
        open_faces(make_tar(tmp_path / "x.tar", members))
    with pytest.raises(UserError, match="two manifests"):
        open_faces(make_tar(tmp_path / "x.tar", members | {"top/manifest.csv": b""}))


def test_images_at_differing_depths_are_refused(tmp_path: Path) -> None:
    for name in ("x.png", "d/e/x.png"):
        with pytest.raises(UserError, match="out of place"):
            read_tar(make_tar(tmp_path / "x.tar", FACES | {name: picture(1)}))
    with pytest.raises(UserError, match="no image found"):
        read_tar(make_tar(tmp_path / "x.tar", {"a/notes.txt": b"x", "a/._0.png": b"x"}))


@pytest.mark.parametrize("mode", ["w:gz", "w:bz2", "w:xz"])
def test_a_compressed_tar_says_decompress_it(tmp_path: Path, mode: str) -> None:
    path = tmp_path / f"x.tar.{mode[2:]}"
    with tarfile.open(path, mode) as tar:
        tar.addfile(tarfile.TarInfo("a"))
    with pytest.raises(UserError, match="decompress it"):
        open_faces(path)


@pytest.mark.parametrize(
    "name", ["../a/x.png", "/etc/x.png", "a/../../x.png", "a/./x.png", "a//x.png", ".."]
)
def test_a_name_that_leads_elsewhere_is_refused(tmp_path: Path, name: str) -> None:
    for form in (tarfile.USTAR_FORMAT, tarfile.PAX_FORMAT):
        path = make_tar(tmp_path / "x.tar", FACES | {name: picture(1)}, form)
        with pytest.raises(UserError, match=r"at byte \d+: the member name"):
            index_tar(path)


@pytest.mark.parametrize(
    "kind",
    [
        tarfile.SYMTYPE,
        tarfile.LNKTYPE,
        tarfile.CHRTYPE,
        tarfile.BLKTYPE,
        tarfile.FIFOTYPE,
        b"S",
        b"V",
    ],
)
def test_links_devices_and_unknown_kinds_are_refused(tmp_path: Path, kind: bytes) -> None:
    path = tmp_path / "x.tar"
    with tarfile.open(path, "w") as tar:
        info = tarfile.TarInfo("a/x.png")
        info.type, info.linkname = kind, "/etc/passwd"
        tar.addfile(info)
    with pytest.raises(UserError, match=r"at byte 0: 'a/x\.png' is"):
        index_tar(path)


def test_duplicates_are_refused_also_when_only_the_accent_is_written_otherwise(
    tmp_path: Path,
) -> None:
    path = tmp_path / "x.tar"
    for first, second in (("a/x.png", "a/x.png"), ("\u00eb/x.png", "e\u0308/x.png")):
        with tarfile.open(path, "w") as tar:
            for name in (first, second):
                tar.addfile(tarfile.TarInfo(name))
        assert unicodedata.normalize("NFC", second) == first
        with pytest.raises(UserError, match="two member entries"):
            index_tar(path)
    with pytest.raises(UserError, match="two image entries"):
        read_tar(make_tar(path, {"s/a/x.png": b"1", "t/a/x.png": b"2"}))


def test_a_tar_cut_anywhere_is_refused(tar: Path) -> None:
    whole = tar.read_bytes().rstrip(b"\0")
    ends = [m.offset + (m.size + 511) // 512 * 512 for m in index_tar(tar)]
    for length in [0, 1, 511, 512, 700, *ends, *range(1024, len(whole), 997)]:
        tar.write_bytes(whole[:length])
        with pytest.raises(UserError, match="truncated tar"):
            index_tar(tar)


def test_a_damaged_header_in_the_middle_is_refused_not_taken_for_the_end(tar: Path) -> None:
    data = bytearray(tar.read_bytes())
    second = index_tar(tar)[1].offset - 512
    data[second + 130] ^= 0x01
    tar.write_bytes(data)
    with tarfile.open(tar) as reader:
        assert len(reader.getmembers()) == 1  # the silent loss that this guards against
    with pytest.raises(UserError, match=rf"at byte {second}: .* does not add up"):
        index_tar(tar)


def test_impossible_sizes_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.tar"
    for field in (
        b"\xff" * 12,
        b"\x80" + b"\xff" * 11,
        b"77777777777\0",
        b"-0000000001\0",
        b"9" * 12,
    ):
        header = bytearray(tarfile.TarInfo("a/x.png").tobuf())
        header[124:136] = field
        header[148:156] = b" " * 8
        header[148:156] = b"%06o\0 " % sum(header)
        path.write_bytes(bytes(header) + bytes(1024))
        with pytest.raises(UserError, match=r"runs past the end|not a number"):
            index_tar(path)


@pytest.mark.parametrize("rounds", [300, pytest.param(10_000, marks=pytest.mark.slow)])
def test_mutated_tars_are_read_or_refused_and_write_nothing(tmp_path: Path, rounds: int) -> None:
    random = np.random.default_rng(27)
    members = FACES | {f"{'l' * 120}/x.png": picture(1)}
    seeds = [
        make_tar(tmp_path / "seed.tar", members, form).read_bytes()
        for form in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT)
    ]
    path = tmp_path / "x.tar"
    before = set(os.listdir(tmp_path)) | {"x.tar"}
    for number in range(rounds):
        data = bytearray(seeds[number % 2])
        header = int(random.integers(len(data) // 512)) * 512
        data[header + int(random.integers(512))] = int(random.integers(256))
        if random.random() < 0.7:  # mend the sum, so that the damage is met further in
            data[header + 148 : header + 156] = b" " * 8
            data[header + 148 : header + 156] = b"%06o\0 " % sum(data[header : header + 512])
        path.write_bytes(data)
        with contextlib.suppress(UserError):
            source = read_tar(path)
            for index in range(len(source)):
                source.read(index)
    assert set(os.listdir(tmp_path)) == before


def test_a_tar_that_shrinks_while_open_gives_a_decode_error_with_the_key(tar: Path) -> None:
    source = read_tar(tar)
    os.truncate(tar, 600)
    with pytest.raises(DecodeError, match=r"^ccc/2\.png: cannot be read"):
        source.image(8)


def test_three_thousand_members_are_indexed_within_a_second(tmp_path: Path) -> None:
    path = tmp_path / "x.tar"
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for number in range(3000):
            tar.addfile(tarfile.TarInfo(f"t/{number // 10:05d}/{number}.jpg"))
    start = time.perf_counter()
    assert len(read_tar(path)) == 3000
    assert time.perf_counter() - start < 1
