"""Claims about RecordIO sets: both layouts read and written, every kind of damage named."""

from __future__ import annotations

import os
import pickle
import struct
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from mutation import SLOWEST, refused
from urface.data.decode import DecodeError, encode_jpeg, encode_png
from urface.data.open import open_faces
from urface.data.record_check import check_records
from urface.data.record_frames import MAGIC_BYTES, read_extent, read_payload, write_frames
from urface.data.record_source import read_layout, read_records
from urface.data.record_write import write_records
from urface.data.records import HEADER, open_records, parse_record
from urface.types import UserError


def picture(level: int) -> bytes:
    return (encode_png if level % 2 else encode_jpeg)(np.full((8, 8, 3), level, np.uint8))


IMAGES = [(label, picture(20 * label + shot)) for label in range(12) for shot in range(3)]
LAYOUTS = ("classic", "header-less")


@pytest.fixture(params=LAYOUTS)
def written(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    write_records(tmp_path / "train.rec", IMAGES, request.param)
    return tmp_path / "train.rec"


def raw_set(folder: Path, payloads: dict[int, bytes]) -> Path:
    """A set of whatever records, in the order given."""
    with open(folder / "train.rec", "wb") as rec, open(folder / "train.idx", "w") as idx:
        for key, payload in payloads.items():
            idx.write(f"{key}\t{rec.tell()}\n")
            write_frames(rec, payload)
    return folder / "train.rec"


def test_both_layouts_give_back_every_image_and_label(written: Path) -> None:
    source = open_faces(written)
    assert [source.read(i) for i in range(len(source))] == [data for _, data in IMAGES]
    assert source.labels.tolist() == [label for label, _ in IMAGES]
    assert source.identities == [f"{label:02d}" for label in range(12)]
    endings = {Path(key).suffix for key in source.keys}
    assert endings == {".jpg", ".png"}
    assert open_faces(written.parent).keys == source.keys  # the folder it lies in will do


def test_the_bytes_are_those_that_the_format_demands(tmp_path: Path) -> None:
    """Checked against the format's description with struct alone, not with our reader."""
    write_records(tmp_path / "train.rec", IMAGES, "classic")
    data = (tmp_path / "train.rec").read_bytes()
    lines = (tmp_path / "train.idx").read_text().splitlines()
    offsets = {int(key): int(offset) for key, offset in (line.split("\t") for line in lines)}
    assert sorted(offsets) == list(range(1 + 36 + 12))

    def payload(key: int) -> bytes:
        magic, word = struct.unpack_from("<II", data, offsets[key])
        assert (magic, word >> 29) == (0xCED7230A, 0)
        start = offsets[key] + 8
        padding = data[start + word : start + word + -word % 4]
        assert padding == bytes(len(padding))
        return data[start : start + word]

    assert struct.unpack("<IfQQff", payload(0)) == (2, 0.0, 0, 0, 37.0, 49.0)
    for number, (label, image) in enumerate(IMAGES, start=1):
        assert payload(number) == struct.pack("<IfQQ", 0, label, number, 0) + image
    for who in range(12):
        expected = (2, 0.0, 37 + who, 0, 1.0 + 3 * who, 4.0 + 3 * who)
        assert struct.unpack("<IfQQff", payload(37 + who)) == expected
    assert (tmp_path / "property").read_text() == "12,8,8\n36\n"


def test_a_label_array_gives_its_first_element(tmp_path: Path) -> None:
    payloads = {
        key: struct.pack("<IfQQ3f", 3, 0.0, key, 0, 7.0, 1.5, 2.5) + picture(key)
        for key in range(4)
    }
    source = read_records(raw_set(tmp_path, payloads))
    assert source.identities == ["7"]
    assert source.read(3) == picture(3)
    assert check_records(tmp_path / "train.rec", progress=False).problems == []


def test_record_0_after_the_images_is_read_as_insightfaces_packer_writes_it(tmp_path: Path) -> None:
    payloads = {key: HEADER.pack(0, 5.0, key, 0) + picture(key) for key in (1, 2)}
    payloads[0] = HEADER.pack(2, 0.0, 0, 0) + struct.pack("<2f", 3, 4)
    payloads[3] = HEADER.pack(2, 0.0, 3, 0) + struct.pack("<2f", 1, 3)
    file = open_records(raw_set(tmp_path, payloads))
    layout = read_layout(file)
    assert (layout.classic, layout.images.tolist(), layout.identities.tolist()) == (
        True,
        [1, 2],
        [3],
    )
    assert file.keys.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("at", [[24], [24, 28], [0], [40, 64], [41], [24, 60]])
def test_a_magic_number_in_an_image_is_split_and_put_back(tmp_path: Path, at: list[int]) -> None:
    payload = bytearray(HEADER.pack(0, 1.0, 2, 3) + bytes(range(41)))
    for place in at:
        payload[place : place + 4] = MAGIC_BYTES
    path = tmp_path / "x"
    with open(path, "wb") as out:
        size = write_frames(out, bytes(payload))
        write_frames(out, b"next")
    data = path.read_bytes()
    aligned = [place for place in at if place % 4 == 0]
    magics = [p for p in range(0, size, 4) if data[p : p + 4] == MAGIC_BYTES]
    assert len(magics) == 1 + len(aligned)  # none but where a part begins
    descriptor = os.open(path, os.O_RDONLY)
    try:
        assert read_payload(descriptor, 0) == payload
        extent = read_extent(descriptor, 0, len(data), 44)
        assert (extent.end, extent.head) == (size, payload[:44])
        assert read_payload(descriptor, size) == b"next"
    finally:
        os.close(descriptor)


def test_the_short_way_to_an_image_gives_what_the_long_one_does(tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    payloads = {}
    for key, length in enumerate((0, 1, 16_351, 16_352, 16_353, 40_000, 100)):
        labels = random.random(key % 3, np.float32).tobytes()
        image = bytearray(random.bytes(length))
        if length == 100:
            image[40:44] = MAGIC_BYTES
        payloads[key] = HEADER.pack(key % 3, 1.0, key, 0) + labels + bytes(image)
    file = open_records(raw_set(tmp_path, payloads))
    for place in range(len(payloads)):
        assert file.image(place) == file.read(place).image


def test_threads_and_spawned_workers_read_the_right_records(written: Path) -> None:
    source = open_faces(written)
    expected = [data for _, data in IMAGES]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(source.read, list(range(36)) * 30)) == expected * 30
    copy = pickle.loads(pickle.dumps(source.read_bytes))
    assert [copy(i) for i in range(36)] == expected


def test_the_descriptor_is_closed_with_the_file(written: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    files = [open_records(written) for _ in range(5)]
    assert len(os.listdir("/proc/self/fd")) == before + 5
    del files
    assert len(os.listdir("/proc/self/fd")) == before


def damaged(path: Path, offset: int, new: bytes) -> None:
    data = bytearray(path.read_bytes())
    data[offset : offset + len(new)] = new
    path.write_bytes(data)


def test_each_damage_of_a_record_names_file_key_and_offset(written: Path) -> None:
    file = open_records(written)
    place = 5
    key, offset = file.keys[place], int(file.offsets[place])
    whole = written.read_bytes()
    where = rf"{written}: record {key} at byte {offset}: .*"
    for new, reason in (
        (b"\0\0\0\0", "no record begins here"),
        (MAGIC_BYTES + struct.pack("<I", (1 << 29) - 1), "at most .* are read"),
        (MAGIC_BYTES + struct.pack("<I", 2 << 29 | 8), "a part of the kind middle"),
        (MAGIC_BYTES + struct.pack("<I", 5 << 29 | 8), r"of the kind unknown \(5\)"),
        (MAGIC_BYTES + struct.pack("<I", 1 << 29 | 8), "no record begins here"),
        (MAGIC_BYTES + struct.pack("<I", 20), "a record of 20 bytes: it ends within its labels"),
        (MAGIC_BYTES + struct.pack("<I", 9_000_000), "truncated"),
        (whole[offset : offset + 8] + struct.pack("<I", 4000), "ends within its 4000 labels"),
        (whole[offset : offset + 8] + struct.pack("<I", 1 << 31), "labels: at most"),
    ):
        damaged(written, offset, new)
        with pytest.raises(DecodeError, match=where + reason):
            open_records(written).read(place)
        with pytest.raises(DecodeError, match=where + reason):
            open_records(written).head(place)
        written.write_bytes(whole)


def test_a_length_beyond_the_cap_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "train.rec"
    with open(path, "wb") as out:
        out.write(MAGIC_BYTES + struct.pack("<I", 400_000_000))
        out.truncate(500_000_000)  # sparse: the bytes it promises are there
    (tmp_path / "train.idx").write_text("0\t0\n")
    with pytest.raises(DecodeError, match="a record of 400,000,000 bytes: at most"):
        open_records(path).read(0)


def test_parts_beyond_the_cap_are_refused(tmp_path: Path) -> None:
    part = bytes(4_000_000)
    with open(tmp_path / "train.rec", "wb") as out:
        for number in range(5):
            kind = 1 if number == 0 else 2
            out.write(MAGIC_BYTES + struct.pack("<I", kind << 29 | len(part)) + part)
    (tmp_path / "train.idx").write_text("0\t0\n")
    with pytest.raises(DecodeError, match="a record of more than"):
        open_records(tmp_path / "train.rec").read(0)


@pytest.mark.parametrize("label", [0.5, -1.0, float("nan"), float("inf"), float(1 << 24)])
def test_a_label_that_is_no_exact_number_is_refused(tmp_path: Path, label: float) -> None:
    path = raw_set(tmp_path, {3: HEADER.pack(0, label, 3, 0) + picture(1)})
    with pytest.raises(DecodeError, match=rf"{path}: record 3 at byte 0: label .*whole number"):
        read_records(path)


@pytest.mark.parametrize(
    "counts", [(37.0, 50.0), (0.0, 1.0), (5.5, 49.0), (60.0, 49.0), (9e9, 9e9)]
)
def test_counts_that_the_keys_do_not_have_are_refused(
    tmp_path: Path, counts: tuple[float, float]
) -> None:
    path = tmp_path / "train.rec"
    write_records(path, IMAGES, "classic")
    file = open_records(path)
    damaged(path, int(file.offsets[0]) + 8 + 24, struct.pack("<2f", *counts))
    with pytest.raises(UserError, match=r"record 0 at byte \d+: "):
        read_records(path)


def test_a_pickle_in_place_of_an_image_is_only_an_undecodable_image(tmp_path: Path) -> None:
    bomb = b"cos\nsystem\n(S'echo'\ntR."
    source = read_records(raw_set(tmp_path, {0: HEADER.pack(0, 1.0, 0, 0) + bomb}))
    with pytest.raises(DecodeError, match=r"^1/0\.jpg: not a JPEG"):
        source.image(0)


def test_a_missing_index_says_how_to_build_it(written: Path) -> None:
    written.with_suffix(".idx").unlink()
    with pytest.raises(UserError, match="urface data repair"):
        open_faces(written)


def test_the_writer_refuses_what_no_reader_could_use(tmp_path: Path) -> None:
    path = tmp_path / "train.rec"
    for images, reason in (
        ([(1 << 24, picture(1))], "float32"),
        ([(-1, picture(1))], "float32"),
        ([(0, picture(1)), (1, picture(2)), (0, picture(3))], "do not follow each other"),
        ([(0, b"GIF89a")], "not a JPEG"),
        ([(0, WEBP)], "WebP"),
        ([], "no image"),
    ):
        with pytest.raises(UserError, match=reason):
            write_records(path, images, "classic")
        assert list(tmp_path.iterdir()) == []  # whole or not at all
    write_records(path, [(0, picture(1)), (1, picture(2)), (0, picture(3))], "header-less")
    with pytest.raises(UserError, match="exists already"):
        write_records(path, IMAGES, "header-less")


def _webp() -> bytes:
    import cv2

    return cv2.imencode(".webp", np.zeros((8, 8, 3), np.uint8))[1].tobytes()


WEBP = _webp()


def test_a_broken_generator_leaves_nothing_behind(tmp_path: Path) -> None:
    def images():  # type: ignore[no-untyped-def]
        yield IMAGES[0]
        raise DecodeError("x.jpg: cannot be read")

    with pytest.raises(DecodeError):
        write_records(tmp_path / "train.rec", images())
    assert list(tmp_path.iterdir()) == []


def _read_all(folder: Path, rec: bytes, idx: bytes) -> None:
    (folder / "train.rec").write_bytes(rec)
    (folder / "train.idx").write_bytes(idx)
    source = read_records(folder / "train.rec", progress=False)
    for index in range(len(source)):
        source.read(index)


def _fuzz(folder: Path, count: int) -> None:
    seeds = []
    for layout in LAYOUTS:
        write_records(folder / layout / "train.rec", IMAGES[:6], layout)
        seeds.append((folder / layout / "train.rec").read_bytes())
        idx = (folder / layout / "train.idx").read_bytes()

        # Records at once and record by record, so that damage to one does not hide that to others.
        def read(data: bytes, idx: bytes = idx) -> None:
            (folder / "train.idx").write_bytes(idx)
            (folder / "train.rec").write_bytes(data)
            file = open_records(folder / "train.rec")
            failures = 0
            for place in range(len(file)):
                try:
                    whole = file.read(place)
                    file.head(place)
                    assert file.image(place) == whole.image
                except DecodeError:
                    failures += 1
            check_records(file.path, progress=False)
            _read_all(folder, data, idx)
            if failures:
                raise UserError("damaged")

        errors, slowest = refused(count // 4, 7, seeds[-1:], read)
        assert errors > count // 8
        assert slowest < SLOWEST
        rec = seeds[-1]
        errors, slowest = refused(
            count // 4, 8, [idx], lambda data, rec=rec: _read_all(folder, rec, data)
        )
        assert errors > count // 8
        assert slowest < SLOWEST


def test_500_damaged_sets_are_read_or_refused_with_typed_errors(tmp_path: Path) -> None:
    _fuzz(tmp_path, 500)


@pytest.mark.slow
def test_10000_damaged_sets_are_read_or_refused_with_typed_errors(tmp_path: Path) -> None:
    _fuzz(tmp_path, 10_000)


def test_parsing_never_reads_past_a_payload() -> None:
    payload = HEADER.pack(2, 0.0, 1, 2) + struct.pack("<2f", 4, 5) + b"image"
    for length in range(len(payload)):
        if length < 32:
            with pytest.raises(DecodeError):
                parse_record(payload[:length])
    assert parse_record(payload).image == b"image"
