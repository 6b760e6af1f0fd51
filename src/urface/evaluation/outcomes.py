"""What a model met in each trial of a test set, kept so that it can be judged again without the model.

One safetensors file for each row, seed and condition: the score of each pair, and for each gallery
what each probe found. The protocol beside it says who was compared with whom. No names, no pickle.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from urface.atomic import atomic_path
from urface.evaluation.embedding import TestFaces
from urface.evaluation.judge import pair_scores, search
from urface.evaluation.protocol import PairProtocol, SearchProtocol
from urface.metrics.identification import SearchOutcomes
from urface.scoring.score import Method
from urface.types import UserError

FORMAT = "urface-outcomes-1"
FOUND = ("mated", "mate", "other", "better")


@dataclass(frozen=True, eq=False)
class TestProtocol:
    """All that is compared in a test set of N images.

    labels    [N] the person of each image
    pairs     1:1
    searches  1:N by the gallery's name: ``single``, and ``several`` where one was asked for
    """

    __test__ = False  # its name is not a test's

    labels: np.ndarray
    pairs: PairProtocol
    searches: dict[str, SearchProtocol]

    @property
    def people(self) -> int:
        """Numbers of people run from 0 to this."""
        return int(self.labels.max()) + 1

    @property
    def pair_people(self) -> np.ndarray:
        """[P, 2] the two people of each pair; an image that the data lack is of a person of its own."""
        sides = np.stack([self.pairs.left, self.pairs.right], axis=1)
        people = np.where(sides >= 0, self.labels[sides], -1)
        # Whoever is missing on one side of a genuine pair is who is on the other.
        other = people[:, ::-1]
        people = np.where((people < 0) & self.pairs.same[:, None], other, people)
        return np.where(people < 0, np.where(other < 0, 0, other), people)

    def probe_people(self, gallery: str) -> np.ndarray:
        """[Q] the person of each probe, mated ones first, as ``search`` orders them."""
        protocol = self.searches[gallery]
        return self.labels[np.concatenate([protocol.mated, protocol.nonmated])]

    def digest(self) -> str:
        """Changes with anything that is compared."""
        digest = hashlib.sha256()
        for name, array in sorted(self.arrays().items()):
            digest.update(name.encode())
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()[:16]

    def arrays(self) -> dict[str, np.ndarray]:
        """Everything as named arrays."""
        arrays = {"labels": self.labels}
        for name in ("left", "right", "same", "fold"):
            arrays[f"pairs/{name}"] = np.asarray(getattr(self.pairs, name))
        for gallery, protocol in self.searches.items():
            for name in ("gallery", "mated", "nonmated"):
                arrays[f"{gallery}/{name}"] = getattr(protocol, name)
        return arrays

    def save(self, path: Path) -> None:
        """Write it whole; ``load`` reads it back."""
        _save(path, self.arrays(), {"format": FORMAT, "galleries": json.dumps([*self.searches])})

    @staticmethod
    def load(path: Path) -> TestProtocol:
        """What ``save`` wrote. Raises UserError on any other file."""
        arrays, facts = _read(path)
        return TestProtocol(
            arrays["labels"],
            PairProtocol(*(arrays[f"pairs/{name}"] for name in ("left", "right", "same", "fold"))),
            {
                gallery: SearchProtocol(
                    *(arrays[f"{gallery}/{name}"] for name in ("gallery", "mated", "nonmated"))
                )
                for gallery in json.loads(facts["galleries"])
            },
        )


@dataclass(frozen=True, eq=False)
class Outcomes:
    """What one row met with one seed in one condition.

    scores       [P] of the pairs, NaN where there was none
    searches     by gallery
    uncertainty  [N] of each image in the condition (mean log variance), NaN where there is none
    norm         [N] length of the embedding before it is normalised, or NaN where not recorded
    """

    scores: np.ndarray
    searches: dict[str, SearchOutcomes]
    uncertainty: np.ndarray
    norm: np.ndarray

    def save(self, path: Path, stamp: str) -> None:
        """Write it whole, with the ``stamp`` of what it was made from."""
        arrays: dict[str, np.ndarray] = {
            "scores": self.scores.astype(np.float64),
            "uncertainty": self.uncertainty.astype(np.float32),
            "norm": self.norm.astype(np.float32),
        }
        for gallery, found in self.searches.items():
            arrays |= {f"{gallery}/{name}": getattr(found, name) for name in FOUND}
        facts = {"format": FORMAT, "stamp": stamp, "galleries": json.dumps([*self.searches])}
        _save(path, arrays, facts)

    @staticmethod
    def load(path: Path, stamp: str | None = None) -> Outcomes | None:
        """What ``save`` wrote; None where nothing is there or it has another ``stamp``."""
        if not path.is_file():
            return None
        arrays, facts = _read(path)
        if stamp is not None and facts.get("stamp") != stamp:
            return None
        return Outcomes(
            arrays["scores"],
            {
                gallery: SearchOutcomes(*(arrays[f"{gallery}/{name}"] for name in FOUND))
                for gallery in json.loads(facts["galleries"])
            },
            arrays["uncertainty"],
            arrays["norm"],
        )


def meet(
    clean: TestFaces,
    tested: TestFaces,
    protocol: TestProtocol,
    method: Method,
    norm: np.ndarray | None = None,
) -> Outcomes:
    """Compare all pairs of ``tested`` faces, and search them in the galleries of ``clean`` ones."""
    uncertainty = np.full(len(tested.row), np.nan)
    there = tested.row >= 0
    uncertainty[there] = np.asarray(tested.faces.uncertainty)[tested.row[there]]
    return Outcomes(
        pair_scores(tested, tested, protocol.pairs, method),
        {
            name: search(clean, tested, protocol.labels, gallery, method)
            for name, gallery in protocol.searches.items()
        },
        uncertainty,
        np.full(len(tested.row), np.nan) if norm is None else norm,
    )


def _save(path: Path, arrays: Mapping[str, np.ndarray], facts: dict[str, str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as temporary:
        whole = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
        save_file(whole, temporary, metadata=facts)


def _read(path: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    try:
        with safe_open(str(path), framework="numpy") as file:
            facts = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise UserError(
            f"{path}: cannot be read ({error}): delete it to have it made again"
        ) from None
    if facts.get("format") != FORMAT:
        raise UserError(f"{path}: not outcomes of a test: delete it to have it made again")
    return arrays, facts
