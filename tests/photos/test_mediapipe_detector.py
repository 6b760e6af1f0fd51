"""mediapipe as a Detector: on synthetic photos, and its points against published ones of real photos."""

from __future__ import annotations

import csv
import io
import os
import tarfile
import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from photos.scenes import points_of, scene
from urface.data.decode import decode_image, encode_jpeg
from urface.photos import Detector, find_faces, open_detector
from urface.photos.mediapipe_detector import in_photo, mirror, quiet, square_around, tiles

pytest.importorskip("mediapipe", reason="finds faces: make setup-faces")

POINTS = ("left_eye", "right_eye", "nose", "left_mouth", "right_mouth")
MOST = 0.04  # of the distance between the eyes: issue 6


@pytest.fixture(scope="module")
def detector() -> Detector:
    return open_detector()


def error(points: np.ndarray, known: np.ndarray) -> np.ndarray:
    """[5] distances in distances between the eyes."""
    distances: np.ndarray = np.linalg.norm(points - known, axis=1)
    return distances / np.linalg.norm(known[0] - known[1])


# Renders have no eyelashes or pores: the mesh is further off on them than on photos.
RENDERED = 0.16


def test_a_photo_of_250_pixels(detector: Detector) -> None:
    (face,) = find_faces(scene([(1, 120, 130, 150)], 250, 250), detector)
    assert error(face.face.points, points_of(120, 130, 150)).max() < RENDERED
    assert face.rotation == 0


def test_a_group_is_found_whole_and_nothing_else(detector: Detector) -> None:
    people = [(1 + n, 110 + 190 * (n % 4), 110 + 190 * (n // 4), 120) for n in range(8)]
    faces = find_faces(scene(people, 820, 420), detector)
    assert len(faces) == 8
    for _, x, y, side in people:
        known = points_of(x, y, side)
        nearest = min(faces, key=lambda face: float(error(face.face.points, known).max()))
        assert error(nearest.face.points, known).max() < RENDERED


def test_a_small_face_in_a_large_photo_is_found_in_its_tile(detector: Detector) -> None:
    photo = scene([(1, 1100, 620, 70)], 1500, 1000)
    (face,) = find_faces(photo, detector)
    assert error(face.face.points, points_of(1100, 620, 70)).max() < 0.2
    whole = detector._look(photo, 0, 0)[0]  # type: ignore[attr-defined]
    assert len(whole) == 0  # the control: what the detectors see of the whole is too little


def test_a_huge_photo_is_searched_small_and_aligned_from_the_full_one(detector: Detector) -> None:
    photo = scene([(2, 1500, 1300, 1400)], 3600, 2600)
    photo[::2, ::2] = 255 - photo[::2, ::2] // 2  # detail that only the full photo has
    (face,) = find_faces(photo, detector)
    known = points_of(1500, 1300, 1400)
    assert error(face.face.points, known).max() < RENDERED


def test_no_face_is_no_face(detector: Detector) -> None:
    assert find_faces(scene([], 500, 300), detector) == []
    assert find_faces(np.zeros((8, 8, 3), np.uint8), detector) == []
    assert find_faces(np.zeros((1, 300, 3), np.uint8), detector) == []


def test_a_pattern_that_the_detectors_take_for_a_face_is_none(detector: Detector) -> None:
    """The control is the first line: without the mesh of the mirror image it would be one."""
    pattern = scene([], 200, 200, seed=1)
    boxes, _ = detector._candidates(pattern)  # type: ignore[attr-defined]
    assert len(boxes)
    assert find_faces(pattern, detector) == []


@pytest.mark.parametrize("turn", [90, 180, 270])
def test_a_photo_that_lies_on_its_side(detector: Detector, turn: int) -> None:
    photo = np.ascontiguousarray(np.rot90(scene([(3, 190, 160, 150)], 360, 300), turn // 90))
    (face,) = find_faces(photo, detector)
    assert face.rotation == turn
    upright = find_faces(scene([(3, 190, 160, 150)], 360, 300), detector)[0]
    assert abs(face.image.astype(int) - upright.image).mean() < 6


def test_exif_turns_a_photo_before_anything_is_looked_for(detector: Detector) -> None:
    photo = scene([(3, 190, 160, 150)], 360, 300)
    data = encode_jpeg(np.ascontiguousarray(np.rot90(photo)))  # orientation 6: turn it clockwise
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    data = data[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + data[2:]
    (face,) = find_faces(decode_image(data), detector)
    assert face.rotation == 0
    assert error(face.face.points, points_of(190, 160, 150)).max() < RENDERED


def test_the_mirror_image_of_a_photo_has_the_mirrored_points(detector: Detector) -> None:
    photo = scene([(4, 120, 130, 150)], 256, 256)
    (face,) = find_faces(photo, detector)
    (other,) = find_faces(np.ascontiguousarray(photo[:, ::-1]), detector)
    assert error(mirror(other.face.points, 256), face.face.points).max() < 0.02


def test_tiles_cover_every_pixel() -> None:
    for height, width, side in ((100, 300, 60), (241, 240, 240), (50, 50, 60)):
        photo = np.zeros((height, width, 3), np.uint8)
        for tile, x, y in tiles(photo, side):
            assert max(tile.shape[:2]) <= side
            photo[y : y + side, x : x + side] = 1
        assert photo.all()


def test_the_square_around_a_box_is_grey_beyond_the_photo() -> None:
    photo = np.full((50, 80, 3), 9, np.uint8)
    picture, corner, scale = square_around(photo, np.array([-10.0, -10, 10, 10]), 2)
    assert (picture.shape, corner.tolist(), scale) == ((40, 40, 3), [-20, -20], 1)
    assert (picture[20:, 20:] == 9).all()
    assert (picture[:20] == 127).all()
    assert (square_around(photo, np.array([200.0, 200, 210, 210]), 2)[0] == 127).all()


@pytest.mark.parametrize("x", [-400.0, 0.0, 731.0, 1300.0])
def test_a_large_square_is_shrunk_and_leads_back_to_the_photo(x: float) -> None:
    photo = np.zeros((1300, 2100, 3), np.uint8)
    photo[600:640, 1000:1040] = 255
    box = np.array([x, 100, x + 1100, 1200])
    picture, corner, scale = square_around(photo, box, 1.7)
    assert max(picture.shape) == 896
    rows, columns = np.nonzero((picture == 255).all(2))
    middle = in_photo(np.array([[columns.mean(), rows.mean()]]), corner, scale)
    np.testing.assert_allclose(middle, [[1019.5, 619.5]], atol=2)


def test_a_panorama_is_never_made_a_square_of_its_length(detector: Detector) -> None:
    photo = np.full((40, 16_384, 3), 90, np.uint8)
    tracemalloc.start()  # NumPy tells it of its arrays, OpenCV's outputs are such
    try:
        find_faces(photo, detector)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < 100e6  # 16,384 squared would be 805 MB


def test_points_are_within_4_percent_of_published_ones_over_all_photos(
    detector: Detector, shared_dir: Path
) -> None:
    errors = []
    failed = []
    with tarfile.open(shared_dir / "data" / "photos.tar") as tar:
        table = tar.extractfile("photos/landmarks.csv")
        assert table is not None
        rows = list(csv.DictReader(io.TextIOWrapper(table)))
        assert len(rows) == 120
        for row in rows:
            known = np.array([[float(row[f"{p}_{axis}"]) for axis in "xy"] for p in POINTS])
            data = tar.extractfile(f"photos/{row['file']}")
            assert data is not None
            faces = find_faces(decode_image(data.read()), detector)
            if faces:
                errors.append(error(faces[0].face.points, known))
            else:
                failed.append(row["file"])
    assert failed == []
    means = np.mean(errors, 1)
    each = np.round(100 * np.mean(errors, 0), 2)
    interval = 1.96 * means.std(ddof=1) / np.sqrt(len(means))
    print(
        f"mean {100 * means.mean():.2f} +- {100 * interval:.2f} %, median {100 * np.median(means):.2f} %, "
        f"largest {100 * means.max():.1f} %; of each point {each.tolist()} %"
    )
    assert means.mean() <= MOST


def test_stderr_is_whole_after_many_threads_turned_it_away_at_once(
    capfd: pytest.CaptureFixture[str],
) -> None:
    before = os.fstat(2)

    def away(number: int) -> None:
        with quiet():
            os.write(2, b"noise")
            time.sleep(0.001 * (number % 3))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(away, range(60)))
    assert os.fstat(2).st_ino == before.st_ino
    os.write(2, b"heard")
    assert capfd.readouterr().err == "heard"
