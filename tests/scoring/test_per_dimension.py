"""PFE's variances, one a dimension: scores, matrices, templates and the branch against float64 loops."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from small_model import SETTINGS, one_thread, pictures, small_model
from urface.config import ObjectiveSettings
from urface.embedder import Embedder
from urface.losses import uncertainty_loss
from urface.models.files import load_model, save_model
from urface.models.urface import add_uncertainty_head
from urface.scoring import fuse, score, score_matrix
from urface.scoring.per_dimension import COLUMNS, ROWS
from urface.training.uncertainty import start_at_distances
from urface.types import FaceEmbedding, UserError

__all__ = ["one_thread"]


def faces(
    count: int, seed: int, k: int = 1, d: int = 24, low: float = 1e-3, high: float = 3.0
) -> FaceEmbedding:
    random = np.random.default_rng(seed)
    mean = random.normal(size=(count, k, d))
    mean /= np.linalg.norm(mean, axis=2, keepdims=True)
    variance = np.exp(random.uniform(math.log(low), math.log(high), mean.shape))
    ones = np.ones((count, k))
    return FaceEmbedding(*(part.astype(np.float32) for part in (mean, ones, variance)))


def mutual_likelihood(a: FaceEmbedding, i: int, b: FaceEmbedding, j: int) -> float:
    """-1/2 sum_d [ (f_d - g_d)^2 / (v_d + w_d) + log(v_d + w_d) ] of one pair."""
    terms = []
    columns = (a.mean[i].flat, a.variance[i].flat, b.mean[j].flat, b.variance[j].flat)
    for f, v, g, w in zip(*columns, strict=True):
        total = float(v) + float(w)
        terms.append((float(f) - float(g)) ** 2 / total + math.log(total))
    return -0.5 * math.fsum(terms)


@pytest.mark.parametrize("k", [1, 3])
def test_the_score_is_the_mutual_likelihood_over_dimensions(k: int) -> None:
    a, b = faces(4, 0, k), faces(4, 1, k)
    got = score(a, b)
    assert got == pytest.approx([mutual_likelihood(a, i, b, i) for i in range(4)], rel=1e-5)


@pytest.mark.parametrize(("low", "high"), [(1e-3, 3.0), (1e-12, 1e-9), (1e20, 1e30), (1e-20, 1e20)])
def test_the_matrix_equals_the_loop_at_any_level_of_variance(low: float, high: float) -> None:
    a, b = faces(3, 2, low=low, high=high), faces(5, 3, low=low, high=high)
    loop = [[mutual_likelihood(a, i, b, j) for j in range(5)] for i in range(3)]
    np.testing.assert_allclose(score_matrix(a, b), loop, rtol=2e-5)


def test_tiles_and_rows_join_without_a_seam() -> None:
    a, b = faces(ROWS + 3, 4), faces(COLUMNS + 2, 5)
    matrix = score_matrix(a, b)
    for i, j in ((0, 0), (ROWS - 1, COLUMNS - 1), (ROWS, COLUMNS), (ROWS + 2, COLUMNS + 1)):
        assert matrix[i, j] == pytest.approx(mutual_likelihood(a, i, b, j), rel=1e-5)
    assert score_matrix(a[:0], b).shape == (0, len(b))


def test_equal_variances_in_all_dimensions_are_one_a_sub_embedding() -> None:
    a, b = faces(3, 6, 2), faces(3, 7, 2)
    shared = [FaceEmbedding(x.mean, x.confidence, x.variance[:, :, 0]) for x in (a, b)]
    spread = [
        FaceEmbedding(x.mean, x.confidence, np.repeat(x.variance[:, :, None], 24, 2))
        for x in shared
    ]
    np.testing.assert_allclose(score(*spread), score(*shared), rtol=1e-5)
    np.testing.assert_allclose(score_matrix(*spread), score_matrix(*shared), rtol=1e-5)
    np.testing.assert_allclose(spread[0].uncertainty, shared[0].uncertainty, rtol=1e-5)
    np.testing.assert_allclose(spread[0].sub_variance, shared[0].variance, rtol=1e-5)


def test_one_side_with_a_variance_a_dimension_is_refused() -> None:
    a = faces(2, 8)
    shared = FaceEmbedding(a.mean, a.confidence, a.variance[:, :, 0])
    with pytest.raises(UserError, match="a variance a dimension"):
        score(a, shared)


def test_templates_weigh_every_dimension_by_its_own_variance() -> None:
    e = faces(3, 9)
    got = fuse(e, [7, 7, 7])
    fused, variance = [], []
    for d in range(24):
        weights = [1.0 / float(e.variance[n, 0, d]) for n in range(3)]
        total = math.fsum(weights)
        fused.append(math.fsum(w * float(e.mean[n, 0, d]) for n, w in enumerate(weights)) / total)
        variance.append(1.0 / total)
    length = math.sqrt(math.fsum(x * x for x in fused))
    np.testing.assert_allclose(got.mean[0, 0], [x / length for x in fused], rtol=1e-5)
    np.testing.assert_allclose(got.variance[0, 0], variance, rtol=1e-5)
    mean = fuse(e, [7, 7, 7], "mean")
    np.testing.assert_allclose(mean.variance[0, 0], e.variance[:, 0].sum(0) / 9, rtol=1e-5)


def test_the_branch_of_a_dimension_is_kept_in_the_file_and_embeds(tmp_path: Path) -> None:
    model = small_model()
    add_uncertainty_head(model, per_dimension=True)
    model.eval()
    save_model(tmp_path / "m.safetensors", model, SETTINGS, ObjectiveSettings(margin=2.0), {})
    loaded, settings, _ = load_model(tmp_path / "m.safetensors")
    embedder = Embedder(loaded, settings, device="cpu", precision="fp32")
    embedded = embedder.embed(pictures(3))
    assert embedded.variance.shape == embedded.mean.shape == (3, 4, 8)
    direct = Embedder(model, SETTINGS, device="cpu", precision="fp32").embed(pictures(3))
    np.testing.assert_allclose(embedded.variance, direct.variance)
    embedded.save(tmp_path / "e.safetensors", list("abc"))
    assert FaceEmbedding.load(tmp_path / "e.safetensors").variance.shape == (3, 4, 8)
    frames = iter([[embedder.frame(picture) for picture in pictures(3)]])
    assert embedder.embed_frames(frames, 3).variance.shape == (3, 4, 8)


def test_the_branch_starts_where_the_loss_over_genuine_pairs_is_least() -> None:
    """With equal variances per dimension, v_d = mean (f_d - g_d)^2 / 2 is the minimum."""
    torch.manual_seed(0)
    model = small_model()
    head = add_uncertainty_head(model, per_dimension=True)
    with torch.no_grad():
        head.fc.weight.zero_()
        images = torch.from_numpy(pictures(6)[:, 3:67, 3:67].copy())
        trunk = model.trunk(images)
        mean, labels = model.normalised(trunk), torch.tensor([0, 0, 0, 1, 1, 1])
        start_at_distances(head, mean, trunk, labels)
        level = model.log_variance(trunk)

    def loss(shift: float) -> float:
        return float(uncertainty_loss(mean, (level + shift).exp(), labels))

    assert loss(0.0) < min(loss(-0.1), loss(0.1))
