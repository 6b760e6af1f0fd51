"""The log of all acts: complete, without names, and no line can be changed or lost unseen (G43)."""

from __future__ import annotations

import contextlib
import json
import random
import shutil
import sqlite3
from pathlib import Path

import numpy as np
import pytest

from gallery.made import KEY, Clock, consent, faces_of, new_gallery, rule
from urface.gallery import Gallery
from urface.gallery.audit import SLOT, acting_as
from urface.types import UserError


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("audit") / "g"
    with new_gallery(folder, 12) as gallery:
        gallery.remove("person 3")
    return folder


def test_every_act_is_in_the_log_by_numbers_and_not_by_names(tmp_path):
    gallery = new_gallery(tmp_path / "g", 2, decision=rule(-1e9))
    gallery.search(faces_of(1))
    with acting_as("key 5"):
        gallery.identify(faces_of(1))
    gallery.calibrate(faces_of(5, images=3))
    gallery.export("person 1")
    gallery.export_embeddings()
    gallery.enrol("person 1", faces_of(1, images=2, seed=4), consent())
    gallery.remove_images("person 1", gallery.template("person 1").images[:1])
    gallery.renew()
    gallery.remove("person 0")
    gallery.purge()
    lines = gallery.audit_lines()
    acts = "create enrol enrol search identify calibrate export export enrol remove_images renew remove purge"
    assert [line["act"] for line in lines] == acts.split()
    assert [line["line"] for line in lines] == list(range(1, 14))
    assert lines[4]["by"] == "key 5"
    assert lines[4]["known"] == [2]
    assert lines[11]["person"] == 1
    text = json.dumps(lines)
    assert "person 0" not in text
    assert "person 1" not in text
    assert gallery.audit().problems == []


def edited(whole: Path, tmp_path: Path, *statements: tuple[str, tuple]) -> list[str]:
    folder = tmp_path / "g"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(whole, folder)
    database = sqlite3.connect(folder / "gallery.db")
    for text, values in statements:
        database.execute(text, values)
    database.commit()
    database.close()
    with Gallery.open(folder, KEY, clock=Clock()) as gallery:
        return gallery.audit().problems


def lines_of(whole: Path) -> list[tuple[int, str, bytes]]:
    database = sqlite3.connect(whole / "gallery.db")
    found = database.execute("SELECT place, line, chain FROM audit ORDER BY place").fetchall()
    database.close()
    return found


def test_every_edit_and_every_missing_line_is_found(whole, tmp_path):
    lines = lines_of(whole)
    assert edited(whole, tmp_path) == []
    for place, line, chain in lines:
        draw = random.Random(place)
        spot = draw.randrange(len(line))
        other = line[:spot] + chr(ord(line[spot]) ^ 1) + line[spot + 1 :]
        link = bytearray(chain)
        link[draw.randrange(32)] ^= 1 << draw.randrange(8)
        for statement in (
            ("UPDATE audit SET line = ? WHERE place = ?", (other, place)),
            ("UPDATE audit SET chain = ? WHERE place = ?", (bytes(link), place)),
            ("DELETE FROM audit WHERE place = ?", (place,)),
            ("DELETE FROM audit WHERE place >= ?", (place,)),
        ):
            assert edited(whole, tmp_path, statement), statement


def test_lines_cannot_be_swapped_repeated_or_renumbered(whole, tmp_path):
    swap = [
        ("UPDATE audit SET place = 999 WHERE place = 4", ()),
        ("UPDATE audit SET place = 4 WHERE place = 5", ()),
        ("UPDATE audit SET place = 5 WHERE place = 999", ()),
    ]
    again = ("INSERT INTO audit SELECT 15, line, chain FROM audit WHERE place = 14", ())
    closed = [
        ("DELETE FROM audit WHERE place = 6", ()),
        ("UPDATE audit SET place = place - 1 WHERE place > 6", ()),
    ]
    for statements in (swap, [again], closed):
        assert edited(whole, tmp_path, *statements)


def test_a_cut_tail_is_found_by_a_head_that_was_noted_elsewhere_too(whole, tmp_path):
    """Who can write to the folder can put back an old audit.head with the old log: a note elsewhere tells."""
    before = tmp_path / "before"
    shutil.copytree(whole, before)
    with Gallery.open(whole, KEY, clock=Clock()) as gallery:
        gallery.export()
        noted = gallery.audit().head
        assert gallery.audit(noted).problems == []
    with Gallery.open(before, KEY, clock=Clock()) as gallery:
        assert gallery.audit().problems == []
        assert "missing" in gallery.audit(noted).problems[0]
        gallery.search(faces_of(1))  # as many lines again, but others
        assert "another than the head given" in gallery.audit(noted).problems[0]
        with pytest.raises(UserError, match="no head"):
            gallery.audit("x")


def test_a_missing_or_forged_head_is_found_and_a_half_written_slot_is_not_an_alarm(whole, tmp_path):
    head = whole / "audit.head"
    data = head.read_bytes()
    with Gallery.open(whole, KEY, clock=Clock()) as gallery:
        assert len(data) == 2 * SLOT
        newest = max((0, SLOT), key=lambda start: int(data[start : start + 10].split()[0]))
        torn = bytearray(data)
        torn[newest + 20 : newest + SLOT] = np.random.default_rng(0).bytes(SLOT - 20)
        head.write_bytes(torn)
        assert gallery.audit().problems == []
        head.write_bytes(data.replace(b" ", b"9", 1)[: 2 * SLOT - 200])
        assert "missing or changed" in str(gallery.audit().problems)
        head.unlink()
        assert "missing or changed" in str(gallery.audit().problems)
        gallery.search(faces_of(1))  # the next act writes it again
        assert gallery.audit().problems == []


def test_a_damaged_line_is_told_and_the_others_are_read(whole, tmp_path):
    statement = ("UPDATE audit SET line = ? WHERE place = 5", ("{cut",))
    assert edited(whole, tmp_path, statement)
    with Gallery.open(tmp_path / "g", KEY, clock=Clock()) as gallery:
        lines = gallery.audit_lines()
        assert lines[4] == {"damaged": "{cut"}
        assert lines[5]["line"] == 6
        # A log that is not whole says nothing of who ought to be there.
        assert not [line for line in gallery.check() if "in the log but" in line]


@pytest.mark.parametrize("noted", ["0:ab", "-1:ab", "1", "1:xy"])
def test_what_is_no_head_is_refused(whole, noted):
    with (
        Gallery.open(whole, KEY, clock=Clock()) as gallery,
        pytest.raises(UserError, match="no head"),
    ):
        gallery.audit(noted)


def test_a_line_written_while_the_log_is_read_is_no_alarm(whole, tmp_path, monkeypatch):
    """The head is read before the snapshot: another process moves it on at any time."""
    shutil.copytree(whole, tmp_path / "g")
    with (
        Gallery.open(tmp_path / "g", KEY, clock=Clock()) as gallery,
        Gallery.open(tmp_path / "g", KEY, clock=Clock()) as other,
    ):
        reading = type(gallery._store).reading

        @contextlib.contextmanager
        def busy(store):
            with reading(store):
                if store is gallery._store:
                    store.database.run("SELECT COUNT(*) FROM audit")  # the snapshot begins here
                    other.export()
                yield

        monkeypatch.setattr(type(gallery._store), "reading", busy)
        assert gallery.audit().problems == []
        monkeypatch.setattr(type(gallery._store), "reading", reading)
        assert gallery.audit().problems == []
