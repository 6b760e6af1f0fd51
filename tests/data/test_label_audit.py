"""Claims about finding wrong labels and robust centres by embeddings alone (goal G28)."""

from __future__ import annotations

import numpy as np
import pytest

from urface.data.centres import centres, own_scores, robust_centre, unit_rows
from urface.data.label_audit import audit_labels
from urface.data.within import fit_within
from urface.types import UserError

from .clusters import clusters, mislabelled


def audited(features: np.ndarray, labels: np.ndarray, people: int, flags: float = 0.05):
    within = fit_within(features, labels).apply(features)
    return audit_labels(within, labels, centres(within, labels, people), None, flags, False)


@pytest.mark.parametrize("seed", range(3))
def test_two_percent_of_wrong_labels_are_found(seed: int) -> None:
    """At least 90 % of them, at no more than 5 % of the right ones flagged."""
    features, truth, _ = clusters(200, 10, seed)
    labels, bad = mislabelled(truth, 0.02, seed)
    audit = audited(features, labels, 200)
    hit = np.isin(audit.place, bad)
    assert hit.sum() >= 0.9 * len(bad)
    assert (~hit).sum() <= 0.05 * (len(labels) - len(bad))
    assert hit[: len(bad) // 2].mean() >= 0.95  # the most suspect come first
    named = audit.nearest[hit] == truth[audit.place[hit]]
    assert named.mean() >= 0.95


@pytest.mark.parametrize("spread", [0.3, 1.5, 4.0])
def test_no_more_labels_are_flagged_than_stated_however_weak_the_features(spread: float) -> None:
    features, labels, _ = clusters(60, 8, seed=4, spread=spread)
    for share in (0.01, 0.05, 0.2):
        audit = audited(features, labels, 60, share)
        assert len(audit.place) <= share * audit.audited
    if spread < 1:
        assert len(audit.place) == 0  # far apart, and all labels right: nobody is nearer another


def test_the_scores_are_what_they_say() -> None:
    features, truth, _ = clusters(12, 6, seed=5)
    labels, _ = mislabelled(truth, 0.1, 5)
    middle = centres(features, labels, 12)
    audit = audit_labels(features, labels, middle, None, 0.3, False)
    rows = unit_rows(features)
    assert (np.diff(audit.score) <= 0).all()
    for place, own, other, nearest in zip(
        audit.place, audit.own, audit.other, audit.nearest, strict=True
    ):
        mine = [p for p in np.flatnonzero(labels == labels[place]) if p != place]
        assert own == pytest.approx(float(rows[place] @ robust_centre(rows[mine])), abs=1e-6)
        cosines = middle @ rows[place]
        cosines[labels[place]] = -2
        assert (nearest, other) == (cosines.argmax(), pytest.approx(cosines.max(), abs=1e-6))
        assert other > own


def test_a_person_under_two_names_is_no_reason_to_suspect_either() -> None:
    features, truth, _ = clusters(40, 10, seed=6)
    labels = np.where((truth == 3) & (np.arange(400) % 2 == 0), 40, truth)
    middle = centres(features, labels, 41)
    mine = np.flatnonzero(truth == 3)
    alone = audit_labels(features, labels, middle, None, 0.5, False)
    told = audit_labels(features, labels, middle, np.array([[3, 40]]), 0.5, False)
    assert np.isin(mine, alone.place).any()
    assert not np.isin(mine, told.place).any()


def test_images_alone_in_their_identity_are_counted_and_not_judged() -> None:
    features, labels, _ = clusters(20, 5, seed=7)
    labels[0] = 20
    audit = audited(features, labels, 21)
    assert (audit.audited, audit.alone) == (99, 1)
    assert 0 not in audit.place


def test_a_robust_centre_withstands_a_third_of_strangers() -> None:
    rng = np.random.default_rng(88)
    features, _, persons = clusters(1, 200, seed=8, spread=0.5)
    stranger = rng.normal(size=persons.shape[1])
    stranger -= persons[0] * (stranger @ persons[0]) / (persons[0] @ persons[0])
    features[:66] = stranger / 5 + 0.1 * rng.normal(size=(66, len(stranger)))
    rows = unit_rows(features)
    truth = persons[0] / np.linalg.norm(persons[0])
    assert robust_centre(rows) @ truth > 0.97
    mean = rows.mean(0) / np.linalg.norm(rows.mean(0))
    assert mean @ truth < robust_centre(rows) @ truth - 0.02


def test_an_image_does_not_vouch_for_itself() -> None:
    for images in (2, 3, 4, 7, 32):
        features, labels, _ = clusters(4, images, seed=9)
        rows = unit_rows(features)
        scores = own_scores(features, labels)
        for place in range(len(labels)):
            others = np.flatnonzero((labels == labels[place]) & (np.arange(len(labels)) != place))
            expected = float(rows[place] @ robust_centre(rows[others]))
            assert scores[place] == pytest.approx(expected, abs=1e-5)
    assert np.isnan(own_scores(features[:1], labels[:1])).all()


def test_whitening_makes_what_varies_within_people_count_less() -> None:
    rng = np.random.default_rng(10)
    features, truth, _ = clusters(150, 8, seed=10, spread=0.4)
    features += 2.0 * rng.normal(size=(len(truth), 1)).astype(np.float32) * np.eye(48)[:1]
    labels, bad = mislabelled(truth, 0.02, 10)
    plain = audit_labels(features, labels, centres(features, labels, 150), None, 0.05, False)
    assert np.isin(bad, audited(features, labels, 150).place).mean() >= 0.9
    assert np.isin(bad, plain.place).mean() < 0.9


def test_features_without_length_are_refused() -> None:
    with pytest.raises(UserError, match="finite and not 0"):
        unit_rows(np.zeros((1, 3)))
