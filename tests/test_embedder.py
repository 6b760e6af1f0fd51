"""Claims about the one inference path."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

import urface
from small_model import SETTINGS, one_thread, pictures, small_model
from urface.config import ModelSettings, ObjectiveSettings
from urface.models.files import save_model
from urface.models.urface import build_urface
from urface.types import FaceEmbedding, UserError

__all__ = ["one_thread"]  # a fixture for every test of this file


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("run") / "model.safetensors"
    save_model(path, small_model(), SETTINGS, ObjectiveSettings("confidence", 2.0), {"step": 7})
    return path


@pytest.fixture(scope="module")
def embedder(path: Path) -> urface.Embedder:
    return urface.load(path, device="cpu", precision="fp32")


def assert_close(a: FaceEmbedding, b: FaceEmbedding, tolerance: float) -> None:
    for name in ("mean", "confidence", "variance"):
        np.testing.assert_allclose(
            getattr(a, name), getattr(b, name), rtol=tolerance, atol=tolerance
        )


@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 1e-5), ("bf16", 1e-2)])
def test_the_size_of_a_batch_does_not_change_the_result(
    path: Path, precision: str, tolerance: float
) -> None:
    embedder = urface.load(path, device="cpu", precision=precision)  # type: ignore[arg-type]
    faces = pictures(7)
    whole = embedder.embed(faces)
    assert whole.mean.shape == (7, 4, 8)
    assert whole.mean.dtype == np.float32
    for size in (1, 3):
        assert_close(embedder.embed(faces, batch_size=size), whole, tolerance)


def test_faces_differ_and_the_model_says_what_it_is(embedder: urface.Embedder, path: Path) -> None:
    faces = embedder.embed(pictures(2))
    assert np.abs(faces.mean[0] - faces.mean[1]).max() > 0.05
    assert embedder.num_sub_embeddings == 4
    assert embedder.facts == {"step": 7}
    assert_close(urface.load(path.parent, "cpu", "fp32").embed(pictures(2)), faces, 1e-6)


def test_torch_in_gives_torch_out(embedder: urface.Embedder) -> None:
    faces = embedder.embed(torch.from_numpy(pictures(3)))
    assert isinstance(faces.mean, torch.Tensor)
    assert_close(faces.numpy(), embedder.embed(pictures(3)), 1e-6)


def test_a_larger_image_is_brought_to_the_frame_and_its_centre_cut_out(
    embedder: urface.Embedder,
) -> None:
    large = np.random.default_rng(0).integers(0, 256, (1, 90, 80, 3)).astype(np.uint8)
    resized = cv2.resize(large[0], (70, 70), interpolation=cv2.INTER_AREA)
    np.testing.assert_array_equal(embedder.frame(large[0]), resized[3:67, 3:67])
    assert_close(embedder.embed(large), embedder.embed(resized[None]), 1e-6)


def test_images_of_different_sizes_come_as_a_list(embedder: urface.Embedder) -> None:
    faces = [pictures(1, size)[0] for size in (70, 140, 35)]
    together = embedder.embed(faces)
    for number, face in enumerate(faces):
        assert_close(together[number], embedder.embed(face[None]), 1e-5)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((70, 70, 3), np.uint8), r"\[B, H, W, 3\].*images\[None\]"),
        (np.zeros((2, 70, 70), np.uint8), r"\[B, H, W, 3\]"),
        (np.zeros((2, 70, 70, 4), np.uint8), r"image 0 must be \[H, W, 3\]"),
        (np.zeros((2, 70, 70, 3), np.float32), "float32: give RGB as uint8"),
        (torch.zeros(2, 70, 70, 3), "float32: give RGB as uint8"),
        ([np.zeros((70, 70, 3), np.uint8), np.zeros((70, 70), np.uint8)], "image 1 must be"),
        ([np.zeros((0, 70, 3), np.uint8)], "image 0 has no pixels"),
        (["face.jpg"], "image 0 must be .*got str"),
        (None, "got NoneType"),
        ((face for face in pictures(2)), r"got generator; a generator is list\(images\)"),
        ({0: pictures(1)[0]}, "got dict"),
        (5, "got int"),
        ([torch.zeros(3, 70, 70, dtype=torch.uint8)], r"image 0 is a torch tensor \[3, 70, 70\]"),
        ([torch.zeros(70, 70, 3, dtype=torch.uint8)], "torch tensor .* in a list: give one tensor"),
        (np.zeros((2, 3, 70, 70), np.uint8), r"channels first, \[3, 70, 70\]"),
    ],
)
def test_another_type_or_shape_is_refused(
    embedder: urface.Embedder, images: object, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        embedder.embed(images)  # type: ignore[arg-type]


def test_a_batch_of_none_is_refused(embedder: urface.Embedder) -> None:
    for size in (0, -1, 2.5, "8", None):
        with pytest.raises(UserError, match="batch_size must be a whole number"):
            embedder.embed(pictures(1), batch_size=size)  # type: ignore[arg-type]
    assert len(embedder.embed(pictures(1), batch_size=np.int64(2))) == 1  # type: ignore[arg-type]


def test_no_images_give_no_faces(embedder: urface.Embedder) -> None:
    for nothing in ([], np.zeros((0, 70, 70, 3), np.uint8)):
        faces = embedder.embed(nothing)
        assert faces.mean.shape == (0, 4, 8)
        assert faces.confidence.shape == (0, 4)


def test_threads_get_what_one_caller_gets(embedder: urface.Embedder) -> None:
    alone = embedder.embed(pictures(4))
    with ThreadPoolExecutor(3) as pool:
        for faces in pool.map(lambda _: embedder.embed(pictures(4)), range(6)):
            assert_close(faces, alone, 1e-6)


def test_loading_and_embedding_leave_the_number_of_threads_alone(path: Path) -> None:
    for threads in (2, 1):
        torch.set_num_threads(threads)
        urface.load(path, device="cpu").embed(pictures(1))
        assert torch.get_num_threads() == threads


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        ({"device": "gpu"}, "device must be one of auto, cpu, cuda, got 'gpu'"),
        ({"device": None}, "device must be one of"),
        ({"precision": "fp16"}, "precision must be one of auto, bf16, fp32, got 'fp16'"),
    ],
)
def test_an_unknown_device_or_precision_is_refused(path: Path, choice: dict, words: str) -> None:
    with pytest.raises(UserError, match=words):
        urface.load(path, **choice)


def test_a_weight_that_is_not_a_number_gives_no_embedding() -> None:
    model = small_model()
    with torch.no_grad():
        next(model.embedding_head.parameters()).fill_(float("nan"))
    with pytest.raises(UserError, match="not 1"):
        urface.Embedder(model, SETTINGS, device="cpu", precision="fp32").embed(pictures(1))


def test_eight_threads_get_the_bits_of_one(embedder: urface.Embedder) -> None:
    """Each with faces of its own: a buffer shared between calls would mix them up."""
    sets = [pictures(5, seed=seed) for seed in range(8)]
    alone = [embedder.embed(faces) for faces in sets]
    with ThreadPoolExecutor(8) as pool:
        for _ in range(3):
            for one, again in zip(alone, pool.map(embedder.embed, sets), strict=True):
                for name in ("mean", "confidence", "variance"):
                    np.testing.assert_array_equal(getattr(one, name), getattr(again, name))


def test_thousands_of_faces_are_those_of_small_batches() -> None:
    settings = ModelSettings("tiny", 32, embedding_dim=16, sub_embeddings=2)
    model = build_urface(settings, ObjectiveSettings("cosface", 0.3))
    embedder = urface.Embedder(model, settings, device="cpu", precision="fp32")
    faces = np.tile(pictures(50, 35), (40, 1, 1, 1))
    whole = embedder.embed(faces, batch_size=1000)
    assert len(whole) == 2000
    assert_close(whole[:50], embedder.embed(faces[:50], batch_size=1), 1e-5)
    assert_close(whole[-50:], whole[:50], 1e-6)


def test_a_face_without_an_embedding_is_named_by_its_place_among_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    embedder = urface.Embedder(small_model(), SETTINGS, device="cpu", precision="fp32")
    network = embedder._network

    def broken(images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        mean, confidence, variance = network(images)
        mean = mean.clone()
        if len(images) == 2:  # the last batch
            mean[1] = float("nan")
        return mean, confidence, variance

    monkeypatch.setattr(embedder, "_network", broken)
    with pytest.raises(UserError, match=r"^images 3 to 4, counted from 3: .* of face 1 "):
        embedder.embed(pictures(5), batch_size=3)
