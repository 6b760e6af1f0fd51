"""Claims about sets whose red and blue were exchanged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from urface.data.colours import check_colours
from urface.data.decode import encode_png
from urface.data.open import open_faces
from urface.data.synthetic import write_synthetic


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("faces")
    return write_synthetic(folder, seed=3, identities=range(6), shots=4, size=64, progress=False)


def test_swapped_faces_are_told_from_faces_of_every_tone(faces: Path) -> None:
    source = open_faces(faces)
    swapped = open_faces(faces, swap_colours=True)
    right, wrong = (check_colours(len(s), s.image) for s in (source, swapped))
    assert right.coloured == wrong.coloured >= 20
    assert not right.looks_swapped
    assert wrong.looks_swapped


def test_grey_or_few_images_say_nothing() -> None:
    grey = np.full((8, 8, 3), 100, np.uint8)
    blue = grey + np.array([0, 0, 50], np.uint8)
    assert not check_colours(100, lambda i: grey).looks_swapped
    assert not check_colours(19, lambda i: blue).looks_swapped
    assert check_colours(20, lambda i: blue).looks_swapped
    assert check_colours(10_000, lambda i: blue).seen == 200


def test_swapping_exchanges_red_and_blue_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    image = np.random.default_rng(0).integers(0, 256, (9, 7, 3), np.uint8)
    (tmp_path / "a" / "1.png").write_bytes(encode_png(image))
    (tmp_path / "a" / "2.png").write_bytes(b"damaged")
    source = open_faces(tmp_path, swap_colours=True)
    np.testing.assert_array_equal(source.image(0), image[..., ::-1])
    with pytest.raises(ValueError, match=r"^a/2\.png: "):
        source.image(1)
