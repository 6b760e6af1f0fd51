"""Claims about templates, each against a plain loop in float64."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from urface.benchmarks.benchmark import Templates
from urface.benchmarks.embedded import Block, Embedded
from urface.benchmarks.pool import Pooling, pool
from urface.recognisers.recogniser import Features
from urface.scoring.fusion import fuse
from urface.types import FaceEmbedding, UserError

IMAGES, TEMPLATES, PARTS, DIM = 60, 9, 2, 5


def embedded(
    vectors: np.ndarray,
    parts: int = PARTS,
    variance: np.ndarray | None = None,
    failed: tuple[int, ...] = (),
    block: int = 7,
) -> Embedded:
    """Features in blocks, so that sums run over several of them."""

    def blocks() -> Iterator[Block]:
        for first in range(0, len(vectors), block):
            some = slice(first, first + block)
            spread = None if variance is None else variance[some]
            yield Block(first, Features(vectors[some], parts, None, spread))

    ok = np.ones(len(vectors), bool)
    ok[list(failed)] = False
    vectors[list(failed)] = 0
    return Embedded(ok, dict.fromkeys(failed, "damaged"), parts, blocks, "digest", "test")


def made(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, Templates]:
    """Vectors, variances, quality and templates: of one, several and no image, with images used twice."""
    random = np.random.default_rng(seed)
    vectors = random.normal(size=(IMAGES, PARTS * DIM)).astype(np.float32)
    variance = random.uniform(0.01, 2, (IMAGES, PARTS)).astype(np.float32)
    quality = random.uniform(0.1, 1, IMAGES).astype(np.float32)
    entries = 90
    template = random.integers(0, TEMPLATES - 2, entries)  # the last two are nobody's so far
    template[0] = TEMPLATES - 2  # of one image
    image = random.integers(-1, IMAGES, entries)
    image[0] = 4
    media = random.integers(0, 12, entries)
    subjects = np.arange(TEMPLATES)
    names = [str(place) for place in range(TEMPLATES)]
    return vectors, variance, quality, Templates(names, subjects, image, template, media)


def by_loop(
    vectors: np.ndarray,
    variance: np.ndarray,
    quality: np.ndarray,
    templates: Templates,
    pooling: Pooling,
    failed: tuple[int, ...],
) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    """Template -> its mean [K, D] and variance [K]; those without an image are not there."""
    found = {}
    for place in range(len(templates)):
        rows = [
            (int(i), int(m))
            for i, t, m in zip(templates.image, templates.template, templates.media, strict=True)
            if t == place and i >= 0 and i not in failed
        ]
        if not rows:
            continue
        total, spread = np.zeros((PARTS, DIM)), np.zeros(PARTS)
        weights = np.zeros(PARTS)
        for image, medium in rows:
            face = vectors[image].astype(np.float64).reshape(PARTS, DIM)
            length = np.linalg.norm(face, axis=1)
            if pooling.norms == "unit":
                face, length = face / length[:, None], np.ones(PARTS)
            weight = float(quality[image]) if pooling.detector_weights else 1.0
            if pooling.method == "media":
                weight /= sum(1 for _, other in rows if other == medium)
            v = variance[image].astype(np.float64)
            each = weight / v if pooling.method == "inverse_variance" else np.full(PARTS, weight)
            total += each[:, None] * face
            # The face is its direction times its length, which is one more weight of the direction.
            spread += (each * length) ** 2 * v
            weights += each * length
        v = spread / weights**2
        found[place] = (total / np.linalg.norm(total, axis=1, keepdims=True), v)
    return found


@pytest.mark.parametrize("norms", ["unit", "keep"])
@pytest.mark.parametrize(
    ("method", "weighted"),
    [
        ("mean", False),
        ("mean", True),
        ("media", False),
        ("media", True),
        ("inverse_variance", False),
    ],
)
def test_templates_are_those_of_a_plain_loop(method, weighted, norms):
    pooling = Pooling(method, norms, weighted)
    for seed in range(5):
        vectors, variance, quality, templates = made(seed)
        failed = (3, 4) if seed == 4 else (3,)
        source = embedded(vectors, PARTS, variance, failed)
        got = pool(source, templates, pooling, quality, with_variance=True)
        expected = by_loop(vectors, variance, quality, templates, pooling, failed)
        assert set(np.flatnonzero(got.there)) == set(expected)
        for place, (mean, spread) in expected.items():
            np.testing.assert_allclose(got.vectors[place], mean, atol=3e-7)
            np.testing.assert_allclose(got.variance[place], spread, rtol=1e-6)


@pytest.mark.parametrize("method", ["mean", "inverse_variance"])
def test_templates_are_those_that_users_fuse(method):
    vectors, variance, _, _ = made(0)
    split = vectors.reshape(IMAGES, PARTS, DIM)
    unit = split / np.linalg.norm(split, axis=2, keepdims=True)
    ids = np.arange(IMAGES) % TEMPLATES
    fused = fuse(FaceEmbedding(unit, 1 / variance, variance), ids, method)
    names = [str(i) for i in range(TEMPLATES)]
    places = np.arange(IMAGES)
    templates = Templates(names, np.arange(TEMPLATES), places, ids, places)
    got = pool(embedded(vectors, PARTS, variance), templates, Pooling(method), with_variance=True)
    np.testing.assert_allclose(got.vectors, fused.mean, atol=3e-7)
    np.testing.assert_allclose(got.variance, fused.variance, rtol=1e-6)


def test_a_variance_for_each_dimension_is_pooled_for_each_dimension():
    random = np.random.default_rng(0)
    vectors = random.normal(size=(4, PARTS * DIM)).astype(np.float32)
    variance = random.uniform(0.1, 1, (4, PARTS, DIM)).astype(np.float32)
    templates = Templates(["a"], np.zeros(1), np.arange(4), np.zeros(4, int), np.arange(4))
    got = pool(
        embedded(vectors, PARTS, variance),
        templates,
        Pooling("inverse_variance"),
        with_variance=True,
    )
    np.testing.assert_allclose(got.variance[0], 1 / (1 / variance.astype(float)).sum(0), rtol=1e-6)


def test_a_template_without_an_image_stays_and_is_no_template_of_zeros():
    templates = Templates.of_images([str(i) for i in range(5)], np.arange(5))
    got = pool(embedded(np.ones((5, 4), np.float32), 1, failed=(2,)), templates, Pooling())
    assert len(got) == 5
    assert got.there.tolist() == [True, True, False, True, True]
    np.testing.assert_allclose(got.vectors[0], 0.5)


def test_a_template_whose_images_cancel_out_is_a_named_failure():
    vectors = np.array([[1, 0], [-1, 0], [0, 1]], np.float32)
    templates = Templates(["a", "b"], np.arange(2), np.arange(3), np.array([0, 0, 1]), np.arange(3))
    got = pool(embedded(vectors, 1), templates, Pooling())
    assert got.there.tolist() == [False, True]
    assert got.lost.tolist() == [0]


def test_keeping_lengths_lets_a_long_feature_weigh_more():
    vectors = np.array([[9, 0], [0, 1]], np.float32)
    templates = Templates(["a"], np.zeros(1), np.arange(2), np.zeros(2, int), np.arange(2))
    keep = pool(embedded(vectors, 1), templates, Pooling(norms="keep")).vectors[0, 0]
    unit = pool(embedded(vectors, 1), templates, Pooling(norms="unit")).vectors[0, 0]
    np.testing.assert_allclose(keep, [9 / np.sqrt(82), 1 / np.sqrt(82)], rtol=1e-6)
    np.testing.assert_allclose(unit, [np.sqrt(0.5)] * 2, rtol=1e-6)


def test_what_a_pooling_lacks_is_said():
    vectors, _, quality, templates = made(0)
    source = embedded(vectors)
    with pytest.raises(UserError, match="no detector's scores"):
        pool(source, templates, Pooling(detector_weights=True))
    with pytest.raises(UserError, match="gives no variance"):
        pool(source, templates, Pooling("inverse_variance"))
    with pytest.raises(UserError, match="weighs images already"):
        pool(source, templates, Pooling("inverse_variance", detector_weights=True), quality)
    quality[:] = np.nan
    with pytest.raises(UserError, match="cannot be a weight"):
        pool(source, templates, Pooling(detector_weights=True), quality)


def test_a_set_without_one_usable_image_is_refused():
    templates = Templates.of_images(["a", "b"], np.arange(2))
    with pytest.raises(UserError, match="not one image"):
        pool(embedded(np.ones((2, 4), np.float32), 1, failed=(0, 1)), templates, Pooling())
