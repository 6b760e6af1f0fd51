"""Claims about images that are there more than once, within a set and across two (goal G28)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from urface.data.decode import encode_jpeg
from urface.data.duplicates import Duplicate, find_duplicates
from urface.data.fingerprints import likeness, look_of, take_fingerprints
from urface.data.open import open_faces
from urface.data.source import FaceSource

from .copies import altered, faces, write

WAYS = ("bytes", "pixels", "jpeg", "half", "bright", "gray")


@pytest.fixture(scope="module")
def pictures() -> dict[str, np.ndarray]:
    return faces(people=9, shots=3, size=48)


@pytest.fixture(scope="module")
def train(pictures: dict[str, np.ndarray], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six people, without any duplicate."""
    mine = {key: face for key, face in pictures.items() if key < "p06"}
    return write(tmp_path_factory.mktemp("train"), mine)


def duplicates(*paths: Path, bits: int = 4) -> tuple[list[Duplicate], tuple[FaceSource, ...]]:
    sources = tuple(open_faces(path) for path in paths)
    prints = tuple(take_fingerprints(source, progress=False) for source in sources)
    return find_duplicates(sources, prints, bits, progress=False), sources


def test_different_pictures_are_no_duplicates(train: Path) -> None:
    assert duplicates(train)[0] == []


def test_planted_duplicates_across_train_and_test_are_found(
    pictures: dict[str, np.ndarray], train: Path, tmp_path: Path
) -> None:
    """Goal G28: at least 95 %, of any kind, and nothing else."""
    test = write(tmp_path, {key: face for key, face in pictures.items() if key >= "p06"})
    planted = {}
    for number, (key, face) in enumerate(p for p in pictures.items() if p[0] < "p06"):
        way = WAYS[number % len(WAYS)]
        name = f"planted{number % 5}/{number}.img.png"
        (test / name).parent.mkdir(exist_ok=True)
        (test / name).write_bytes(altered(face, way))
        planted[key] = (name, way)
    found, (source, other) = duplicates(train, test)
    told = {source.keys[one.place]: one for one in found}
    right = [
        key
        for key, (name, _) in planted.items()
        if key in told and other.keys[told[key].of - len(source)] == name
    ]
    assert len(right) >= 0.95 * len(planted)
    assert len(found) == len(right)
    for key in right:
        way = planted[key][1]
        assert told[key].kind == (way if way in ("bytes", "pixels") else "near")


def test_exact_duplicates_alone_where_no_bit_may_differ(
    pictures: dict[str, np.ndarray], tmp_path: Path
) -> None:
    face = pictures["p00/0.png"]
    for way in WAYS:
        (tmp_path / way).mkdir()
        (tmp_path / way / "0.png").write_bytes(altered(face, way))
    found, (source,) = duplicates(tmp_path, bits=0)
    assert [(one.kind, source.keys[one.place], source.keys[one.of]) for one in found] == [
        ("pixels", "pixels/0.png", "bytes/0.png")
    ]
    near = duplicates(tmp_path)[0]
    assert len(near) == len(WAYS) - 1
    assert all(one.of < one.place and one.like > 0.98 for one in near if one.kind == "near")


def test_a_look_alike_hash_is_checked_against_the_picture(
    train: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Were all looks equal, the pixels would still tell the pictures apart."""
    source = open_faces(train)
    prints = take_fingerprints(source, progress=False)
    prints.look[:] = 12345
    assert find_duplicates((source,), (prints,), progress=False) == []


def test_damaged_images_are_named_and_the_same_damaged_file_twice_is_told(tmp_path: Path) -> None:
    for name in ("a/0.png", "a/1.png", "b/0.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    found, (source,) = duplicates(tmp_path)
    assert [one.kind for one in found] == ["bytes", "bytes"]
    prints = take_fingerprints(source, progress=False)
    assert sorted(prints.corrupt) == [0, 1, 2]
    assert not prints.good.any()


def test_the_look_survives_what_people_do_to_files(pictures: dict[str, np.ndarray]) -> None:
    from urface.data.decode import decode_image

    for way in ("jpeg", "half", "bright", "gray"):
        apart = [
            int(np.bitwise_count(look_of(face) ^ look_of(decode_image(altered(face, way)))))
            for face in pictures.values()
        ]
        assert np.mean(np.array(apart) <= 4) >= 0.9, way


def test_likeness_is_a_correlation() -> None:
    face = faces(1, 1)["p00/0.png"]
    assert likeness(face, face) == pytest.approx(1.0)
    assert likeness(face, 255 - face) == pytest.approx(-1.0, abs=1e-3)
    flat = np.full((8, 8, 3), 7, np.uint8)
    assert likeness(flat, flat + 9) == 1.0
    assert likeness(face, flat) == 0.0


def test_many_frames_of_one_look_are_told_without_comparing_all_with_all(
    pictures: dict[str, np.ndarray], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    face = pictures["p00/0.png"]
    (tmp_path / "a").mkdir()
    for quality in range(60, 100):
        (tmp_path / "a" / f"{quality}.jpg").write_bytes(encode_jpeg(face, quality))
    compared: list[int] = []

    def counting(sources: object, pairs: np.ndarray, progress: bool) -> list[float]:
        compared.append(len(pairs))
        return [1.0] * len(pairs)

    monkeypatch.setattr("urface.data.duplicates.likenesses", counting)
    found, _ = duplicates(tmp_path)
    assert len(found) == 39
    assert compared[0] < 40 * 39 / 2 / 3  # a third of all with all
