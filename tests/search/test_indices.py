"""Claims of every embedded index: it finds who a scan finds, whatever was added and removed before."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from search.made import D, K, faces, loop, shared
from urface.scoring import score, score_matrix
from urface.search import ExactIndex, FlatIndex, LikelihoodIndex, compact
from urface.types import FaceEmbedding, UserError

KINDS = [ExactIndex, FlatIndex, LikelihoodIndex]


@pytest.fixture(autouse=True)
def codes_from_few(monkeypatch):
    """Codes already among some hundreds of templates, and few candidates of them."""
    monkeypatch.setattr(compact, "TRAINED_FROM", 512)
    monkeypatch.setattr(compact, "CANDIDATES", 200)


@pytest.mark.parametrize("kind", KINDS)
def test_the_best_are_those_of_a_loop_in_float64_with_its_scores(kind):
    gallery, probes = faces(np.arange(60), 1), faces(np.arange(0, 60, 12), 2)
    index = kind()
    index.add(np.arange(60) * 7, gallery)
    ids, scores = index.search(probes, 5)
    exact = loop(probes, gallery)
    np.testing.assert_array_equal(ids, np.argsort(-exact, 1)[:, :5] * 7)
    np.testing.assert_allclose(scores, -np.sort(-exact, 1)[:, :5], rtol=1e-5)
    assert ids.dtype == np.int64
    assert scores.dtype == np.float32


@pytest.mark.parametrize("kind", [FlatIndex, LikelihoodIndex])
@pytest.mark.parametrize("factor", [10.0, 100.0])
def test_recall_of_the_exact_first_ten_is_99_percent_with_exact_scores(kind, factor):
    gallery, probes = faces(np.arange(6000), 1, factor), faces(np.arange(0, 6000, 60), 2, factor)
    exact, index = ExactIndex(), kind()
    for one in (exact, index):
        one.add(np.arange(6000), gallery)
    truth, right = exact.search(probes, 10)
    ids, scores = index.search(probes, 10)
    assert shared(ids, truth) >= 0.99
    np.testing.assert_array_equal(scores[ids == truth], right[ids == truth])
    named = score(probes[np.repeat(np.arange(100), 10)], gallery[ids.reshape(-1)])
    np.testing.assert_allclose(scores.reshape(-1), named, atol=0.01)


def test_codes_alone_would_miss_some():
    """Control: what the exact ranking of candidates is for."""
    gallery, probes = faces(np.arange(6000), 1), faces(np.arange(0, 6000, 60), 2)
    index = LikelihoodIndex()
    index.add(np.arange(6000), gallery)
    truth = np.argsort(-score_matrix(probes, gallery), 1)[:, :10]
    mean, variance, _ = index.rows.probes(probes)
    assert shared(index.candidates(mean, variance, 10)[:, :10], truth) < 0.9


@pytest.mark.parametrize("kind", KINDS)
def test_any_order_of_adding_and_removing_gives_the_same_result(kind):
    gallery, probes = faces(np.arange(1500), 1), faces(np.arange(0, 1500, 50), 2)
    straight = kind()
    kept = np.flatnonzero(np.arange(1500) % 3)
    straight.add(kept, gallery[kept])
    random = np.random.default_rng(0)
    devious = kind()
    for part in np.array_split(random.permutation(1500), 7):
        devious.add(part, gallery[part])
        away = part[part % 3 == 0]
        devious.remove(away[: len(away) // 2])
    again = random.permutation(1500)[:200]
    devious.add(again, gallery[again])  # most of them there already
    devious.remove(np.arange(0, 3000, 3))
    assert len(devious) == len(straight) == 1000
    np.testing.assert_array_equal(devious.ids(), kept)
    for stored, own in zip(devious.stored(kept), (gallery.mean, gallery.variance), strict=True):
        np.testing.assert_array_equal(stored, own[kept])
    found, wanted = devious.search(probes, 5), straight.search(probes, 5)
    np.testing.assert_array_equal(found[0], wanted[0])
    np.testing.assert_array_equal(found[1], wanted[1])


@pytest.mark.parametrize("kind", KINDS)
def test_a_template_is_replaced_and_one_removed_never_comes_back(kind):
    gallery = faces(np.arange(700), 1)
    index = kind()
    index.add(np.arange(700), gallery)
    index.add(np.array([5]), gallery[6])
    index.remove(np.array([6, 6, 999_999]))
    assert len(index) == 699
    ids, _ = index.search(gallery[6], 699)
    assert ids[0, 0] == 5
    assert 6 not in ids
    assert not index.rows.mean.parts[0][699:].any()  # and its numbers are gone from memory


@pytest.mark.parametrize("kind", [FlatIndex, LikelihoodIndex])
def test_variances_that_leave_the_range_are_found_and_widen_it(kind):
    gallery = faces(np.arange(600), 1)
    index = kind()
    index.add(np.arange(600), gallery)
    before = index.plan
    wild = faces(np.arange(600, 605), 1)
    wild.variance[:] *= 40
    index.add(np.arange(600, 605), wild)
    assert before.high < wild.variance.max() <= index.plan.high
    exact = ExactIndex()
    exact.add(np.arange(600), gallery)
    exact.add(np.arange(600, 605), wild)
    np.testing.assert_array_equal(index.search(wild, 5)[0], exact.search(wild, 5)[0])
    assert set(index.search(wild, 605)[0][0].tolist()) == set(range(605))
    sure = faces(np.arange(3), 1)
    sure.variance[:] = 1e-4  # a probe far below the range: its score is exact all the same
    ids, scores = index.search(sure, 1)
    np.testing.assert_array_equal(ids[:, 0], np.arange(3))
    np.testing.assert_allclose(scores[:, 0], score(sure, gallery[:3]), rtol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_where_fewer_than_k_are_there_the_rest_is_nobody(kind):
    index = kind()
    probe = faces(np.arange(2), 1)
    ids, scores = index.search(probe, 3)
    assert (ids == -1).all()
    assert np.isneginf(scores).all()
    index.add(np.array([4]), probe[0])
    ids, scores = index.search(probe, 3)
    np.testing.assert_array_equal(ids, [[4, -1, -1]] * 2)
    assert np.isfinite(scores[:, 0]).all()
    assert np.isneginf(scores[:, 1:]).all()


def test_of_equal_scores_the_smaller_id_is_first():
    face = faces(np.zeros(10, int), 1)[np.zeros(10, int)]
    index = ExactIndex()
    index.add(np.arange(10)[::-1].copy(), face)
    np.testing.assert_array_equal(index.search(face[0], 5)[0], [[0, 1, 2, 3, 4]])


@pytest.mark.parametrize("bad", [0.0, np.nan, np.inf, 3.0])
@pytest.mark.parametrize("kind", KINDS)
def test_a_face_without_an_embedding_neither_enters_nor_scores(kind, bad):
    index = kind()
    index.add(np.arange(20), faces(np.arange(20), 1))
    spoilt = faces(np.arange(3), 2)
    spoilt.mean[1, 4] = bad  # behind the back of the check that FaceEmbedding made
    with pytest.raises(UserError, match="template 31 has no embedding"):
        index.add(np.arange(30, 33), spoilt)
    assert len(index) == 20  # all or none
    ids, scores = index.search(spoilt, 2)
    assert (ids[1] == -1).all()
    assert np.isneginf(scores[1]).all()
    assert ids[0, 0] == 0
    assert ids[2, 0] == 2


@pytest.mark.parametrize("bad", [0.0, np.nan, np.inf, -1.0])
def test_nor_does_one_whose_variance_is_none(bad):
    index = ExactIndex()
    spoilt = faces(np.arange(3), 2)
    spoilt.variance[2, 0] = bad
    with pytest.raises(UserError, match="template 2 has no embedding"):
        index.add(np.arange(3), spoilt)
    index.add(np.arange(2), spoilt[:2])
    assert (index.search(spoilt, 1)[0][:, 0] == [0, 1, -1]).all()


def test_ids_and_templates_that_do_not_fit_are_refused():
    index = ExactIndex()
    index.add(np.arange(2), faces(np.arange(2), 1))
    for ids, match in (
        (np.array([1, 1]), "given twice"),
        (np.array([-1, 1]), "0 or above"),
        (np.array([1.0, 2.0]), "whole numbers"),
        (np.arange(3), "2 whole numbers"),
    ):
        with pytest.raises(UserError, match=match):
            index.add(ids, faces(np.arange(2), 1))
    with pytest.raises(UserError, match="all must come from one model"):
        index.add(np.arange(2), faces(np.arange(2), 1, shape=(4, 8)))
    with pytest.raises(UserError, match="all must come from one model"):
        index.search(faces(np.arange(2), 1, shape=(4, 8)), 1)
    with pytest.raises(UserError, match="1 to 10,000"):
        index.search(faces(np.arange(2), 1), 0)
    with pytest.raises(UserError, match="likelihood or cosine"):
        index.search(faces(np.arange(2), 1), 1, "euclid")
    with pytest.raises(UserError, match="no template has the id 7"):
        index.stored(np.array([7]))


@pytest.mark.parametrize("kind", KINDS)
def test_cosine_is_searched_exactly(kind):
    gallery, probes = faces(np.arange(800), 1), faces(np.arange(10), 2)
    index = kind()
    index.add(np.arange(800), gallery)
    ids, scores = index.search(probes, 4, "cosine")
    matrix = score_matrix(probes, gallery, "cosine")
    np.testing.assert_array_equal(ids, np.argsort(-matrix, 1)[:, :4])
    np.testing.assert_allclose(scores, -np.sort(-matrix, 1)[:, :4], atol=1e-6)


def test_a_variance_for_every_dimension_is_for_the_exact_index_alone():
    plain = faces(np.arange(30), 1)
    wide = FaceEmbedding(plain.mean, plain.confidence, np.repeat(plain.variance[:, :, None], D, 2))
    index = ExactIndex()
    index.add(np.arange(30), wide)
    np.testing.assert_array_equal(index.search(wide, 1)[0][:, 0], np.arange(30))
    np.testing.assert_allclose(
        index.search(wide, 3)[1], -np.sort(-loop(plain, plain), 1)[:, :3], rtol=1e-5
    )
    for kind in (FlatIndex, LikelihoodIndex):
        with pytest.raises(UserError, match='use the index "exact:"'):
            kind().add(np.arange(30), wide)


def test_torch_faces_are_as_good_as_numpy_faces():
    gallery = faces(np.arange(50), 1)
    index = LikelihoodIndex()
    index.add(torch.arange(50).numpy(), gallery.torch())
    np.testing.assert_array_equal(index.search(gallery.torch(), 1)[0][:, 0], np.arange(50))


@pytest.mark.parametrize("shape", [(1, 512), (K, 3), (8, 6)])
def test_other_shapes_of_embeddings_are_found_or_named(shape):
    gallery = faces(np.arange(700), 1, shape=shape)
    index = LikelihoodIndex()
    if shape[1] % 2:
        with pytest.raises(UserError, match="faiss-flat:"):
            index.add(np.arange(700), gallery)
        index = FlatIndex()
    index.add(np.arange(700), gallery)
    exact = ExactIndex()
    exact.add(np.arange(700), gallery)
    assert shared(index.search(gallery[:50], 5)[0], exact.search(gallery[:50], 5)[0]) >= 0.99


@pytest.mark.parametrize("kind", [FlatIndex, LikelihoodIndex])
def test_variances_too_far_apart_for_any_expansion_are_compared_one_by_one(kind):
    gallery, probes = faces(np.arange(700), 1), faces(np.arange(0, 700, 70), 2)
    odd = FaceEmbedding(gallery.mean, gallery.confidence, gallery.variance.copy())
    odd.variance[3, 0] = 1e-9
    exact, index = ExactIndex(), kind()
    for one in (exact, index):
        one.add(np.arange(600), odd[:600])
        one.add(np.arange(600, 700), odd[600:])
    for found, truth in zip(index.search(probes, 5), exact.search(probes, 5), strict=True):
        np.testing.assert_array_equal(found, truth)
    index.remove(np.array([3]))
    index.add(np.array([3]), gallery[3:4])
    np.testing.assert_array_equal(index.search(probes, 1)[0][:, 0], np.arange(0, 700, 70))


def test_templates_out_of_the_codes_range_are_found_when_there_are_few(monkeypatch):
    """A plan learnt from many does not fit what comes after most were removed."""
    index = LikelihoodIndex()
    gallery = faces(np.arange(600), 1)
    index.add(np.arange(600), gallery)
    assert index.plan is not None
    index.remove(np.arange(300))  # still above half of TRAINED_FROM: the plan stays
    assert index.plan is not None
    wide = faces(np.arange(700, 710), 3)
    wide = FaceEmbedding(wide.mean, wide.confidence, wide.variance / 1000)
    index.add(np.arange(700, 710), wide)
    ids, _ = index.search(wide, 1)
    np.testing.assert_array_equal(ids[:, 0], np.arange(700, 710))


def test_the_living_are_found_where_the_removed_would_have_been_first():
    """Codes of removed templates stay for a while, and may take every place among the candidates."""
    people = faces(np.arange(2000), 1)
    index, exact = LikelihoodIndex(), ExactIndex()
    sure = FaceEmbedding(people.mean, people.confidence, people.variance.copy())
    sure.variance[:300] /= 3  # a template of low variance outscores others
    for one in (index, exact):
        one.add(np.arange(2000), sure)
        one.remove(np.arange(300))
    assert index.dead == 300  # not yet a fifth: the codes are there
    probes = faces(np.arange(0, 2000, 40), 2)
    ids, scores = index.search(probes, 5)
    truth, best = exact.search(probes, 5)
    assert (ids >= 300).all()
    assert shared(ids, truth) >= 0.99
    np.testing.assert_array_equal(scores[ids == truth], best[ids == truth])
