"""Raw pixels as an embedding: what no learning at all reaches, to hold other figures against."""

from __future__ import annotations

import cv2
import numpy as np

from urface.data.decode import DecodeError
from urface.data.source import FaceSource
from urface.evaluation.conditions import Condition, condition
from urface.evaluation.embedding import TestFaces
from urface.types import FaceEmbedding

SIDE = 32


def embed_pixels(
    source: FaceSource, put_in: str | Condition, needed: np.ndarray, seed: int = 0
) -> TestFaces:
    """Grey pixels at SIDE x SIDE, standardised and of unit length: K = 1, D = SIDE^2."""
    put_in = condition(put_in) if isinstance(put_in, str) else put_in
    places = np.unique(needed[needed >= 0])
    row = np.full(len(source), -1, np.int64)
    vectors: list[np.ndarray] = []
    failures: dict[str, str] = {}
    for place in places:
        key = source.keys[place]
        try:
            face = source.image(place)
        except DecodeError as error:
            failures[key] = str(error)
            continue
        face = put_in.apply(face, key, seed)
        grey = cv2.cvtColor(face, cv2.COLOR_RGB2GRAY).astype(np.float32)
        vector = cv2.resize(grey, (SIDE, SIDE), interpolation=cv2.INTER_AREA).ravel()
        vector -= vector.mean()
        length = float(np.linalg.norm(vector))
        if length < 1e-3:  # one colour throughout has no direction
            failures[key] = f"{key}: an image without contrast"
            continue
        row[place] = len(vectors)
        vectors.append(vector / length)
    mean = np.array(vectors, np.float32).reshape(-1, 1, SIDE * SIDE)
    ones = np.ones(mean.shape[:2], np.float32)
    return TestFaces(FaceEmbedding(mean=mean, confidence=ones, variance=ones), row, failures)
