"""Nobody without a consent, nobody after its end (G41)."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from gallery.made import KEY, NOW, Clock, all_bytes, consent, faces_of, new_gallery
from urface.gallery import Consent, Gallery
from urface.types import UserError


@pytest.mark.parametrize(
    ("reference", "purpose", "expires"),
    [
        ("", "p", "2027-01-01"),
        ("r", " ", "2027-01-01"),
        (None, "p", "2027-01-01"),
        ("r", "p", ""),
        ("r", "p", None),
        ("r", "p", "next year"),
        ("r", "x" * 2001, "2027-01-01"),
    ],
)
def test_reference_purpose_and_expiry_are_needed(reference, purpose, expires):
    with pytest.raises(UserError):
        Consent(reference, purpose, expires)


def test_an_end_is_read_from_dates_times_and_text():
    end = datetime(2027, 6, 30, tzinfo=UTC)
    for given in (date(2027, 6, 30), "2027-06-30", datetime(2027, 6, 30), "2027-06-30T02:00+02:00"):
        assert Consent("r", "p", given).ends() == end


def test_nobody_is_enrolled_after_the_end_or_for_longer_than_kept(tmp_path):
    gallery = new_gallery(tmp_path / "g", retention=timedelta(days=100))
    for days, says in ((0, "ended"), (-5, "ended"), (102, "longer than 100 days")):
        with pytest.raises(UserError, match=says):
            gallery.enrol("ann", faces_of(1), consent(days))
    assert gallery.people() == []
    gallery.enrol("ann", faces_of(1), consent(100))
    with pytest.raises(UserError, match="three years"):
        new_gallery(tmp_path / "h", retention=timedelta(days=1200))
    with pytest.raises(UserError, match="longer than 1095 days"):
        new_gallery(tmp_path / "i").enrol("ann", faces_of(1), consent(1100))


def test_the_expired_are_never_returned_and_purged(tmp_path):
    clock = Clock()
    gallery = new_gallery(tmp_path / "g", 3, clock=clock)
    gallery.enrol("short", faces_of(50), consent(10))
    assert gallery.search(faces_of(50, seed=1), 1)[0][0].person == "short"
    for shift in (timedelta(days=10), timedelta(days=364)):
        clock.now = NOW + shift
        for opened in (gallery, Gallery.open(tmp_path / "g", KEY, clock=clock)):
            found = opened.search(faces_of(50, seed=1), 10)[0]
            assert {match.person for match in found} == {"person 0", "person 1", "person 2"}
    assert gallery.stats()["expired"] == 1
    assert [one.person for one in gallery.people()][-1] == "short"  # awaiting the purge
    assert gallery.purge() == 1
    assert gallery.purge() == 0
    assert "short" not in [one.person for one in gallery.people()]
    assert gallery.audit_lines()[-2]["people"] == [4]


def test_a_saved_index_returns_nobody_whose_consent_ended_meanwhile(tmp_path):
    clock = Clock()
    gallery = new_gallery(tmp_path / "g", 3, clock=clock)
    gallery.enrol("short", faces_of(50), consent(10))
    gallery.search(faces_of(50))
    gallery.close()
    clock.now = NOW + timedelta(days=11)
    with Gallery.open(tmp_path / "g", KEY, clock=clock) as again:
        assert "short" not in {match.person for match in again.search(faces_of(50), 9)[0]}
    clock.now = NOW  # a clock put right brings everyone back
    with Gallery.open(tmp_path / "g", KEY, clock=clock) as again:
        assert "short" in {match.person for match in again.search(faces_of(50), 9)[0]}


def test_a_new_consent_prolongs_and_the_newest_holds(tmp_path):
    clock = Clock()
    gallery = new_gallery(tmp_path / "g", clock=clock)
    gallery.enrol("ann", faces_of(1), consent(10))
    gallery.enrol("ann", faces_of(1, seed=2), consent(300))
    clock.now = NOW + timedelta(days=20)
    assert gallery.search(faces_of(1))[0][0].person == "ann"
    gallery.enrol("ann", faces_of(1, seed=3), consent(5, clock.now))
    assert len(gallery.export("ann")[0]["consents"]) == 3
    clock.now += timedelta(days=6)
    assert gallery.search(faces_of(1)) == [[]]


def test_images_of_an_ended_consent_are_not_revived_by_a_new_one(tmp_path):
    clock = Clock()
    gallery = new_gallery(tmp_path / "g", clock=clock)
    first = gallery.enrol("ann", faces_of(1, images=3), consent(10))
    clock.now = NOW + timedelta(days=20)
    again = gallery.enrol("ann", faces_of(1, seed=5), consent(10, clock.now))
    assert (again.images, again.number != first.number) == (1, True)
    assert [line["act"] for line in gallery.audit_lines()[-2:]] == ["purge", "enrol"]
    assert gallery.check() == []


def test_consents_are_sealed(tmp_path):
    gallery = new_gallery(tmp_path / "g")
    gallery.enrol("ann", faces_of(1), consent())
    assert b"door of the lab" not in all_bytes(tmp_path)


def test_no_template_of_an_ended_consent_is_given_out(tmp_path):
    clock = Clock()
    gallery = new_gallery(tmp_path / "g", 2, clock=clock)
    gallery.enrol("short", faces_of(50), consent(10))
    assert len(gallery.export_embeddings()[1]) == 3
    clock.now = NOW + timedelta(days=11)
    assert len(gallery.export_embeddings()[1]) == 2
    for ask in (gallery.template, gallery.export_embeddings):
        with pytest.raises(UserError, match="the consent of short has ended"):
            ask("short")


def test_enrolling_over_an_ended_consent_leaves_no_byte_of_the_old(tmp_path):
    clock = Clock()
    gallery = new_gallery(tmp_path / "g", clock=clock)
    gallery.enrol("ann", faces_of(1), consent(10))
    (sealed,) = gallery._store.database.run("SELECT template FROM person")
    piece = bytes(sealed[0])[:16]
    assert piece in all_bytes(tmp_path)
    clock.now = NOW + timedelta(days=20)
    gallery.enrol("ann", faces_of(1, seed=5), consent(10, clock.now))
    assert piece not in all_bytes(tmp_path)


@pytest.mark.parametrize("far", ["0001-01-01T00:00+14:00", "9999-12-31T23:59-14:00"])
def test_an_end_out_of_the_calendar_is_one_line(far):
    with pytest.raises(UserError, match="no date"):
        Consent("r", "p", datetime.fromisoformat(far))
