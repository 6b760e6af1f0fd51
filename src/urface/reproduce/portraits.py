"""The faces and embeddings of figures 1 to 5: what is drawn, by a rule that looks at no result first.

Each function gives (figure, title, caption, numbers), or raises UserError with what lacks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from urface.config import VariationSettings
from urface.data.source import FaceSource
from urface.evaluation.degrade import degrade
from urface.evaluation.levels import Kind, at_level, extreme
from urface.figures.confidence import EXAMPLES, confidence_figure
from urface.figures.sheets import COLUMNS, Sheet, sheets_figure
from urface.figures.tsne import MOST_PEOPLE, Map, project, tsne_figure
from urface.figures.uncertainty import uncertainty_figure
from urface.metrics.intervals import rate
from urface.reproduce.material import Material, read_images
from urface.types import FaceEmbedding, UserError
from urface.variations.augment import augment, sample_generator

CONFIDENCE_IMAGES = 1500
RANKED_IMAGES = 600
PEOPLE, SHOTS = 5, 6
RANKED_GRID = (4, 6)
MAP_SHOTS, VERSIONS = 12, 2
VARIATIONS: tuple[tuple[str, Kind, float], ...] = (
    ("blurred", "blur", 21),
    ("16 pixels", "pixels", 16),
    ("40 % occluded", "occlusion", 40),
    ("yaw 60\N{DEGREE SIGN}", "yaw", 60),
)
Result = tuple[Figure, str, str, dict[str, Any]]


def need(there: bool, message: str) -> None:
    """Raise UserError with ``message`` unless a figure has what it needs."""
    if not there:
        raise UserError(message)


def confidence(material: Material) -> Result:
    """Figure 1."""
    need(material.ours is not None, "no confidence-aware model: give --model")
    need(material.train is not None, "no training faces: give --train")
    assert material.ours is not None
    assert material.train is not None
    source, embedder = material.train, material.embedder(material.ours)
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
        f"{material.train_name}, drawn at random, as they are (filled) and augmented as in training "
        f"(line; blur, fewer pixels, occlusion). Dashed: median. At the left of a panel the three "
        f"samples it is least sure of, at the right the three it is surest of, one of a person at "
        f"either end. All panels share both axes. Median over all sub-embeddings: "
        f"{np.median(medians[0]):.1f} original, {np.median(medians[1]):.1f} augmented."
    )
    numbers = {"medians_original": medians[0].tolist(), "medians_augmented": medians[1].tolist()}
    return figure, "Confidence of each sub-embedding on training samples", caption, numbers


def by_variation(material: Material) -> Result:
    """Figure 2."""
    source, embedder = _tested(material)
    kinds = [kind for kind in VARIATIONS if kind[1] != "yaw" or material.turn is not None]
    rows: list[list[np.ndarray]] = []
    for person in range(len(source.identities)):
        clear = _clearest(material, np.flatnonzero(source.labels == person)[:SHOTS])
        if clear is not None:
            image, key = clear
            views = [at_level(image, key, kind, level, material.turn) for _, kind, level in kinds]
            if all(view is not None for view in views):
                rows.append(
                    [
                        image,
                        *(v for v in views if v is not None),
                        extreme(image, key, material.turn),
                    ]
                )
        if len(rows) == PEOPLE:
            break
    need(bool(rows), f"{material.test_name}: no face in it can be varied")
    embedded = embedder.embed([image for row in rows for image in row])
    variance = np.asarray(embedded.variance).reshape(len(rows), len(rows[0]), -1)
    titles = ["clear", *(title for title, _, _ in kinds), "extreme"]
    caption = (
        f"Faces of the first {len(rows)} people of {material.test_name}, each beside its "
        f"{variance.shape[2]} uncertainties: of each person the image (of up to {SHOTS}) that the model "
        f"is surest of, then with one variation at a time, then with {_extreme_words(material)} at "
        f"once. One colour scale for all; light is unsure. Below each: mean log variance."
    )
    numbers = {"columns": titles, "mean_log_variance": np.log(variance).mean((0, 2)).tolist()}
    title = "Uncertainty of each sub-embedding, one variation at a time"
    return uncertainty_figure(rows, variance, titles), title, caption, numbers


def ranked(material: Material) -> Result:
    """Figure 3."""
    source, embedder = _tested(material)
    images, places = read_images(source, drawn_places(len(source), RANKED_IMAGES))
    keys = [source.keys[place] for place in places]
    shown = list(images)
    for number, (image, key) in enumerate(zip(images, keys, strict=True)):
        if number % 3 == 1:
            shown[number] = degrade(image, key)
        if number % 3 == 2:
            shown[number] = extreme(image, key, material.turn)
    embedded = embedder.embed(shown, progress=material.progress)
    order = np.argsort(np.asarray(embedded.uncertainty), kind="stable")
    high, wide = RANKED_GRID
    need(len(order) >= high * wide, f"{material.test_name}: fewer than {high * wide} faces")
    chosen = order[np.linspace(0, len(order) - 1, high * wide).round().astype(int)]
    rows = [[shown[i] for i in row] for row in chosen.reshape(high, wide)]
    variance = np.asarray(embedded.variance)[chosen].reshape(high, wide, -1)
    caption = (
        f"{high * wide} of {len(shown)} {material.test_name}, a third of them as they are, a third with one "
        f"degradation and a third extreme ({_extreme_words(material)}), in the order of their mean "
        f"log variance (below each), from the surest to the least sure at even steps of rank. One colour "
        f"scale for all; light is unsure."
    )
    kinds = [float(np.median(np.asarray(embedded.uncertainty)[i::3])) for i in range(3)]
    numbers = {
        "median_uncertainty": dict(zip(("clean", "degraded", "extreme"), kinds, strict=True))
    }
    title = "Uncertainty, from the surest to the least sure test face"
    return uncertainty_figure(rows, variance), title, caption, numbers


def maps(material: Material) -> Result:
    """Figure 4."""
    need(material.ours is not None, "no confidence-aware model: give --model")
    need(
        material.baseline is not None,
        "no baseline with variation augmentation: train its row, or give --baseline",
    )
    need(material.train is not None, "no training faces: give --train")
    assert material.ours is not None
    assert material.baseline is not None
    assert material.train is not None
    source, settings = material.train, material.variations()
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
    for title, path in (
        ("baseline + variation augmentation", material.baseline),
        ("ours", material.ours),
    ):
        embedded = material.embedder(path).embed(images, progress=material.progress)
        panels.append(Map(title, project(np.asarray(embedded.mean))))
        hits = nearest_original_is_same(embedded, people_N, parents_N)
        near = rate(int(hits.sum()), len(hits))
        numbers[title] = {"augmented_near_own": near.to_dict()}
        found.append(f"{title} {near.format()}")
    figure = tsne_figure(panels, people_N, parents_N >= 0, faces)
    originals = int((parents_N < 0).sum())
    caption = (
        f"t-SNE of {originals} original samples (circles) of the first {len(faces)} people of "
        f"{material.train_name} and {len(images) - originals} augmented ones (triangles). Colour and "
        f"letter: who. Not in the map but in the embeddings themselves, augmented samples whose nearest "
        f"original, other than the one they were made from, is of their own person, in % [95 % interval]: "
        f"{'; '.join(found)}."
    )
    return figure, "Training samples in two dimensions", caption, numbers


def test_sets(material: Material) -> Result:
    """Figure 5."""
    count = 2 * COLUMNS
    if material.sheets:
        sheets = []
        for name, source in material.sheets.items():
            images, _ = read_images(source, drawn_places(len(source), count))
            sheets.append(Sheet(name, images))
        figure, what = sheets_figure(sheets), "Faces drawn at random from each test set."
        return figure, "Examples of the test sets", what, {}
    need(material.test is not None, "no test faces: give --faces or --sheets")
    assert material.test is not None
    source = material.test
    images, places = read_images(source, drawn_places(len(source), 3 * count))
    keys = [source.keys[place] for place in places]
    pairs = list(zip(images, keys, strict=True))
    third = len(pairs) // 3
    need(third >= 1, f"{material.test_name}: fewer than three faces")
    mixed = [
        image if number % 2 else degrade(image, key)
        for number, (image, key) in enumerate(pairs[third : 2 * third])
    ]
    low = [
        degrade(small, key)
        for image, key in pairs[2 * third : 3 * third]
        if (small := at_level(image, key, "pixels", 24)) is not None
    ]
    sheets = [
        Sheet("type I, limited variation: faces as they are", images[:third]),
        Sheet("type II, mixed: every second face degraded", mixed),
        Sheet("type III, low quality: 24 pixels or fewer, degraded besides", low),
    ]
    caption = (
        f"{3 * third} {material.test_name}, drawn at random. Type I as they are, as LFW; type II with every "
        f"second one degraded, as IJB-A mixes qualities; type III all shrunk to 24 pixels a side and then "
        f"degraded, as in TinyFace and IJB-S. A degradation is a blur, fewer pixels or occluded blocks."
    )
    return sheets_figure(sheets), "Examples of the three types of test sets", caption, {}


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


def drawn_places(total: int, count: int) -> list[int]:
    """``count`` places of ``total`` (all where there are fewer), drawn by a fixed seed."""
    places: list[int] = np.random.default_rng(0).permutation(total)[:count].tolist()
    return places


def columns(triples: Sequence[tuple[float, float, float]]) -> tuple[np.ndarray, ...]:
    """[L] tuples as three arrays [L]."""
    return tuple(np.array(triples, np.float64).T)


def quantiles(values: Sequence[np.ndarray], at: Sequence[float]) -> np.ndarray:
    """[L, len(at)] quantiles of each of L samples."""
    return np.stack([np.quantile(level, at) for level in values])


def grown(values: Sequence[np.ndarray]) -> tuple[int, int]:
    """How many faces have a larger value at the last level than at the first, and of how many.

    (0, 0) where the levels do not hold the same faces.
    """
    if len(values[0]) != len(values[-1]):
        return 0, 0
    return int((values[-1] > values[0]).sum()), len(values[0])


def _tested(material: Material) -> tuple[FaceSource, Any]:
    need(material.ours is not None, "no confidence-aware model: give --model")
    need(material.test is not None, "no test faces: give --faces")
    assert material.ours is not None
    assert material.test is not None
    return material.test, material.embedder(material.ours)


def _clearest(material: Material, places: np.ndarray) -> tuple[np.ndarray, str] | None:
    """The image of a person that the model is surest of, and its key."""
    source, embedder = _tested(material)
    images, kept = read_images(source, places.tolist())
    if not images:
        return None
    best = int(np.argmin(np.asarray(embedder.embed(images).uncertainty)))
    return images[best], source.keys[kept[best]]


def _extreme_words(material: Material) -> str:
    turned = "a yaw of 60 degrees, " if material.turn is not None else ""
    return f"{turned}12 pixels and 45 % of the blocks occluded"
