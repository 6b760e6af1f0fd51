"""Noticing a preprocessing that was declared wrongly: the model itself tells, on faces that we render.

A network fed swapped channels or pixels of another scale still gives features, and plausible ones: accuracy
falls by some points and nobody knows why. But under the input it was trained on it tells people apart
best. So a few synthetic people are embedded under what was declared and under what it could have
been meant to be, and an alternative that is clearly better is said.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import NamedTuple

import numpy as np

from urface.data.synthetic.face import render_face
from urface.data.synthetic.shot import ShotStyle
from urface.recognisers.network import NetworkRecogniser
from urface.recognisers.preprocessing import described
from urface.recognisers.recogniser import Features, Preprocessing, Recogniser
from urface.recognisers.usable import refuse_unusable
from urface.types import UserError

PEOPLE, SHOTS, SEED = 16, 4, 20_200_613
CLEARLY = 3.0  # standard errors by which an alternative must be better
AT_LEAST = 0.25  # and by how much, in standard deviations of the scores


class Tried(NamedTuple):
    """One preprocessing, and how well the model separates people under it (d')."""

    preprocessing: Preprocessing
    what: str
    separation: float


def preprocessing_warning(recogniser: Recogniser) -> str | None:
    """One line where another preprocessing than the declared one separates people clearly better.

    None where the declared one is the best or nearly, and for a model whose input cannot be wrong: a file
    of features, or a model that we trained. It takes about PEOPLE * SHOTS * 4 faces through the network.
    """
    declared = recogniser.preprocessing
    under = getattr(recogniser, "features_under", None)
    if declared is None or under is None or not recogniser.needs_images:
        return None
    if isinstance(recogniser, NetworkRecogniser) and "imported" not in recogniser.facts:
        return None
    faces, people = probe_faces()
    images, keys = list(faces), [f"synthetic face {number}" for number in range(len(faces))]

    def scores(preprocessing: Preprocessing) -> np.ndarray | None:
        try:
            return _cosines(refuse_unusable(under(preprocessing, images, keys), keys))
        except UserError:  # under a wrong input a network may well give no finite feature
            return None

    own = scores(declared)
    best: tuple[float, Preprocessing, str, float] | None = None
    for alternative, what in alternatives(declared):
        other = scores(alternative)
        if other is None:
            continue
        gain, error = (1.0, 0.0) if own is None else _gain(own, other, people)
        if gain > max(AT_LEAST, CLEARLY * error) and (best is None or gain > best[0]):
            best = (gain, alternative, what, separation(other, people))
    if best is None:
        return None
    _, alternative, what, there = best
    here = "gives no feature" if own is None else f"d' {separation(own, people):.2f}"
    return (
        f"{recogniser.name}: the declared preprocessing looks wrong ({what}?): {described(declared)} {here} "
        f"on synthetic faces, {described(alternative)} d' {there:.2f}"
    )


def alternatives(declared: Preprocessing) -> list[tuple[Preprocessing, str]]:
    """What else could have been meant, and the mistake that it would be."""
    swapped = replace(declared, colour="rgb" if declared.colour == "bgr" else "bgr")
    found = [(swapped, "channels swapped")]
    for mean, scale, what in (
        (127.5, 1 / 127.5, "pixels from -1 to 1"),
        (0.0, 1 / 255, "pixels from 0 to 1"),
        (0.0, 1.0, "pixels from 0 to 255"),
    ):
        if not (np.isclose(mean, declared.mean) and np.isclose(scale, declared.scale, rtol=0.02)):
            found.append((replace(declared, mean=mean, scale=scale), what))
    if declared.mean and not np.isclose(declared.scale, 1 / 255, rtol=0.02):
        found.append((replace(declared, mean=0.0), "mean left out"))
    return found


@cache
def probe_faces() -> tuple[np.ndarray, np.ndarray]:
    """PEOPLE * SHOTS faces [N, 112, 112, 3] as they come, neither blurred nor covered, and whose they are."""
    style = ShotStyle()
    faces = [
        render_face(SEED, person, shot, 112, style=style).image
        for person in range(PEOPLE)
        for shot in range(SHOTS)
    ]
    return np.stack(faces), np.repeat(np.arange(PEOPLE), SHOTS)


def _cosines(given: Features) -> np.ndarray:
    """[N, N] mean over the parts of the cosines."""
    vectors = given.vectors.astype(np.float64).reshape(len(given), given.parts, -1)
    units = vectors / np.maximum(np.linalg.norm(vectors, axis=2, keepdims=True), 1e-30)
    flat = units.reshape(len(given), -1)
    return flat @ flat.T / given.parts


def separation(cosines: np.ndarray, people: np.ndarray) -> float:
    """d': how many standard deviations lie between genuine and impostor scores of all pairs."""
    first, second = np.triu_indices(len(people), 1)
    scores, same = cosines[first, second], people[first] == people[second]
    genuine, impostor = scores[same], scores[~same]
    spread = np.sqrt((genuine.var() + impostor.var()) / 2)
    return float((genuine.mean() - impostor.mean()) / max(spread, 1e-12))


def _gain(own: np.ndarray, other: np.ndarray, people: np.ndarray) -> tuple[float, float]:
    """How much better ``other`` separates than ``own``, and its standard error by leaving out each person."""
    gain = separation(other, people) - separation(own, people)
    left_out = []
    for person in np.unique(people):
        kept = np.flatnonzero(people != person)
        part = np.ix_(kept, kept)
        left_out.append(separation(other[part], people[kept]) - separation(own[part], people[kept]))
    gains = np.array(left_out)
    count = len(gains)
    return gain, float(np.sqrt((count - 1) / count * np.square(gains - gains.mean()).sum()))
