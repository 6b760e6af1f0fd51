"""Search by scoring every template: no error, no index, and time that grows with the gallery."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from urface.search.index import NOBODY, Method
from urface.search.index_file import read_index, write_index
from urface.search.ranking import SPARE, checked, rank, scan
from urface.search.rows import Rows
from urface.types import FaceEmbedding

PROBES = (
    512  # at a time: what is found for each, 2,000 places at a million templates, lies in memory
)


class ExactIndex:
    """Templates in memory, 2.1 KB each at [16, 32], scored by tiles. One thread at a time may change it.

    key  32 bytes with which ``save`` encrypts, or None: then the file is checked for damage only
    """

    kind = "exact"

    def __init__(self, key: bytes | None = None) -> None:
        self.rows = Rows()
        self.key = key
        self.stamp = ""

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def nbytes(self) -> int:
        """Bytes in memory, without the table of ids."""
        return self.rows.nbytes

    def add(self, ids: np.ndarray, faces: FaceEmbedding) -> None:
        numbers, mean, variance = self.rows.check(ids, faces)
        if len(numbers):
            self.remove(numbers)
            self._append(numbers, mean, variance, int(faces.mean.shape[2]))

    def _append(self, ids: np.ndarray, mean: np.ndarray, variance: np.ndarray, dim: int) -> None:
        self.rows.append(ids, mean, variance, dim)

    def remove(self, ids: np.ndarray) -> None:
        self.rows.remove(ids)

    def search(
        self, probes: FaceEmbedding, k: int, method: Method = "likelihood"
    ) -> tuple[np.ndarray, np.ndarray]:
        checked(k, method)
        ids = np.full((len(probes), k), NOBODY, np.int64)
        scores = np.full((len(probes), k), -np.inf, np.float32)
        if not len(self) or not len(probes):
            return ids, scores
        mean, variance, good = self.rows.probes(probes)
        places = np.flatnonzero(good)
        for part in (places[first : first + PROBES] for first in range(0, len(places), PROBES)):
            if method == "cosine":
                found = scan(self.rows, mean[part], variance[part], k + SPARE, method)
            else:
                found = self.candidates(mean[part], variance[part], k)
            for row, probe in enumerate(part):
                face = (mean[probe], variance[probe])
                ids[probe], scores[probe] = rank(self.rows, face, found[row], k, method)
        return ids, scores

    def candidates(self, mean: np.ndarray, variance: np.ndarray, k: int) -> np.ndarray:
        """Places [P, c] of templates among which the k best of each probe are."""
        return scan(self.rows, mean, variance, k + SPARE, "likelihood")

    def ids(self) -> np.ndarray:
        return self.rows.ids()

    def stored(self, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        places = self.rows.places(ids)
        if not len(places):
            shape = self.rows.shape or (0, 0)
            return np.empty((0, *shape), np.float32), np.empty((0, shape[0]), np.float32)
        return self.rows.at(places)

    def save(self, path: str | Path) -> None:
        write_index(path, self.rows, self.kind, self.stamp, self.key)

    def load(self, path: str | Path) -> None:
        found = read_index(path, self.key, self.kind)
        self.rows, self.stamp = found.rows, found.stamp

    def close(self) -> None:
        self.rows = Rows()
