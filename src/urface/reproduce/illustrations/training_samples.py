"""Figures 1 and 4: training samples, as they are and augmented, in confidence and in two dimensions."""

from __future__ import annotations

import numpy as np

from urface.config import VariationSettings
from urface.figures.confidence import EXAMPLES, confidence_figure
from urface.figures.tsne import MOST_PEOPLE, Map, project, tsne_figure
from urface.metrics.intervals import rate
from urface.reproduce.illustrations.drawn import (
    NO_BASELINE,
    NO_MODEL,
    NO_TRAIN,
    Drawn,
    drawn_places,
    need,
    needed,
)
from urface.reproduce.illustrations.material import Material, read_images
from urface.types import FaceEmbedding, UserError
from urface.variations.augment import augment, sample_generator

CONFIDENCE_IMAGES = 1500
MAP_SHOTS, VERSIONS = 12, 2


def confidence(material: Material) -> Drawn:
    """Figure 1."""
    source = needed(material.train, NO_TRAIN)
    embedder = material.embedder(needed(material.ours, NO_MODEL))
    need(len(source.identities) >= EXAMPLES, f"{source.name}: too few people")
    images, places = read_images(source, drawn_places(len(source), CONFIDENCE_IMAGES))
    settings = material.variations()
    changed = [varied(image, settings, place) for image, place in zip(images, places, strict=True)]
    samples = [embedder.frame(image) for image in images + changed]
    values = embedder.embed(images + changed, progress=material.progress).confidence
    figure = confidence_figure(
        np.asarray(values), np.arange(len(samples)) >= len(images),
        np.tile(source.labels[places], 2), samples,
    )  # fmt: skip
    medians = np.median(np.asarray(values).reshape(2, len(images), -1), axis=1)
    caption = (
        f"Distribution of the confidence s of each sub-embedding on {len(images):,} "
        f"training samples ({material.train_name}), drawn at random, as they are (filled) and "
        f"augmented as in training (line; blur, fewer pixels, occlusion). Dashed: median. At the "
        f"left of a panel the three samples it is least sure of, at the right the three it is surest of, one "
        f"of a person at either end. All panels share both axes. Median over all sub-embeddings: "
        f"{np.median(medians[0]):.1f} original, {np.median(medians[1]):.1f} augmented."
    )
    numbers = {"medians_original": medians[0].tolist(), "medians_augmented": medians[1].tolist()}
    return Drawn(figure, "Confidence of each sub-embedding on training samples", caption, numbers)


def maps(material: Material) -> Drawn:
    """Figure 4."""
    source = needed(material.train, NO_TRAIN)
    ours, baseline = needed(material.ours, NO_MODEL), needed(material.baseline, NO_BASELINE)
    settings = material.variations()
    images: list[np.ndarray] = []
    faces: list[np.ndarray] = []
    people: list[int] = []
    parents: list[int] = []
    for label in range(len(source.identities)):
        mine, places = read_images(
            source, np.flatnonzero(source.labels == label)[:MAP_SHOTS].tolist()
        )
        if len(mine) < 3:
            continue
        first = len(images)
        changed = [
            varied(image, settings, place, version)
            for image, place in zip(mine, places, strict=True)
            for version in range(VERSIONS)
        ]
        images += mine + changed
        parents += [-1] * len(mine) + [first + i // VERSIONS for i in range(len(changed))]
        people += [len(faces)] * (len(mine) + len(changed))
        faces.append(mine[0])
        if len(faces) == MOST_PEOPLE:
            break
    need(len(faces) >= 2, f"{material.train_name}: no two people with three images each")
    people_N, parents_N = np.array(people), np.array(parents)
    panels, numbers, found = [], {}, []
    for title, path in (("baseline + variation augmentation", baseline), ("ours", ours)):
        embedded = material.embedder(path).embed(images, progress=material.progress)
        panels.append(Map(title, project(np.asarray(embedded.mean))))
        hits = nearest_original_is_same(embedded, people_N, parents_N)
        near = rate(int(hits.sum()), len(hits))
        numbers[title] = {"augmented_near_own": near.to_dict()}
        found.append(f"{title} {near.format()}")
    figure = tsne_figure(panels, people_N, parents_N >= 0, faces)
    originals = int((parents_N < 0).sum())
    caption = (
        f"t-SNE of {originals} original samples (circles) of the first {len(faces)} people of the "
        f"training set ({material.train_name}) and {len(images) - originals} augmented ones "
        f"(triangles). Colour and letter: who. Not in the map but in the embeddings themselves, augmented "
        f"samples whose nearest original, other than the one they were made from, is of their own "
        f"person, in % [95 % interval]: "
        f"{'; '.join(found)}."
    )
    return Drawn(figure, "Training samples in two dimensions", caption, numbers)


def varied(
    image: np.ndarray, settings: VariationSettings, place: int, version: int = 0
) -> np.ndarray:
    """``image`` augmented as in training, by the first of its draws that changes anything."""
    for draw in range(1000):
        random = sample_generator(0, version * 1000 + draw, place)
        changed, labels = augment(image, settings, random)
        if labels.any():
            return np.ascontiguousarray(changed)
    raise UserError("the variations of this model are too rare to show")


def nearest_original_is_same(
    embedded: FaceEmbedding, people_N: np.ndarray, parents_N: np.ndarray
) -> np.ndarray:
    """[A] bool: whether the original most alike an augmented sample, its parent aside, is of its person.

    parents_N is the place of the original that a sample was made from, -1 for an original.
    """
    mean = np.asarray(embedded.mean, np.float64).reshape(len(embedded), -1)
    originals, augmented = np.flatnonzero(parents_N < 0), np.flatnonzero(parents_N >= 0)
    cosines = mean[augmented] @ mean[originals].T
    cosines[originals[None, :] == parents_N[augmented][:, None]] = -np.inf
    same: np.ndarray = people_N[originals[np.argmax(cosines, axis=1)]] == people_N[augmented]
    return same
