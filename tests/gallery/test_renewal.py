"""Each gallery has its own rotation: stolen templates match nothing elsewhere and can be renewed (G42)."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import rankdata

from gallery.made import KEY, Clock, all_bytes, consent, faces_of, new_gallery
from urface.gallery import Gallery
from urface.gallery.rotation import rotated, rotations
from urface.scoring import score
from urface.types import FaceEmbedding, UserError

SHAPE = (16, 32)


def people(count: int, seed: int = 0) -> FaceEmbedding:
    return FaceEmbedding.concatenate([faces_of(n, seed=seed, shape=SHAPE) for n in range(count)])


def test_rotations_are_orthogonal_and_change_scores_by_less_than_rounding():
    matrix = rotations(KEY, SHAPE)
    identity = np.eye(SHAPE[1])
    np.testing.assert_allclose(
        matrix @ matrix.transpose(0, 2, 1), np.broadcast_to(identity, matrix.shape), atol=1e-12
    )
    assert len(np.unique(matrix.round(6), axis=0)) == SHAPE[0]  # each sub-embedding its own
    a, b = people(200), people(200, seed=1)
    for method in ("cosine", "likelihood"):
        before = np.asarray(score(a, b, method))
        after = np.asarray(score(rotated(a, matrix), rotated(b, matrix), method))
        assert np.max(np.abs(after - before) / np.maximum(1.0, np.abs(before))) <= 1e-5
    np.testing.assert_allclose(
        rotated(rotated(a, matrix), matrix, back=True).mean, a.mean, atol=2e-7
    )


def test_rotations_are_uniform():
    """Entries of a uniform orthogonal matrix have mean 0 and variance 1 / D; a QR without signs has not."""
    many = np.concatenate([rotations(bytes([n]) * 32, (64, 8)) for n in range(16)])
    assert abs(many.mean(0)).max() < 4 * np.sqrt(1 / 8 / len(many)) * 1.2
    np.testing.assert_allclose((many**2).mean(0), 1 / 8, atol=0.02)
    without = np.linalg.qr(np.random.default_rng(0).standard_normal((1024, 8, 8)))[0]
    assert abs(without.mean(0)).max() > 4 * np.sqrt(1 / 8 / 1024) * 1.2


def auc(mated: np.ndarray, others: np.ndarray) -> float:
    ranks = rankdata(np.concatenate([mated, others]))[: len(mated)].sum()
    return float((ranks - len(mated) * (len(mated) + 1) / 2) / (len(mated) * len(others)))


def across(first: np.ndarray | None, second: np.ndarray | None, count: int) -> float:
    """How well templates of one gallery tell who is who in another: 0.5 is not at all."""
    a, b = people(count), people(count, seed=1)
    a = a if first is None else rotated(a, first)
    b = b if second is None else rotated(b, second)
    mated = np.asarray(score(a, b, "cosine"))
    others = np.asarray(score(a, b[np.roll(np.arange(count), 1)], "cosine"))
    return auc(mated, others)


def test_across_galleries_mated_pairs_look_like_any_others():
    first, second = rotations(KEY, SHAPE), rotations(KEY[::-1], SHAPE)
    assert abs(across(first, second, 1000) - 0.5) <= 0.06
    assert across(first, first, 1000) > 0.99  # the control: one rotation for both
    assert across(None, None, 1000) > 0.99  # and none


@pytest.mark.slow
def test_across_galleries_the_area_is_a_half_to_two_hundredths():
    first, second = rotations(KEY, SHAPE), rotations(KEY[::-1], SHAPE)
    assert abs(across(first, second, 10_000) - 0.5) <= 0.02


def test_renewal_keeps_scores_and_changes_all_that_is_stored(tmp_path):
    gallery = new_gallery(tmp_path / "g", 10, images=2)
    probes = faces_of(4, seed=1)
    before = gallery.search(probes, 10)[0]
    index_file = tmp_path / "g" / "search.index"
    gallery._store.cache.save()
    old_rows = [bytes(row[0]) for row in gallery._store.database.run("SELECT face FROM image")]
    old_keys = gallery._store.people.keys
    stolen = [bytes(row[2]) for row in gallery._store.people.changed(-1)]
    assert gallery.renew()
    assert not index_file.exists()
    after = gallery.search(probes, 10)[0]
    assert [match.person for match in after] == [match.person for match in before]
    np.testing.assert_allclose(
        [m.score for m in after], [m.score for m in before], rtol=1e-5, atol=1e-5
    )
    data = all_bytes(tmp_path)
    assert not [row for row in old_rows if row[:16] in data]
    keys = gallery._store.people.keys
    assert {keys.people, keys.names, keys.index, keys.rotation}.isdisjoint(
        {old_keys.people, old_keys.names, old_keys.index, old_keys.rotation}
    )
    renewed = [bytes(row[2]) for row in gallery._store.people.changed(-1)]
    assert set(stolen).isdisjoint(renewed)
    assert gallery.check() == []
    gallery.enrol("person 4", faces_of(4, images=1, seed=8), consent())
    assert gallery.template("person 4").weights.shape == (3, 4)


def test_a_new_master_key_closes_the_gallery_to_the_old_one(tmp_path):
    gallery = new_gallery(tmp_path / "g", 3)
    other = Gallery.open(tmp_path / "g", KEY, clock=Clock())
    gallery.renew(KEY[::-1])
    assert gallery.search(faces_of(1))[0][0].person == "person 1"
    with pytest.raises(UserError, match="another one's"):
        other.search(faces_of(1))  # a process that was open before
    gallery.close()
    with pytest.raises(UserError, match="another one's"):
        Gallery.open(tmp_path / "g", KEY)
    with Gallery.open(tmp_path / "g", KEY[::-1], clock=Clock()) as again:
        assert again.search(faces_of(1))[0][0].person == "person 1"
        assert again.audit().problems == []


def test_a_renewal_that_fails_changes_nothing(tmp_path, monkeypatch):
    gallery = new_gallery(tmp_path / "g", 5)
    from urface.gallery.people import People

    plain = People.write

    def failing(self, person, images, generation):
        if person.number == 4:
            raise OSError(28, "No space left on device")
        return plain(self, person, images, generation)

    monkeypatch.setattr(People, "write", failing)
    with pytest.raises(OSError, match="No space"):
        gallery.renew(KEY[::-1])
    monkeypatch.undo()
    assert gallery.check() == []
    assert gallery.search(faces_of(2))[0][0].person == "person 2"
    gallery.close()
    Gallery.open(tmp_path / "g", KEY).close()
