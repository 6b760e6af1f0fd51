"""How accuracy and uncertainty change as a variation grows: what figures A and B are drawn from."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from tqdm import tqdm

from urface.data.source import FaceSource
from urface.evaluation.levels import LADDERS, Ladder, at_level
from urface.evaluation.protocol import PairProtocol
from urface.metrics.bootstrap import bootstrap_interval_by_subject, rate_by_subject
from urface.metrics.verification import kfold_accuracy
from urface.reproduce.illustrations.material import Material, read_images
from urface.scoring.score import score
from urface.types import FaceEmbedding, UserError

RESAMPLES = 500


@dataclass(eq=False)
class Measured:
    """A variation's ladder with what was found at its L levels, in order.

    accuracy     row name -> [L] (value, low, high), shares with 95 % intervals by subject
    uncertainty  [L] arrays of the uncertainty of each probe, of the method's first seed
    pairs        comparisons per level
    """

    ladder: Ladder
    accuracy: dict[str, list[tuple[float, float, float]]] = field(default_factory=dict)
    uncertainty: list[np.ndarray] = field(default_factory=list)
    pairs: int = 0


def measure(material: Material) -> list[Measured]:
    """Verification of a clean face with a varied one, for every row, at every level of every variation.

    The first face of a pair stays as it is. Each model embeds each varied face once, and all see the
    same pixels. Accuracy is that of 10 folds, the threshold chosen at the same level. Pairs with a face
    that cannot be decoded, or turned (for yaw), are left out for all rows; ``pairs`` is what remains.
    """
    source = material.test
    assert source is not None
    models = {path for row in material.rows for path in row.models}
    if material.ours is not None:
        models.add(material.ours)
    embedders = {path: material.embedder(path) for path in sorted(models)}
    pairs = material.pairs()
    clean_images, clean_places = read_images(source, _there(pairs.left))
    clean = {
        path: embedder.embed(clean_images, progress=material.progress)
        for path, embedder in embedders.items()
    }
    probe_images, probe_places = read_images(source, _there(pairs.right))
    if not clean_images or not probe_images:
        raise UserError("none of the test faces of the pairs can be decoded")
    ladders = [ladder for ladder in LADDERS if ladder.kind != "yaw" or material.turn is not None]
    steps = [(ladder, level) for ladder in ladders for level in ladder.levels]
    found = {ladder.kind: Measured(ladder) for ladder in ladders}
    bar = tqdm(steps, desc="variations", unit=" levels", disable=not material.progress, leave=False)
    unvaried: dict[Path, FaceEmbedding] = {}

    def vary(number: int) -> tuple[list[np.ndarray], list[int]] | None:
        """The faces of a step, None for those that are as they were."""
        if number == len(steps) or (number and _as_it_was(*steps[number])):
            return None
        return _varied(source, probe_images, probe_places, *steps[number], material)

    with ThreadPoolExecutor(1) as pool:  # the next level is made while models look at this one
        ahead = pool.submit(vary, 0)
        for number, (ladder, level) in enumerate(bar):
            made = ahead.result()
            ahead = pool.submit(vary, number + 1)
            if made is None:
                probes, places = unvaried, probe_places
            else:
                images, places = made
                probes = {path: e.embed(images) for path, e in embedders.items()}
            if number == 0:
                assert _as_it_was(ladder, level)
                unvaried = probes
            _judge(found[ladder.kind], material, pairs, (clean, clean_places), (probes, places))
    return list(found.values())


def _as_it_was(ladder: Ladder, level: float) -> bool:
    """Whether a level changes nothing; turning by 0 degrees is drawing the head anew."""
    return ladder.kind != "yaw" and level == ladder.levels[0]


def _varied(
    source: FaceSource,
    images: Sequence[np.ndarray],
    places: Sequence[int],
    ladder: Ladder,
    level: float,
    material: Material,
) -> tuple[list[np.ndarray], list[int]]:
    """The faces at one level, and the places of those that there is one of."""
    varied, kept = [], []
    for image, place in zip(images, places, strict=True):
        face = at_level(image, source.keys[place], ladder.kind, level, material.turn)
        if face is not None:
            varied.append(face)
            kept.append(place)
    if not varied:
        raise UserError(f"no test face can be varied in {ladder.kind}")
    return varied, kept


def _judge(
    found: Measured,
    material: Material,
    pairs: PairProtocol,
    clean: tuple[dict[Path, FaceEmbedding], list[int]],
    probes: tuple[dict[Path, FaceEmbedding], list[int]],
) -> None:
    """Add one level to ``found``."""
    source = material.test
    assert source is not None
    left, right = _rows_of(clean[1], pairs.left), _rows_of(probes[1], pairs.right)
    both = (left >= 0) & (right >= 0)
    subjects = np.stack([source.labels[pairs.left[both]], source.labels[pairs.right[both]]], 1)
    found.pairs = int(both.sum())
    for row in material.rows:
        correct = np.stack(
            [
                kfold_accuracy(
                    np.asarray(
                        score(clean[0][path][left[both]], probes[0][path][right[both]], row.method)
                    ),
                    pairs.same[both],
                    pairs.fold[both],
                ).correct
                for path in row.models
            ]
        )
        found.accuracy.setdefault(row.name, []).append(_interval(correct, subjects))
    if material.ours is not None:
        values = np.asarray(probes[0][material.ours].uncertainty, np.float64)
        found.uncertainty.append(values)


def _interval(correct_SP: np.ndarray, subjects_P2: np.ndarray) -> tuple[float, float, float]:
    """Share of right answers, the mean over S seeds, with its interval over people."""
    if len(correct_SP) == 1:
        rate = rate_by_subject(correct_SP[0], subjects_P2, resamples=RESAMPLES)
        assert rate.value is not None
        assert rate.low is not None
        assert rate.high is not None
        return rate.value, rate.low, rate.high
    values = correct_SP.mean(0)
    low, high = bootstrap_interval_by_subject(values, subjects_P2, resamples=RESAMPLES)
    return float(values.mean()), low, high


def _there(places: np.ndarray) -> list[int]:
    """Each place once, without the -1 of images that a list names and the data lack."""
    found: list[int] = np.unique(places[places >= 0]).tolist()
    return found


def _rows_of(places: Sequence[int], wanted: np.ndarray) -> np.ndarray:
    """Where in ``places`` each of the wanted places is, -1 where it is not."""
    row_of = {place: row for row, place in enumerate(places)}
    return np.array([row_of.get(int(place), -1) for place in wanted], np.int64)
