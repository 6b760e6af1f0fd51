"""Claims about galleries of several images, and about what is kept of a test."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from evaluation.test_judge import FAILED, LABELS, made_up
from urface.evaluation.judge import identify, judge_search, search, verify
from urface.evaluation.outcomes import Outcomes, TestProtocol, meet
from urface.evaluation.protocol import drawn_pairs, search_protocol
from urface.scoring.fusion import fuse
from urface.scoring.score import Method, score
from urface.types import UserError

STRANGERS = np.arange(30) >= 20


def protocol() -> TestProtocol:
    return TestProtocol(
        LABELS,
        drawn_pairs(LABELS, folds=5, pairs=20),
        {
            "single": search_protocol(LABELS, STRANGERS, 1, reserved=3),
            "several": search_protocol(LABELS, STRANGERS, 3),
        },
    )


def test_a_gallery_of_several_images_leaves_one_to_search_with() -> None:
    labels = np.array([2, 0, 1, 2, 2, 2, 1, 2, 3])
    found = search_protocol(labels, np.array([False, False, False, True]), 3)
    assert found.gallery.tolist() == [0, 2, 3, 4]
    assert found.mated.tolist() == [5, 6, 7]
    assert found.nonmated.tolist() == [8]


def test_galleries_of_both_sizes_are_searched_with_the_same_probes() -> None:
    both = protocol().searches
    np.testing.assert_array_equal(both["single"].mated, both["several"].mated)
    np.testing.assert_array_equal(both["single"].nonmated, both["several"].nonmated)
    assert len(both["several"].gallery) == 3 * len(both["single"].gallery)
    plain = search_protocol(LABELS, STRANGERS)
    assert len(plain.mated) == 3 * 20
    np.testing.assert_array_equal(plain.gallery, both["single"].gallery)


@pytest.mark.parametrize("method", ["likelihood", "cosine"])
def test_a_template_of_several_images_is_searched_as_a_plain_loop_does(method: Method) -> None:
    gallery, probes = made_up(0), made_up(1)
    plan = search_protocol(LABELS, STRANGERS, 3)
    found = search(gallery, probes, LABELS, plan, method)
    fusion = "inverse_variance" if method == "likelihood" else "mean"
    enrolled = {}
    for person in range(20):
        rows = [gallery.row[p] for p in plan.gallery if LABELS[p] == person and gallery.row[p] >= 0]
        enrolled[person] = fuse(gallery.faces[np.array(rows)], [person] * len(rows), fusion)
    for q, place in enumerate(np.concatenate([plan.mated, plan.nonmated]).tolist()):
        if probes.row[place] < 0:
            assert np.isnan(found.mate[q])
            assert np.isnan(found.other[q])
            continue
        face = probes.faces[int(probes.row[place])]
        scores = {who: float(score(face, t, method)[0]) for who, t in enrolled.items()}
        other = max(v for who, v in scores.items() if who != LABELS[place])
        assert found.other[q] == pytest.approx(other, rel=1e-4, abs=1e-4)
        if LABELS[place] in scores:
            assert found.mate[q] == pytest.approx(scores[LABELS[place]], rel=1e-4, abs=1e-4)
    assert FAILED[0] == 0  # enrolled but not embedded: its person has two images left


def test_kept_outcomes_are_judged_as_the_embeddings_were(tmp_path: Path) -> None:
    clean, bad, plan = made_up(0), made_up(1), protocol()
    met = meet(clean, bad, plan, "likelihood")
    met.save(tmp_path / "o.safetensors", "stamp")
    plan.save(tmp_path / "p.safetensors")
    kept, known = (
        Outcomes.load(tmp_path / "o.safetensors", "stamp"),
        TestProtocol.load(tmp_path / "p.safetensors"),
    )
    assert kept is not None
    assert known.digest() == plan.digest()
    np.testing.assert_array_equal(kept.scores, verify(bad, bad, plan.pairs, "likelihood").scores)
    for name, gallery in plan.searches.items():
        direct = identify(clean, bad, LABELS, gallery, "likelihood")
        assert judge_search(kept.searches[name]).to_dict() == direct.to_dict()
    assert np.isnan(kept.uncertainty[FAILED]).all()
    assert np.isfinite(np.delete(kept.uncertainty, FAILED)).all()
    assert (known.probe_people("single") == plan.probe_people("single")).all()


def test_outcomes_of_another_stamp_are_made_again_and_damage_is_named(tmp_path: Path) -> None:
    path = tmp_path / "o.safetensors"
    assert Outcomes.load(path, "a") is None
    meet(made_up(0), made_up(1), protocol(), "cosine").save(path, "a")
    assert Outcomes.load(path, "b") is None
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(UserError, match=r"o\.safetensors: cannot be read"):
        Outcomes.load(path, "a")


def test_the_digest_changes_with_a_single_pair() -> None:
    plan, other = protocol(), protocol()
    other.pairs.left[3] += 1
    assert plan.digest() != other.digest()


def test_a_missing_image_of_a_pair_counts_for_the_person_on_the_other_side() -> None:
    plan = protocol()
    genuine = int(np.flatnonzero(plan.pairs.same)[0])
    right = plan.pair_people[genuine, 1]
    plan.pairs.left[genuine] = -1
    assert plan.pair_people[genuine].tolist() == [right, right]
    assert plan.pair_people.min() >= 0
