"""Templates: both fusions against loops, order, single faces, ids, refusals."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from scoring.loops import faces
from urface.scoring import fuse, score
from urface.types import FaceEmbedding, UserError

IDS = [30, 10, 30, 20, 10, 30]


def fuse_loop(
    e: FaceEmbedding, members: list[int], method: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One template: mean [K, D], confidence [K], variance [K]."""
    k, d = e.mean.shape[1:]
    mean, confidence, variance = np.zeros((k, d)), np.zeros(k), np.zeros(k)
    for q in range(k):
        v = [float(e.variance[n, q]) for n in members]
        s = [float(e.confidence[n, q]) for n in members]
        weights = [1.0 / x for x in v] if method == "inverse_variance" else [1.0] * len(members)
        total = math.fsum(weights)
        f = [
            math.fsum(w * float(e.mean[n, q, x]) for w, n in zip(weights, members, strict=True))
            / total
            for x in range(d)
        ]
        length = math.sqrt(math.fsum(x * x for x in f))
        mean[q] = [x / length for x in f]
        if method == "inverse_variance":
            variance[q] = 1.0 / total
            confidence[q] = math.fsum(s)
        else:
            variance[q] = math.fsum(v) / len(v) ** 2
            confidence[q] = 1.0 / (math.fsum(1.0 / x for x in s) / len(s) ** 2)
    return mean, confidence, variance


@pytest.mark.parametrize("method", ["inverse_variance", "mean"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_templates_equal_the_loop_in_sorted_order_of_ids(method, dtype: str) -> None:
    e = faces(6, 3, 4, seed=1, variance=(1e-4, 10.0), dtype=dtype)
    got = fuse(e, IDS, method)
    assert len(got) == 3
    assert got.mean.dtype == np.dtype(dtype)
    rtol = 1e-6 if dtype == "float32" else 1e-12
    for place, template in enumerate((10, 20, 30)):
        members = [n for n, name in enumerate(IDS) if name == template]
        expected = fuse_loop(e, members, method)
        for array, values in zip((got.mean, got.confidence, got.variance), expected, strict=True):
            np.testing.assert_allclose(array[place], values, rtol=rtol, atol=1e-7)


@pytest.mark.parametrize("method", ["inverse_variance", "mean"])
def test_order_of_the_faces_does_not_matter(method) -> None:
    count = 2000
    e = faces(count, 2, 3, seed=2, variance=(1e-6, 1e2))
    ids = np.arange(count) % 3
    order = np.random.default_rng(3).permutation(count)
    a, b = fuse(e, ids, method), fuse(e[order], ids[order], method)
    np.testing.assert_allclose(a.mean, b.mean, rtol=0, atol=1e-7)
    np.testing.assert_allclose(a.variance, b.variance, rtol=2e-7)
    np.testing.assert_allclose(a.confidence, b.confidence, rtol=2e-7)


@pytest.mark.parametrize("method", ["inverse_variance", "mean"])
def test_a_template_of_one_face_is_that_face(method) -> None:
    e = faces(4, 3, 8, seed=4)
    got = fuse(e, [0, 1, 2, 3], method)
    np.testing.assert_allclose(got.mean, e.mean, rtol=0, atol=1.2e-7)
    np.testing.assert_allclose(got.confidence, e.confidence, rtol=1.2e-7)
    np.testing.assert_allclose(got.variance, e.variance, rtol=1.2e-7)


@pytest.mark.parametrize("method", ["inverse_variance", "mean"])
def test_a_face_repeated_n_times_keeps_its_mean_and_divides_its_variance_by_n(method) -> None:
    e = faces(1, 2, 4, seed=5)
    got = fuse(FaceEmbedding.concatenate([e] * 5), [7] * 5, method)
    np.testing.assert_allclose(got.mean, e.mean, atol=1.2e-7)
    np.testing.assert_allclose(got.variance, e.variance / 5, rtol=1e-6)
    np.testing.assert_allclose(got.confidence, e.confidence * 5, rtol=1e-6)


def test_fusing_in_two_steps_gives_the_direction_of_one_when_each_step_is_sure() -> None:
    """Inverse variances add up: 1 / v of a template of templates is that of all the faces."""
    e = faces(6, 2, 4, seed=6, dtype="float64")
    pairs = fuse(e, [0, 0, 1, 1, 2, 2])
    np.testing.assert_allclose(
        fuse(pairs, [0, 0, 0]).variance, fuse(e, [0] * 6).variance, rtol=1e-12
    )


@pytest.mark.parametrize(
    ("ids", "distinct"),
    [
        (["b", "a", "b", "ä", "a", "b"], 3),
        (np.array(["x/1", "x/0", "x/1", "y", "x/0", "x/1"]), 3),
        (torch.tensor(IDS), 3),
        (np.array(IDS, dtype=np.uint8), 3),
        ([0, 0, 0, 0, 0, 0], 1),
        (["", "", "", "", "", " "], 2),
    ],
)
def test_ids_may_be_texts_arrays_or_tensors(ids: Any, distinct: int) -> None:
    e = faces(6, seed=7)
    got = fuse(e, ids)
    assert len(got) == distinct
    plain = [str(name) for name in (ids.tolist() if hasattr(ids, "tolist") else ids)]
    for place, name in enumerate(sorted(set(plain))):
        members = [n for n, other in enumerate(plain) if other == name]
        np.testing.assert_allclose(
            got.mean[place], fuse_loop(e, members, "inverse_variance")[0], atol=1e-6
        )


def test_torch_in_gives_torch_out_with_the_same_values() -> None:
    e = faces(6, seed=8)
    got = fuse(e.torch(), IDS)
    assert isinstance(got.mean, torch.Tensor)
    np.testing.assert_array_equal(got.numpy().mean, fuse(e, IDS).mean)


def test_no_faces_make_no_templates() -> None:
    assert len(fuse(faces(2)[:0], [])) == 0


def test_fused_templates_can_be_scored() -> None:
    e = faces(6, seed=9)
    assert np.isfinite(score(fuse(e, IDS), fuse(e, IDS, "mean"))).all()


def test_faces_that_cancel_out_are_refused_by_the_name_of_their_template() -> None:
    one = faces(1, 2, 3, seed=10)
    opposite = FaceEmbedding(-one.mean, one.confidence, one.variance)
    pair = FaceEmbedding.concatenate([one, one, opposite])
    for method in ("inverse_variance", "mean"):
        with pytest.raises(UserError, match="template q cancel out in sub-embedding 0"):
            fuse(pair, ["p", "q", "q"], method)
    assert len(fuse(pair, ["p", "p", "q"])) == 2


def test_wrong_ids_and_methods_are_refused() -> None:
    e = faces(3)
    for ids in ([1, 2], [[1, 2, 3]], 5):
        with pytest.raises(UserError, match="one per face"):
            fuse(e, ids)  # type: ignore[arg-type]
    with pytest.raises(UserError, match="'median'"):
        fuse(e, [1, 2, 3], "median")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("ids", "words"),
    [
        ([1, "1", 2], "mixes Integral and str"),
        ([1, 2.0, 3], "mixes Integral and Real"),
        ([True, 1, 0], "mixes Integral and bool"),
        (np.array([1, "1", 2], dtype=object), "mixes Integral and str"),
        (["a", None, "b"], "that of face 1 is None"),
        (np.array([None, None, None]), "that of face 0 is None"),
        ([[1], [2, 3], [4]], "one per face"),
        ([1.0, float("nan"), 1.0], "NaN"),
        (torch.tensor([1.0, float("nan"), 1.0]), "NaN"),
    ],
)
def test_ids_that_could_be_merged_by_mistake_are_refused(ids: Any, words: str) -> None:
    with pytest.raises(UserError, match=words):
        fuse(faces(3), ids)


def test_tensors_of_ids_give_the_templates_of_arrays_of_ids() -> None:
    e = faces(6, seed=11)
    for embedding in (e, e.torch()):
        got = fuse(embedding, torch.tensor(IDS))
        np.testing.assert_array_equal(got.numpy().mean, fuse(e, np.array(IDS)).mean)
    assert len(fuse(e, np.array(IDS, dtype=object))) == 3
    assert len(fuse(e, [np.int64(1), 1, np.uint8(2), 2, 3, 3])) == 3
