"""Claims about LFW's pairs and about CelebA's lists and frame."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from urface.data.align import celeba_crop, celeba_transform
from urface.data.celeba import read_celeba
from urface.data.decode import DecodeError, encode_png
from urface.data.lfw import missing_images, read_pairs, resolve_pairs
from urface.data.open import open_faces
from urface.data.source import build_source
from urface.types import UserError

GOOD = ["2\t1", "Al\t1\t2", "Al\t1\tBo\t3", "Bo\t3\t1", "Bo\t1\tAl\t12"]


def write(path: Path, lines: list[str]) -> Path:
    path.write_text("\n".join(lines) + "\n")
    return path


def test_pairs_are_read_in_file_order_with_their_folds(tmp_path: Path) -> None:
    pairs = read_pairs(write(tmp_path / "pairs.txt", GOOD))
    assert pairs.left == ["Al/Al_0001.jpg", "Al/Al_0001.jpg", "Bo/Bo_0003.jpg", "Bo/Bo_0001.jpg"]
    assert pairs.right == ["Al/Al_0002.jpg", "Bo/Bo_0003.jpg", "Bo/Bo_0001.jpg", "Al/Al_0012.jpg"]
    assert pairs.same.tolist() == [True, False, True, False]
    assert pairs.fold.tolist() == [0, 0, 1, 1]


@pytest.mark.parametrize(
    ("line", "text", "message"),
    [
        (0, "ten\t1", r"pairs\.txt:1:"),
        (0, "2", r"pairs\.txt:1:"),
        (0, "3\t1", "promises 3 x 2 x 1"),
        (1, "Al\t1", r"pairs\.txt:2: .*one person"),
        (1, "Al 1 2", r"pairs\.txt:2:"),
        (1, "Al\t1\tBo\t2", r"pairs\.txt:2:"),
        (2, "Al\t1\t2", r"pairs\.txt:3: .*two persons"),
        (2, "Al\t1\tBo\tx", r"pairs\.txt:3: .*not a name and an image number"),
        (2, "../Al\t1\tBo\t1", r"pairs\.txt:3:"),
        (2, "Al\t1\tAl\t2", r"pairs\.txt:3: .*one person as two"),
        (3, "Bo\t1\t1", r"pairs\.txt:4: .*with itself"),
        (4, "", r"pairs\.txt:5:"),
    ],
)
def test_a_bad_line_is_refused_with_its_number(
    tmp_path: Path, line: int, text: str, message: str
) -> None:
    lines = list(GOOD)
    lines[line] = text
    with pytest.raises(UserError, match=message):
        read_pairs(write(tmp_path / "pairs.txt", lines))


def test_a_missing_image_stays_in_the_pairs_and_is_named(tmp_path: Path) -> None:
    pairs = read_pairs(write(tmp_path / "pairs.txt", GOOD))
    keys = ["Al/Al_0001.png", "Al/Al_0002.png", "Bo/Bo_0001.png", "Bo/Bo_0003.png"]
    source = build_source("x", keys, [key[:2] for key in keys], lambda i: b"")
    left, right = resolve_pairs(pairs, source)
    assert left.tolist() == [0, 0, 3, 2]
    assert right.tolist() == [1, 3, 2, -1]
    assert missing_images(pairs, source) == ["Al/Al_0012.jpg"]
    other = build_source("other", ["x/1.jpg"], ["x"], lambda i: b"")
    with pytest.raises(UserError, match="other: none of the pairs' images"):
        resolve_pairs(pairs, other)


def test_unreadable_pairs_say_so(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        read_pairs(tmp_path / "no.txt")
    (tmp_path / "b.txt").write_bytes(b"\xff\xfe\0")
    with pytest.raises(UserError, match="not text"):
        read_pairs(tmp_path / "b.txt")


def test_the_published_pairs_all_resolve_in_the_published_images(shared_dir: Path) -> None:
    pairs = read_pairs(shared_dir / "data" / "lfw_pairs.txt")
    source = open_faces(shared_dir / "data" / "lfw112.tar")
    assert (len(source), len(source.identities)) == (13_233, 5_749)
    left, right = resolve_pairs(pairs, source)
    assert len(pairs.same) == 6000
    assert min(left.min(), right.min()) >= 0
    np.testing.assert_array_equal(source.labels[left] == source.labels[right], pairs.same)
    for fold in range(10):
        assert pairs.same[pairs.fold == fold].tolist() == [True] * 300 + [False] * 300
    assert source.image(0).shape == (112, 112, 3)


@pytest.fixture
def celeba(tmp_path: Path) -> Path:
    (tmp_path / "img_align_celeba").mkdir()
    (tmp_path / "Anno").mkdir()
    for number in (1, 2, 3):
        image = encode_png(np.full((218, 178, 3), number, np.uint8))
        (tmp_path / "img_align_celeba" / f"{number:06d}.jpg").write_bytes(image)
    write(
        tmp_path / "Anno" / "identity_CelebA.txt",
        ["000001.jpg 20", "000002.jpg 3", "000003.jpg 20"],
    )
    rows = ["4", "Bald Smiling", "000001.jpg -1  1", "000002.jpg  1 1", "000004.jpg 1 1"]
    write(tmp_path / "Anno" / "list_attr_celeba.txt", [*rows, "000005.jpg -1 -1"])
    return tmp_path


def test_celeba_gives_identities_and_attributes_as_zero_and_one(celeba: Path) -> None:
    source = open_faces(celeba)
    assert source.keys == ["00003/000002.jpg", "00020/000001.jpg", "00020/000003.jpg"]
    assert source.identities == ["00003", "00020"]
    assert source.variation_names == ("Bald", "Smiling")
    np.testing.assert_array_equal(source.variations, [[1, 1], [0, 1], [np.nan, np.nan]])
    assert [int(source.image(i)[0, 0, 0]) for i in range(3)] == [2, 1, 3]


@pytest.mark.parametrize(
    ("name", "lines", "message"),
    [
        ("identity_CelebA.txt", ["000009.jpg 1"], r"identity_CelebA\.txt:1: 000009\.jpg is not in"),
        ("identity_CelebA.txt", ["000001.jpg 1", "000001.jpg 2"], r"txt:2:"),
        ("identity_CelebA.txt", ["000001.jpg"], r"txt:1:"),
        ("list_attr_celeba.txt", ["1", "Bald", "000001.jpg 0"], r"celeba\.txt:3:"),
        ("list_attr_celeba.txt", ["2", "Bald", "000001.jpg 1"], "1 rows, but line 1 says 2"),
        ("list_attr_celeba.txt", ["x"], r"celeba\.txt:1:"),
    ],
)
def test_a_damaged_celeba_list_is_refused(
    celeba: Path, name: str, lines: list[str], message: str
) -> None:
    write(celeba / "Anno" / name, lines)
    with pytest.raises(UserError, match=message):
        read_celeba(celeba)


def test_celeba_in_a_tar_has_its_published_counts(shared_dir: Path) -> None:
    source = open_faces(shared_dir / "data" / "celeba.tar")
    assert (len(source), len(source.identities)) == (10_000, 5_429)
    assert source.variations.shape == (10_000, 40)
    assert set(np.unique(source.variations)) == {0.0, 1.0}


@pytest.mark.parametrize("width", [178, 89])
@pytest.mark.parametrize("size", [112, 224, 64])
def test_celebas_eyes_land_on_the_templates(width: int, size: int) -> None:
    transform = celeba_transform(width, size)
    eyes = np.array([[69, 111, 1], [108, 111, 1]]) * [width / 178, width / 178, 1]
    template = np.array([[38.2946, 51.6963], [73.5318, 51.5014]]) * size / 112
    np.testing.assert_allclose(eyes @ transform.T, template, atol=1e-9)
    turn = transform[:, :2]
    np.testing.assert_allclose(turn @ turn.T, np.eye(2) * np.linalg.det(turn), atol=1e-12)


def test_the_crop_puts_a_marked_eye_on_the_template() -> None:
    frame = np.zeros((218, 178, 3), np.uint8)
    frame[109:114, 67:72] = 255
    crop = celeba_crop(frame)
    assert crop.shape == (112, 112, 3)
    rows, columns = np.nonzero(crop[..., 0] > 128)
    assert (columns.mean(), rows.mean()) == pytest.approx((38.2946, 51.6963), abs=0.5)


def test_celebas_faces_come_out_of_the_reader_on_the_template(celeba: Path) -> None:
    frame = np.zeros((109, 89, 3), np.uint8)
    frame[54:58, 33:37] = 255  # about the left eye of a frame at half size
    (celeba / "img_align_celeba" / "000002.jpg").write_bytes(encode_png(frame))
    face = open_faces(celeba).image(0)
    assert face.shape == (112, 112, 3)
    rows, columns = np.nonzero(face[..., 0] > 128)
    assert (columns.mean(), rows.mean()) == pytest.approx((38.3, 51.7), abs=1.5)


def test_an_image_that_is_not_celebas_frame_is_refused_by_name(celeba: Path) -> None:
    square = encode_png(np.zeros((112, 112, 3), np.uint8))
    (celeba / "img_align_celeba" / "000002.jpg").write_bytes(square)
    with pytest.raises(DecodeError, match=r"00003/000002\.jpg: 112 x 112 is not CelebA's"):
        open_faces(celeba).image(0)
