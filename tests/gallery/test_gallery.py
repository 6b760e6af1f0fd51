"""Enrol, search, identify, remove: what a gallery's door promises."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from gallery.made import KEY, MODEL, Clock, consent, faces_of, new_gallery, rule
from urface.gallery import Gallery
from urface.scoring import fuse, score
from urface.types import FaceEmbedding, UserError


def test_everyone_is_found_first_by_both_scores(tmp_path):
    gallery = new_gallery(tmp_path / "g", 30)
    probes = FaceEmbedding.concatenate([faces_of(n, seed=1) for n in range(30)])
    for method in ("likelihood", "cosine"):
        found = gallery.search(probes, 3, method)
        assert [row[0].person for row in found] == [f"person {n}" for n in range(30)]
        enrolled = FaceEmbedding.concatenate([faces_of(n) for n in range(30)])
        expected = score(probes, enrolled, method)
        got = np.array([row[0].score for row in found])
        np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-5)
        assert all(len(row) == 3 and row[0].score >= row[1].score for row in found)


def test_a_template_is_the_fusion_of_its_images_and_tells_their_weights(tmp_path):
    gallery = new_gallery(tmp_path / "g")
    faces = faces_of(5, images=7)
    enrolled = gallery.enrol("ann", faces, consent())
    assert (enrolled.images, enrolled.added) == (7, 7)
    template, fused = gallery.template("ann"), fuse(faces, [0] * 7)
    np.testing.assert_allclose(template.faces.mean, fused.mean, atol=1e-6)
    np.testing.assert_allclose(template.faces.variance, fused.variance, rtol=1e-6)
    np.testing.assert_allclose(template.faces.confidence, fused.confidence, rtol=1e-6)
    np.testing.assert_allclose(template.weights.sum(0), 1.0)
    weights = (1 / faces.variance) / (1 / faces.variance).sum(0)
    np.testing.assert_allclose(np.sort(template.weights, 0), np.sort(weights, 0), rtol=1e-5)


def test_images_added_and_removed_in_any_order_give_the_same_bits(tmp_path):
    faces, extra = faces_of(1, images=3), faces_of(1, images=2, seed=9)
    gallery = new_gallery(tmp_path / "g")

    def bits(name: str) -> list[bytes]:
        faces = gallery.template(name).faces
        return [np.asarray(p).tobytes() for p in (faces.mean, faces.confidence, faces.variance)]

    gallery.enrol("all at once", faces, consent())
    for order in itertools.permutations(range(3)):
        name = f"order {order}"
        gallery.enrol(name, faces[order[0]], consent())
        before = set(gallery.template(name).images)
        gallery.enrol(name, extra, consent())
        gone = set(gallery.template(name).images) - before
        gallery.enrol(name, faces[list(order[1:])], consent())
        assert bits(name) != bits("all at once")
        assert gallery.remove_images(name, sorted(gone)).images == 3
        assert bits(name) == bits("all at once")
        # Identifiers are keyed by person: they do not tell that two people share an image.
        assert not before & set(gallery.template("all at once").images)


def test_an_image_that_is_there_already_adds_nothing(tmp_path):
    gallery = new_gallery(tmp_path / "g")
    faces = faces_of(1, images=3)
    gallery.enrol("ann", faces, consent())
    again = gallery.enrol("ann", faces[1:], consent())
    assert (again.images, again.added) == (3, 0)


def test_the_removed_are_never_returned_and_their_name_is_free_again(tmp_path):
    gallery = new_gallery(tmp_path / "g", 5)
    probe = faces_of(3, seed=1)
    assert gallery.search(probe, 1)[0][0].person == "person 3"
    assert gallery.remove("person 3")
    assert "person 3" not in {match.person for match in gallery.search(probe, 5)[0]}
    with pytest.raises(UserError, match="nobody of that name"):
        gallery.remove("person 3")
    again = gallery.enrol("person 3", faces_of(3), consent())
    assert again.number > 5  # no number is given twice
    assert gallery.search(probe, 1)[0][0].person == "person 3"


def test_identify_knows_does_not_know_and_is_unsure(tmp_path):
    gallery = new_gallery(tmp_path / "g", 20)
    own = float(score(faces_of(3, seed=1), faces_of(3))[0])
    gallery.decision = rule(threshold=own - 15, unsure_above=-3.0)
    probes = FaceEmbedding.concatenate(
        [faces_of(3, seed=1), faces_of(99, seed=1), faces_of(4, noise=0.4, seed=1)]
    )
    known, unknown, unsure = gallery.identify(probes, 0.01)
    assert (known.verdict, known.person) == ("known", "person 3")
    assert known.probability is not None
    assert known.probability > 0.99
    assert (unknown.verdict, unknown.person) == ("unknown", None)
    assert (unsure.verdict, unsure.person) == ("unsure", None)
    assert unsure.uncertainty > -3.0 > known.uncertainty


def test_an_empty_gallery_finds_nobody(tmp_path):
    gallery = new_gallery(tmp_path / "g", decision=rule())
    assert gallery.search(faces_of(1)) == [[]]
    (answer,) = gallery.identify(faces_of(1))
    assert (answer.verdict, answer.score, answer.probability) == ("unknown", None, None)


@pytest.mark.parametrize("what", ["mean", "confidence", "variance"])
@pytest.mark.parametrize("value", [np.nan, np.inf, 0.0])
def test_nothing_without_an_embedding_is_enrolled_or_searched(tmp_path, what, value):
    gallery = new_gallery(tmp_path / "g", 1)
    faces = faces_of(1)
    getattr(faces, what)[0, 0] = value  # after it was checked
    with pytest.raises(UserError):
        gallery.enrol("ann", faces, consent())
    with pytest.raises(UserError):
        gallery.search(faces)
    assert [one.person for one in gallery.people()] == ["person 0"]


def test_faces_of_another_shape_or_model_are_refused_in_one_line(tmp_path):
    gallery = new_gallery(tmp_path / "g")
    for shape in ((4, 16), (8, 8)):
        with pytest.raises(UserError, match="another model's"):
            gallery.enrol("ann", faces_of(1, shape=shape), consent())
    gallery.require_model(MODEL)
    with pytest.raises(UserError, match="cannot be compared"):
        gallery.require_model("f" * 64)
    faces = faces_of(1)
    wide = np.repeat(faces.variance[:, :, None], faces.mean.shape[2], 2)
    with pytest.raises(UserError, match="one variance a sub-embedding"):
        gallery.enrol("ann", FaceEmbedding(faces.mean, faces.confidence, wide), consent())


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "x" * 201, 7, None, "a\x00b"])
def test_what_is_no_name_is_refused(tmp_path, name):
    gallery = new_gallery(tmp_path / "g")
    with pytest.raises(UserError, match="a person's name"):
        gallery.enrol(name, faces_of(1), consent())


def test_a_name_is_the_same_however_its_accents_are_written(tmp_path):
    gallery = new_gallery(tmp_path / "g")
    gallery.enrol("Zoe\u0308", faces_of(1), consent())
    assert gallery.enrol("Zo\u00eb ", faces_of(1, seed=2), consent()).images == 2


def test_it_is_all_there_when_opened_again(tmp_path):
    gallery = new_gallery(tmp_path / "g", 6, images=2)
    before = gallery.search(faces_of(2, seed=1), 3)
    told = gallery.export()
    gallery.close()
    for _ in range(2):  # the second time from the saved index
        with Gallery.open(tmp_path / "g", KEY, clock=Clock()) as again:
            assert again.search(faces_of(2, seed=1), 3) == before
            assert again.export() == told
            assert again.check() == []
            assert again.stats()["people"] == 6


def test_what_another_process_changes_is_seen(tmp_path):
    first = new_gallery(tmp_path / "g", 3)
    probe = faces_of(7, seed=1)
    first.search(probe)
    with Gallery.open(tmp_path / "g", KEY, clock=Clock()) as second:
        second.enrol("person 7", faces_of(7), consent())
        assert first.search(probe)[0][0].person == "person 7"
        first.remove("person 7")
        assert "person 7" not in {match.person for match in second.search(probe)[0]}
        second.renew()
        assert second.search(faces_of(1, seed=1))[0][0].person == "person 1"
        assert first.search(faces_of(1, seed=1))[0][0].person == "person 1"


def test_an_export_holds_what_is_kept_and_embeddings_only_where_asked(tmp_path):
    gallery = new_gallery(tmp_path / "g", 3)
    (told,) = gallery.export("person 1")
    assert told["consents"][0]["reference"] == "form 17"
    assert "mean" not in str(told)
    names, faces = gallery.export_embeddings()
    assert names == ["person 0", "person 1", "person 2"]
    np.testing.assert_allclose(faces.mean[1], faces_of(1).mean[0], atol=1e-6)
    assert gallery.audit_lines()[-1]["embeddings"] is True
