"""A person's images become one template, with the same bits whatever the order they came in.

The formula is that of ``urface.scoring.fuse`` (eq. PA), in NumPy, since a store that only writes has no use
for torch; a test holds the two together. What makes the order not matter is that all images are kept and
summed anew, sorted, at every change: n images cost n decryptions and sums (about 10 us each), and 2.3 KB each
at [16, 32]. Running sums would be smaller but would keep, in their last bits, the order of their history.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from urface.types import FaceEmbedding, UserError


def face_bytes(face: FaceEmbedding) -> bytes:
    """One face (B = 1) as bytes: mean, confidence, variance, little-endian float32."""
    parts = (face.mean, face.confidence, face.variance)
    return b"".join(np.ascontiguousarray(part[0], "<f4").tobytes() for part in parts)


def faces_of(rows: Iterable[bytes], shape: tuple[int, int]) -> FaceEmbedding:
    """The faces whose ``face_bytes`` are ``rows``, in order. Raises UserError for what is no face."""
    parts, dims = shape
    values = np.frombuffer(b"".join(rows), "<f4").reshape(-1, parts * (dims + 2))
    mean, confidence, variance = np.split(values, [parts * dims, parts * (dims + 1)], axis=1)
    return FaceEmbedding(
        mean=mean.reshape(-1, parts, dims).astype(np.float32),
        confidence=confidence.astype(np.float32),
        variance=variance.astype(np.float32),
    )


def template_of(rows: Iterable[bytes], shape: tuple[int, int]) -> FaceEmbedding:
    """The template (B = 1) of images given as ``face_bytes``, in any order."""
    faces = faces_of(sorted(rows), shape)
    mean, confidence, variance = (
        np.asarray(part, np.float64) for part in (faces.mean, faces.confidence, faces.variance)
    )
    weight = 1.0 / variance
    total = weight.sum(0)
    fused = (mean * weight[:, :, None]).sum(0) / total[:, None]
    length = np.sqrt(np.square(fused).sum(1))
    if lost := np.flatnonzero(length < 1e-6).tolist():
        raise UserError(
            f"the faces cancel out in sub-embedding {lost[0]}: the template has no direction; these are "
            "hardly images of one person"
        )
    return FaceEmbedding(
        mean=(fused / length[:, None])[None].astype(np.float32),
        confidence=confidence.sum(0)[None].astype(np.float32),
        variance=(1.0 / total)[None].astype(np.float32),
    )


def weights_of(faces: FaceEmbedding) -> np.ndarray:
    """[n, K], the share that each image has in each sub-embedding of their template."""
    weight = 1.0 / np.asarray(faces.variance, np.float64)
    share: np.ndarray = weight / weight.sum(0)
    return share
