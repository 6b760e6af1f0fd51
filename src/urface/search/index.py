"""What every index can do, and how one is brought to agree with the truth it is a cache of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np

from urface.types import FaceEmbedding, to_numpy

Method = Literal["likelihood", "cosine"]
NOBODY = -1  # the id in a result where fewer than k templates are there; its score is -inf
AT_A_TIME = 4096  # templates compared at once by ``reconcile``


class Index(Protocol):
    """Templates by id, searched by score. A cache: whoever owns one can always build it anew.

    stamp   a word of the owner's, kept with ``save``: which state of the truth the index was made from
    """

    stamp: str

    def __len__(self) -> int:
        """How many templates are there."""
        ...

    def add(self, ids: np.ndarray, faces: FaceEmbedding) -> None:
        """Put template i of ``faces`` there under ``ids[i]``; one already there is replaced.

        ids [N] int64, 0 or above, each once. All or none: raises UserError, and nothing has changed, where
        an id or a template is not usable (G53) or does not fit those there.
        """
        ...

    def remove(self, ids: np.ndarray) -> None:
        """Take templates away; an id that is not there is passed over."""
        ...

    def search(
        self, probes: FaceEmbedding, k: int, method: Method = "likelihood"
    ) -> tuple[np.ndarray, np.ndarray]:
        """The k best templates of each probe: ids int64 [P, k], scores float32 [P, k], falling.

        The scores are those of ``urface.score``, whichever index found them, to float32's rounding. Of equal
        scores among those found the smaller id is first. Where fewer than k are there: -1 and -inf; a probe
        without an embedding finds nobody.
        """
        ...

    def ids(self) -> np.ndarray:
        """[N] int64, rising."""
        ...

    def stored(self, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Means float32 [n, K, D] and variances float32 [n, K] of templates that are there."""
        ...

    def save(self, path: str | Path) -> None:
        """Write all to one file, whole or not at all; an index that lives in an engine flushes it."""
        ...

    def load(self, path: str | Path) -> None:
        """Take what ``save`` wrote. Raises UserError where the file is damaged: build the index anew."""
        ...

    def close(self) -> None:
        """Give back memory or the connection."""
        ...


@dataclass(frozen=True)
class Repairs:
    """What ``reconcile`` put right: ids that were missing, that had no business there, that differed."""

    missing: tuple[int, ...]
    extra: tuple[int, ...]
    changed: tuple[int, ...]

    def __bool__(self) -> bool:
        return bool(self.missing or self.extra or self.changed)


def reconcile(
    index: Index, truth: np.ndarray | Sequence[int], fetch: Callable[[np.ndarray], FaceEmbedding]
) -> Repairs:
    """Make ``index`` hold the templates ``truth`` and no others, by a full scan; says what was wrong.

    truth [N] int64 ids; ``fetch(ids)`` gives their templates in that order. Every stored number is held
    against the truth, so nothing is taken on trust. Killed at any point, it is simply run again.
    """
    wanted = np.unique(np.asarray(truth, np.int64))
    there = index.ids()
    extra = np.setdiff1d(there, wanted, assume_unique=True)
    index.remove(extra)
    missing, changed = [], []
    for start in range(0, len(wanted), AT_A_TIME):
        part = wanted[start : start + AT_A_TIME]
        faces = fetch(part).numpy()
        known = np.isin(part, there, assume_unique=True)
        wrong = ~known
        mean, variance = index.stored(part[known])
        own = to_numpy(faces.mean)[known], to_numpy(faces.variance)[known]
        wrong[known] = differs(mean, own[0]) | differs(variance, own[1])
        if wrong.any():
            index.add(part[wrong], faces[np.flatnonzero(wrong)])
        missing.extend(part[~known].tolist())
        changed.extend(part[known & wrong].tolist())
    return Repairs(tuple(missing), tuple(extra.tolist()), tuple(changed))


def differs(stored: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """[n] where any number of a row differs in float32, as which indexes store."""
    truth = np.asarray(truth, np.float32)
    if stored.shape != truth.shape:
        return np.ones(len(truth), bool)
    unequal: np.ndarray = (stored != truth).any(tuple(range(1, truth.ndim)))
    return unequal
