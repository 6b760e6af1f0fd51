"""A gallery's own rotation of embeddings: stolen templates match nothing elsewhere, and can be renewed (G42).

Every sub-embedding k is multiplied by a D x D orthogonal matrix, uniform among all of them (the Q of a
Gaussian matrix, Mezzadri 2007), drawn from the gallery's key. Cosines, distances and with one variance a
sub-embedding likelihoods stay what they were. Who has the key undoes it: this makes templates revocable,
not irreversible.
"""

from __future__ import annotations

import numpy as np

from urface.gallery.seal import derive, key_stream
from urface.types import FaceEmbedding


def rotations(key: bytes, shape: tuple[int, int]) -> np.ndarray:
    """[K, D, D] orthogonal, float64."""
    parts, dims = shape
    count = parts * dims * dims
    drawn = np.frombuffer(key_stream(derive(key, "rotation", b""), 16 * count), "<u8")
    uniform = (drawn >> np.uint64(11)).astype(np.float64) / 2**53
    first, second = 1.0 - uniform[:count], uniform[count:]  # the logarithm needs (0, 1]
    normal = np.sqrt(-2.0 * np.log(first)) * np.cos(2.0 * np.pi * second)  # Box and Muller 1958
    q, r = np.linalg.qr(normal.reshape(parts, dims, dims))
    # Without the signs Q would not be uniform.
    matrix: np.ndarray = q * np.sign(np.diagonal(r, axis1=1, axis2=2))[:, None, :]
    return matrix


def rotated(faces: FaceEmbedding, matrix: np.ndarray, back: bool = False) -> FaceEmbedding:
    """``faces`` with each sub-embedding rotated; ``back`` undoes it. float32.

    One face at a time: a matrix product of several may round differently from that of one, and the template
    would then depend on how the images were grouped.
    """
    turn = matrix if back else matrix.transpose(0, 2, 1)
    means = [
        np.matmul(np.asarray(mean, np.float64)[:, None, :], turn)[:, 0, :] for mean in faces.mean
    ]
    mean = np.stack(means) if means else np.empty(faces.mean.shape)
    return FaceEmbedding(
        mean=mean.astype(np.float32),
        confidence=np.asarray(faces.confidence, np.float32),
        variance=np.asarray(faces.variance, np.float32),
    )
