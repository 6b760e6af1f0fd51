"""Claims about the signs of quality that need no detector, and the recorded lengths."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import torch

from small_model import pictures
from urface.data.source import FaceSource
from urface.embedder import Embedder
from urface.evaluation.conditions import condition
from urface.evaluation.embedding import ConditionFrames
from urface.evaluation.quality import embed_with_norms, signs, signs_of_all


def test_each_sign_falls_with_what_it_is_a_sign_of() -> None:
    face = pictures(1, 112)[0]
    flat = (face.astype(float) * 0.2 + 127.5 * 0.8).astype(np.uint8)
    dark = (face * 0.3).astype(np.uint8)
    blurred = cv2.GaussianBlur(face, (21, 21), 0)
    assert signs(blurred)[0] < signs(face)[0]
    assert signs(flat)[1] < signs(face)[1]
    assert signs(dark)[2] < signs(face)[2]
    assert np.isfinite(signs(np.zeros((8, 8, 3), np.uint8))).all()


def test_lengths_are_those_before_normalisation_and_kept_beside_the_faces(
    embedder: Embedder, faces: FaceSource, tmp_path: Path
) -> None:
    frames, clean = ConditionFrames(faces, gigabytes=1.0), condition("clean")
    tested, norm = embed_with_norms(embedder, faces, clean, frames, None, progress=False)
    assert np.flatnonzero(np.isnan(norm)).tolist() == [2]
    for place in (0, 5, 11):
        frame = torch.from_numpy(embedder.frame(faces.image(place))[None].copy())
        with torch.no_grad():
            whole = embedder.model.embedding(embedder.model.trunk(frame))
        assert np.isclose(norm[place], float(whole.norm()), rtol=1e-4)
    values = signs_of_all(faces, clean, frames, embedder)
    assert np.isnan(values[2]).all()
    assert np.isfinite(np.delete(values, 2, 0)).all()
    assert not embedder.model.embedding_head._forward_hooks
    assert len(tested.faces) == 11


def test_a_second_call_reads_faces_and_lengths(
    embedder: Embedder, faces: FaceSource, tmp_path: Path
) -> None:
    from urface.data.source import select

    source, cache = select(faces, np.delete(np.arange(12), 2)), tmp_path / "c.safetensors"
    frames, clean = ConditionFrames(source), condition("clean")
    first, norm = embed_with_norms(embedder, source, clean, frames, cache, progress=False)

    def read(index: int) -> bytes:
        raise AssertionError("an image was read")

    unreadable = FaceSource(**{**vars(source), "read_bytes": read})
    shut = ConditionFrames(unreadable)
    again, same = embed_with_norms(embedder, unreadable, clean, shut, cache, progress=False)
    np.testing.assert_array_equal(norm, same)
    np.testing.assert_array_equal(first.faces.mean, again.faces.mean)
