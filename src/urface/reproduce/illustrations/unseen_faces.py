"""Figures 2, 3 and 5: test faces with their uncertainties, and example sheets; chosen by stated rules."""

from __future__ import annotations

import hashlib

import numpy as np

from urface.data.decode import resize_image
from urface.data.source import FaceSource
from urface.embedder import Embedder
from urface.evaluation.degrade import degrade
from urface.evaluation.levels import Kind, at_level, extreme
from urface.figures.sheets import COLUMNS, Sheet, sheets_figure
from urface.figures.uncertainty import uncertainty_figure
from urface.reproduce.illustrations.drawn import (
    NO_MODEL,
    NO_TEST,
    Drawn,
    drawn_places,
    need,
    needed,
)
from urface.reproduce.illustrations.material import Material, read_images

RANKED_IMAGES = 600
PEOPLE, SHOTS = 5, 6
RANKED_GRID = (4, 6)
FEWEST, MOST = 10, 24
NEAR_FRONTAL = 0.3  # of the pose label, where 1 is 60 degrees of yaw and pitch together
VARIATIONS: tuple[tuple[str, Kind, float], ...] = (
    ("blurred", "blur", 21),
    ("12 pixels", "pixels", 12),
    ("40 % occluded", "occlusion", 40),
    ("yaw 60\N{DEGREE SIGN}", "yaw", 60),
)


def by_variation(material: Material) -> Drawn:
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
        f"The first {len(rows)} people of the test faces ({material.test_name}), each face beside its "
        f"{variance.shape[2]} uncertainties: of each person the image (of up to {SHOTS}) that the model "
        f"is surest of, then with one variation at a time, then with {_extreme_words(material)} at "
        f"once. One colour scale for all; light is unsure. Below each: mean log variance."
    )
    numbers = {"columns": titles, "mean_log_variance": np.log(variance).mean((0, 2)).tolist()}
    title = "Uncertainty of each sub-embedding, one variation at a time"
    return Drawn(uncertainty_figure(rows, variance, titles), title, caption, numbers)


def ranked(material: Material) -> Drawn:
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
        f"{high * wide} of {len(shown)} test faces ({material.test_name}), a third of them as they "
        f"are, a third with one degradation and a third extreme ({_extreme_words(material)}), in the "
        f"order of their mean log variance (below each), from the surest to the least sure at even steps "
        f"of rank. One colour scale for all; light is unsure."
    )
    kinds = [float(np.median(np.asarray(embedded.uncertainty)[i::3])) for i in range(3)]
    numbers = {
        "median_uncertainty": dict(zip(("clean", "degraded", "extreme"), kinds, strict=True))
    }
    title = "Uncertainty, from the surest to the least sure test face"
    return Drawn(uncertainty_figure(rows, variance), title, caption, numbers)


def example_sheets(material: Material) -> Drawn:
    """Figure 5."""
    count = 2 * COLUMNS
    if material.sheets:
        sheets = []
        for name, source in material.sheets.items():
            images, _ = read_images(source, drawn_places(len(source), count))
            sheets.append(Sheet(name, images))
        figure, what = sheets_figure(sheets), "Faces drawn at random from each test set."
        return Drawn(figure, "Examples of the test sets", what)
    source = needed(material.test, NO_TEST)
    drawn = drawn_places(len(source), len(source))
    frontal = [place for place in drawn if _near_frontal(source, place)][:count]
    others = [place for place in drawn if place not in set(frontal)][: 2 * count]
    need(len(frontal) > 0 and len(others) > 1, f"{material.test_name}: too few faces")
    limited, _ = read_images(source, frontal)
    images, places = read_images(source, others)
    keys = [source.keys[place] for place in places]
    half = len(images) // 2
    mixed = [
        image if number % 2 else degrade(image, key)
        for number, (image, key) in enumerate(zip(images[:half], keys[:half], strict=True))
    ]
    low = [few_pixels(image, key) for image, key in zip(images[half:], keys[half:], strict=True)]
    sheets = [
        Sheet("type I, limited variation", limited),
        Sheet("type II, mixed: every second face degraded", mixed),
        Sheet(f"type III, low quality: {FEWEST} to {MOST} pixels a side", low),
    ]
    known = "near-frontal ones as they are" if "pose" in source.variation_names else "as they are"
    caption = (
        f"{len(limited) + len(images)} test faces ({material.test_name}) drawn at random. Type I, as LFW: "
        f"{known}. Type II, as IJB-A: faces in any pose, every second one blurred, shrunk or occluded. "
        f"Type III, as TinyFace and IJB-S: {FEWEST} to {MOST} pixels a side, shown pixel by pixel."
    )
    return Drawn(sheets_figure(sheets), "Examples of the three types of test sets", caption)


def few_pixels(image: np.ndarray, key: str) -> np.ndarray:
    """``image`` at FEWEST to MOST pixels a side, as ``key`` draws, not enlarged again."""
    side = FEWEST + hashlib.sha256(key.encode()).digest()[0] % (MOST - FEWEST + 1)
    return resize_image(image, side)


def _near_frontal(source: FaceSource, place: int) -> bool:
    """Whether the labels, where there are any, call a face near-frontal."""
    if "pose" not in source.variation_names:
        return True
    pose = source.variations[place, source.variation_names.index("pose")]
    return bool(np.isnan(pose) or pose <= NEAR_FRONTAL)


def _tested(material: Material) -> tuple[FaceSource, Embedder]:
    source = needed(material.test, NO_TEST)
    return source, material.embedder(needed(material.ours, NO_MODEL))


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
