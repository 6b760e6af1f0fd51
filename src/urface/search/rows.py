"""The templates that an index holds: ids, means and variances, dense, in the order they came."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from urface.search.blocks import Blocks
from urface.types import UNIT_TOLERANCE, FaceEmbedding, UserError


class Change(NamedTuple):
    """What a removal did to places: the templates that stood at ``left`` [m] now stand at ``to`` [m], and
    ``gone`` [n] are the places where removed templates had stood."""

    gone: np.ndarray
    left: np.ndarray
    to: np.ndarray


class Rows:
    """Templates at places 0 to N - 1; a removed one's place is taken by one from the end.

    shape  (K, D) of all of them, None before the first
    """

    def __init__(self) -> None:
        self.shape: tuple[int, int] | None = None
        self.spread = 0  # variances of a template: K, or K * D where each dimension has its own
        self.place: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self.place)

    def begin(self, shape: tuple[int, int], spread: int) -> None:
        """Say what templates will be like, before the first."""
        self.shape, self.spread = shape, spread
        self.id_of = Blocks(1, np.int64)
        self.mean = Blocks(shape[0] * shape[1], np.float32)
        self.variance = Blocks(spread, np.float32)

    @property
    def nbytes(self) -> int:
        """Bytes of ids, means and variances, without the table of places (some 150 bytes a template)."""
        if self.shape is None:
            return 0
        return self.id_of.nbytes + self.mean.nbytes + self.variance.nbytes

    def check(self, ids: np.ndarray, faces: FaceEmbedding) -> tuple[np.ndarray, ...]:
        """Ids [N] int64, means [N, K * D] and variances [N, K] float32, or UserError."""
        given = np.asarray(ids)
        if given.ndim != 1 or given.dtype.kind not in "iu" or len(given) != len(faces):
            raise UserError(
                f"ids must be {len(faces)} whole numbers, one a template, got an array of "
                f"{given.dtype} of the shape {list(given.shape)}"
            )
        numbers = given.astype(np.int64)
        if len(numbers) and numbers.min() < 0:
            raise UserError(f"an id must be 0 or above, got {numbers.min()}")
        if len(np.unique(numbers)) != len(numbers):
            raise UserError("an id is given twice: every template needs an id of its own")
        mean, variance = numbers_of(faces)
        bad = np.flatnonzero(~usable(mean, variance))
        if len(bad):
            raise UserError(
                f"template {numbers[bad[0]]} has no embedding (not finite, a length other than 1, or a "
                "variance not above 0): it cannot be searched for"
            )
        self._check_shape(mean, variance)
        return numbers, flat(mean), flat(variance)

    def _check_shape(self, mean: np.ndarray, variance: np.ndarray) -> None:
        shape, spread = (mean.shape[1], mean.shape[2]), int(np.prod(variance.shape[1:]))
        if self.shape is not None and (shape, spread) != (self.shape, self.spread):
            raise UserError(
                f"templates of the shape {list(shape)} with {spread} variances do not fit an index of "
                f"{list(self.shape)} with {self.spread}: all must come from one model"
            )

    def probes(self, faces: FaceEmbedding) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Means [P, K * D], variances [P, K] and which probes can be scored at all [P] bool."""
        mean, variance = numbers_of(faces)
        self._check_shape(mean, variance)
        good = usable(mean, variance)
        return flat(mean), flat(variance), good

    def append(self, ids: np.ndarray, mean: np.ndarray, variance: np.ndarray, dim: int) -> None:
        """Checked templates, none of them there yet, behind the last; ``dim`` is D."""
        if self.shape is None:
            self.begin((mean.shape[1] // dim, dim), variance.shape[1])
        start = len(self)
        self.place.update(zip(ids.tolist(), range(start, start + len(ids)), strict=True))
        self.id_of.append(ids[:, None])
        self.mean.append(mean)
        self.variance.append(variance)

    def remove(self, ids: np.ndarray) -> Change:
        """Take away those of ``ids`` that are there."""
        known = np.unique(np.asarray(ids, np.int64))
        gone = np.array(sorted(self.place[i] for i in known.tolist() if i in self.place), np.int64)
        count = len(self) - len(gone)
        # Places below ``count`` that fall free are filled from above it, each by one that stays.
        to = gone[gone < count]
        left = np.setdiff1d(np.arange(count, len(self)), gone, assume_unique=True)
        for i in known.tolist():
            self.place.pop(i, None)
        if len(gone):
            moved = self.id_of.take(left)[:, 0].tolist()
            for table in (self.id_of, self.mean, self.variance):
                table.put(to, table.take(left))
                table.cut(count)
            self.place.update(zip(moved, to.tolist(), strict=True))
        return Change(gone, left, to)

    def places(self, ids: np.ndarray) -> np.ndarray:
        """Where templates stand. Raises UserError for an id that is not there."""
        try:
            return np.array([self.place[i] for i in np.asarray(ids).tolist()], np.int64)
        except KeyError as error:
            raise UserError(f"no template has the id {error.args[0]}") from None

    def ids(self) -> np.ndarray:
        """[N] int64, rising."""
        return np.sort(np.fromiter(self.place, np.int64, len(self.place)))

    def at(self, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Means [n, K, D] and variances [n, K] of the templates at ``places``."""
        assert self.shape is not None
        mean = self.mean.take(places).reshape(len(places), *self.shape)
        return mean, self.variances(self.variance.take(places))

    def tiles(self) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
        """The first place of each block, its means [n, K, D] and its variances."""
        assert self.shape is not None
        for (start, mean), (_, variance) in zip(
            self.mean.tiles(), self.variance.tiles(), strict=True
        ):
            yield start, mean.reshape(-1, *self.shape), self.variances(variance)

    def variances(self, numbers: np.ndarray) -> np.ndarray:
        """[n, K] or [n, K, D] of rows."""
        assert self.shape is not None
        return numbers if self.spread == self.shape[0] else numbers.reshape(-1, *self.shape)


def numbers_of(faces: FaceEmbedding) -> tuple[np.ndarray, np.ndarray]:
    """Means and variances as float32 in rows."""
    arrays = faces.numpy()
    return (
        np.ascontiguousarray(arrays.mean, np.float32),
        np.ascontiguousarray(arrays.variance, np.float32),
    )


def flat(array: np.ndarray) -> np.ndarray:
    """[N, everything else], of no rows too."""
    return array.reshape(len(array), int(np.prod(array.shape[1:])))


def usable(mean: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """[N] bool: whether a face has an embedding that may be scored (G53), once rounded to float32."""
    with np.errstate(over="ignore", invalid="ignore"):
        length = np.sqrt(np.einsum("bkd,bkd->bk", mean, mean, dtype=np.float64))
        # Written so that NaN counts as bad.
        unit = (np.abs(length - 1.0) <= 1.1 * UNIT_TOLERANCE).all(1)
        known = flat((variance > 0) & (variance < np.inf)).all(1)
    good: np.ndarray = unit & known
    return good
