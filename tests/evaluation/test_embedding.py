"""Claims about the faces of a test set: failures counted, the cache true."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from urface.data.folders import read_folder
from urface.data.source import FaceSource, select
from urface.embedder import Embedder
from urface.evaluation.embedding import cache_name, embed_test_set
from urface.types import FaceEmbedding

BAD = 2  # Bo_0002


def good(faces: FaceSource) -> FaceSource:
    return select(faces, np.delete(np.arange(len(faces)), BAD))


def test_a_corrupt_image_is_named_counted_and_left_without_a_row(
    embedder: Embedder, faces: FaceSource, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cache = tmp_path / "c.safetensors"
    tested = embed_test_set(embedder, faces, "clean", cache=cache, progress=False)
    assert list(tested.failures) == ["Bo/Bo_0002.png"]
    assert "Bo/Bo_0002.png" in capsys.readouterr().err
    assert len(tested.faces) == 11
    assert tested.at(np.array([0, BAD, 3, -1])).tolist() == [0, -1, 2, -1]
    assert not cache.exists()  # a failure would be forgotten in it
    images = np.stack([faces.image(place) for place in range(12) if place != BAD])
    np.testing.assert_allclose(tested.faces.mean, embedder.embed(images).mean, atol=1e-5)


def test_a_cache_gives_the_same_faces_without_reading_an_image(
    embedder: Embedder, faces: FaceSource, tmp_path: Path
) -> None:
    cache, source = tmp_path / "c.safetensors", good(faces)
    first = embed_test_set(embedder, source, "degraded", cache=cache, progress=False)

    def read(index: int) -> bytes:
        raise AssertionError("an image was read")

    unreadable = FaceSource(**{**vars(source), "read_bytes": read})
    again = embed_test_set(embedder, unreadable, "degraded", cache=cache, progress=False)
    np.testing.assert_array_equal(first.faces.mean, again.faces.mean)
    np.testing.assert_array_equal(first.row, again.row)


def test_a_cache_of_other_images_is_not_taken_for_failures(
    embedder: Embedder, faces: FaceSource, tmp_path: Path
) -> None:
    cache, source = tmp_path / "c.safetensors", good(faces)
    few = embed_test_set(
        embedder, source, "clean", needed=np.array([3, 0, 3, -1]), cache=cache, progress=False
    )
    assert few.row.tolist() == [0, -1, -1, 1] + [-1] * 7
    whole = embed_test_set(embedder, source, "clean", cache=cache, progress=False)
    assert whole.row.tolist() == list(range(11))
    assert len(FaceEmbedding.load(cache)) == 11


def test_degraded_faces_are_others_and_do_not_depend_on_what_else_is_needed(
    embedder: Embedder, faces: FaceSource
) -> None:
    source = good(faces)
    clean = embed_test_set(embedder, source, "clean", progress=False)
    bad = embed_test_set(embedder, source, "degraded", progress=False)
    one = embed_test_set(embedder, source, "degraded", needed=np.array([5]), progress=False)
    assert (np.abs(clean.faces.mean - bad.faces.mean).max((1, 2)) > 1e-4).all()
    np.testing.assert_allclose(one.faces.mean[0], bad.faces.mean[5], atol=1e-5)


def test_the_name_of_a_cache_changes_with_weights_images_condition_and_seed(
    faces: FaceSource, tmp_path: Path
) -> None:
    def model(header: bytes, weights: bytes) -> Path:
        path = tmp_path / "model.safetensors"
        path.write_bytes(len(header).to_bytes(8, "little") + header + weights)
        return path

    name = cache_name(model(b"{}", b"weights"), faces, "clean", 0)
    assert cache_name(model(b"{more}", b"weights"), faces, "clean", 0) == name
    path = model(b"{}", b"weights")
    others = {
        cache_name(path, good(faces), "clean", 0),
        cache_name(path, faces, "degraded", 0),
        cache_name(path, faces, "clean", 0, "other meshes"),
        cache_name(path, faces, "clean", 1),
        cache_name(model(b"{}", b"Weights"), faces, "clean", 0),
    }
    assert len(others | {name}) == 6


def test_the_name_of_a_cache_changes_when_an_image_is_aligned_anew_under_its_name(
    faces: FaceSource, tmp_path: Path
) -> None:
    model, folder = tmp_path / "model.safetensors", tmp_path / "lfw"
    model.write_bytes(bytes(9))
    name = cache_name(model, faces, "clean", 0)
    assert cache_name(model, read_folder(folder), "clean", 0) == name
    image = folder / "Cy" / "Cy_0002.png"
    image.write_bytes((folder / "Di" / "Di_0001.png").read_bytes())
    assert cache_name(model, read_folder(folder), "clean", 0) != name
