"""Claims about people who are in two sets, or in one under two names."""

from __future__ import annotations

import numpy as np
import pytest

from urface.data import identity_overlap
from urface.data.centres import centres
from urface.data.identity_overlap import overlap_by_embedding, plain_name, same_names
from urface.data.within import fit_within
from urface.types import UserError

from .clusters import clusters


def test_names_are_compared_without_accents_case_and_signs() -> None:
    assert plain_name("Zoë_O'Hara-Lee") == plain_name("zoe o hara lee") == "zoe o hara lee"
    assert same_names(["Ana_Li", "bo"], ["x", "ana li", "BO."]) == [(0, 1), (1, 2)]


def test_numbers_are_no_names() -> None:
    assert same_names(["0001", "p01", "id_7"], ["0001", "p01", "id 7"]) == [(2, 2)]


def test_people_shared_by_two_sets_are_found() -> None:
    features, labels, _ = clusters(160, 8, seed=1, spread=0.6)
    half = np.arange(len(labels)) % 2 == 0
    first = (labels < 60) | ((labels < 100) & half)  # 60..99 are shared, no image is
    second = (labels >= 100) | ((labels >= 60) & ~half)
    middles = [centres(features[mine], labels[mine], 160) for mine in (first, second)]
    found = overlap_by_embedding(features[first], labels[first], *middles, progress=False)
    right = found.pairs[:, 0] == found.pairs[:, 1]
    assert right.sum() >= 38
    assert (~right).sum() <= 3 * max(found.expected, 1)
    assert found.compared == 100 * 100
    assert found.genuine.trials == 100
    assert found.genuine.value is not None
    assert found.genuine.value >= 0.9
    assert (np.diff(found.scores) <= 0).all()
    assert (found.scores >= found.threshold - 1e-4).all()


def test_no_more_than_the_stated_share_of_two_people_lie_above_the_threshold() -> None:
    features, labels, _ = clusters(120, 4, seed=2)
    middle = centres(features, labels, 120)
    _, _, strangers = clusters(90, 1, seed=3)
    strangers = (strangers / np.linalg.norm(strangers, axis=1, keepdims=True)).astype(np.float32)
    cosines = middle @ middle.T
    between = cosines[np.triu_indices(120, 1)]
    for share in (0.0, 0.001, 0.01):
        found = overlap_by_embedding(features, labels, middle, strangers, share, progress=False)
        assert (between >= found.threshold).mean() <= share
        assert (between >= found.threshold - 2e-4).mean() >= share - 1 / len(between)
        expected = (between >= found.threshold).mean() * 120 * 90
        assert found.expected == pytest.approx(expected, abs=0.02 * 120 * 90 * share + 1e-9)
        assert len(found.pairs) == (middle @ strangers.T >= found.threshold).sum()


def test_a_person_under_two_names_is_found_and_a_clean_set_is_clean() -> None:
    features, labels, _ = clusters(150, 10, seed=4, spread=0.7)
    clean = fit_within(features, labels).apply(features)
    middle = centres(clean, labels, 150)
    assert len(overlap_by_embedding(clean, labels, middle, progress=False).pairs) <= 2
    split = np.where((labels < 12) & (np.arange(len(labels)) % 2 == 0), labels + 150, labels)
    both = fit_within(features, split).apply(features)
    found = overlap_by_embedding(both, split, centres(both, split, 162), progress=False)
    right = found.pairs[:, 1] - found.pairs[:, 0] == 150
    assert right.sum() >= 11
    assert (~right).sum() <= 2


def test_blocks_find_what_the_whole_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    features, labels, _ = clusters(50, 6, seed=5, spread=1.2)
    middle = centres(features, labels, 50)
    whole = overlap_by_embedding(features, labels, middle, middle, 0.05, progress=False)
    monkeypatch.setattr(identity_overlap, "BLOCK", 7)
    blocks = overlap_by_embedding(features, labels, middle, middle, 0.05, progress=False)
    assert set(map(tuple, blocks.pairs.tolist())) == set(map(tuple, whole.pairs.tolist()))
    assert blocks.threshold == whole.threshold
    assert len(whole.pairs) > 50


def test_only_the_surest_are_kept_where_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    features, labels, _ = clusters(40, 4, seed=6)
    middle = centres(features, labels, 40)
    other = middle[:20] + 0.1 * middle[20:]
    whole = overlap_by_embedding(features, labels, middle, other, 0.2, progress=False)
    monkeypatch.setattr(identity_overlap, "MOST", 45)
    best = overlap_by_embedding(features, labels, middle, other, 0.2, progress=False)
    assert len(whole.pairs) > 45
    assert best.pairs.tolist() == whole.pairs[:45].tolist()


def test_one_identity_sets_no_threshold() -> None:
    features, labels, _ = clusters(1, 4, seed=7)
    with pytest.raises(UserError, match="needs two of them"):
        overlap_by_embedding(features, labels, centres(features, labels, 1), progress=False)
