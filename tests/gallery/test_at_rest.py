"""On the disk: nothing in the clear (G39), nothing of the erased (G40), nothing that can be swapped."""

from __future__ import annotations

import json
import shutil
import sqlite3
import stat

import numpy as np
import pytest

from gallery.made import KEY, Clock, all_bytes, consent, faces_of, new_gallery, rule
from urface.gallery import Gallery
from urface.gallery.seal import GalleryDamaged
from urface.gallery.template import face_bytes
from urface.types import FaceEmbedding, UserError

NAMES = ["Wilhelmina Featherstone", "Bartholomew Quickenden", "Zo\u00eb \u0141ukasiewicz"]


def traces(name: str, faces: FaceEmbedding, gallery: Gallery | None = None) -> list[bytes]:
    """Bytes by which a name or an embedding would show: as they are, escaped, rotated, by sub-embedding."""
    found = [name.encode(), name.encode("utf-16-le"), json.dumps(name).encode()[1:-1]]
    found += [name.split()[1].encode(), b"form 17", b"door of the lab"]
    kinds = [faces]
    if gallery is not None:
        kinds.append(gallery._store.own(faces))
    for one in kinds:
        for part in (one.mean, one.variance, one.confidence):
            for row in np.asarray(part, np.float32).reshape(-1, part.shape[-1]):
                found += [row.tobytes()[:12], row.astype(np.float64).tobytes()[:16]]
                found.append(repr(float(row[0])).encode())
    return found


def seen(data: bytes, wanted: list[bytes]) -> list[bytes]:
    return [trace for trace in wanted if trace in data]


def use(gallery: Gallery) -> None:
    """Everything that writes anything."""
    gallery.decision = rule()
    gallery.search(faces_of(1, seed=1))
    gallery.identify(faces_of(1, seed=1))
    gallery.calibrate(faces_of(50))
    gallery.export()
    gallery.export_embeddings(NAMES[0])


def test_no_name_vector_or_consent_is_readable_in_any_file(tmp_path):
    gallery = new_gallery(tmp_path / "g", index="exact:")
    for number, name in enumerate(NAMES):
        gallery.enrol(name, faces_of(number, images=3), consent())
    for number in range(30):
        gallery.enrol(f"somebody {number}", faces_of(10 + number), consent())
    use(gallery)
    wanted = [t for n, name in enumerate(NAMES) for t in traces(name, faces_of(n, 3), gallery)]
    assert seen(all_bytes(tmp_path), wanted) == []  # with the write-ahead log as it is now
    gallery.close()
    assert (tmp_path / "g" / "search.index").is_file()
    assert seen(all_bytes(tmp_path), wanted) == []


def test_the_scan_finds_a_name_and_a_vector_in_a_plain_store(tmp_path):
    """The control of the test above."""
    faces = faces_of(0, 3)
    database = sqlite3.connect(tmp_path / "plain.db")
    database.execute("CREATE TABLE people (name TEXT, face BLOB)")
    database.execute("INSERT INTO people VALUES (?, ?)", (NAMES[0], face_bytes(faces[0])))
    database.commit()
    database.close()
    wanted = traces(NAMES[0], faces)
    assert NAMES[0].encode() in seen(all_bytes(tmp_path), wanted)
    assert np.asarray(faces.mean)[0, 0].tobytes()[:12] in seen(all_bytes(tmp_path), wanted)


def test_files_are_their_owners_alone(tmp_path):
    gallery = new_gallery(tmp_path / "g", 2)
    gallery.search(faces_of(1))
    modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in (tmp_path / "g").iterdir()}
    assert {"gallery.db", "gallery.db-wal", "audit.head"} <= modes.keys()
    assert set(modes.values()) == {0o600}
    assert stat.S_IMODE((tmp_path / "g").stat().st_mode) == 0o700


def row_bytes(folder, number: int) -> list[bytes]:
    """All that the database holds of a person, as it is sealed there."""
    database = sqlite3.connect(folder / "gallery.db")
    rows = database.execute(
        "SELECT name_hash, wrapped_key, record, template FROM person WHERE number = ?", (number,)
    ).fetchall()
    rows += database.execute(
        "SELECT digest, face FROM image WHERE person = ?", (number,)
    ).fetchall()
    database.close()
    return [bytes(value) for row in rows for value in row]


def test_after_an_erasure_no_byte_is_left_not_even_sealed(tmp_path):
    gallery = new_gallery(tmp_path / "g", 40, images=2)
    erased = gallery.enrol(NAMES[0], faces_of(99, images=5), consent())
    gallery.search(faces_of(99))
    gallery._store.cache.save()
    use(gallery)
    sealed = row_bytes(tmp_path / "g", erased.number)
    wanted = [
        value[start : start + 16] for value in sealed for start in range(0, len(value) - 15, 16)
    ]
    assert seen(all_bytes(tmp_path), wanted)  # it is there before, so the scan can find it
    index = (tmp_path / "g" / "search.index").read_bytes()
    assert gallery.remove(NAMES[0])
    assert not (tmp_path / "g" / "search.index").exists()
    assert gallery.compact()
    wanted += traces(NAMES[0], faces_of(99, images=5), gallery)
    assert seen(all_bytes(tmp_path), wanted) == []
    # A copy of the old index is worth nothing: its key is gone, from the database too.
    (tmp_path / "g" / "search.index").write_bytes(index)
    from urface.search import open_index

    with pytest.raises(UserError):
        open_index("exact:", tmp_path / "g", key=gallery._store.people.keys.index)
    gallery.close()


def test_a_plain_delete_of_sqlite_leaves_its_bytes(tmp_path):
    """The control of the test above: the same rows, deleted as SQLite does by default."""
    gallery = new_gallery(tmp_path / "g", 40)
    number = gallery.enrol(NAMES[0], faces_of(99, images=5), consent()).number
    gallery.close()
    wanted = [value[:16] for value in row_bytes(tmp_path / "g", number)]
    database = sqlite3.connect(tmp_path / "g" / "gallery.db")
    database.execute("PRAGMA secure_delete = OFF")
    database.execute("DELETE FROM image WHERE person = ?", (number,))
    database.execute("DELETE FROM person WHERE number = ?", (number,))
    database.commit()
    database.close()
    assert seen(all_bytes(tmp_path), wanted)


def test_removed_images_leave_no_byte_either(tmp_path):
    gallery = new_gallery(tmp_path / "g", 3)
    number = gallery.enrol(NAMES[0], faces_of(99, images=3), consent()).number
    before = set(row_bytes(tmp_path / "g", number))
    gallery.remove_images(NAMES[0], gallery.template(NAMES[0]).images[:2])
    after = set(row_bytes(tmp_path / "g", number))
    gallery.compact()
    gone = [value[:16] for value in before - after]
    assert len(gone) >= 4
    assert seen(all_bytes(tmp_path), gone) == []


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "g"
    new_gallery(folder, 4, images=2).close()
    return folder


def changed(whole, tmp_path, *statements: str) -> Gallery:
    shutil.copytree(whole, tmp_path / "g")
    database = sqlite3.connect(tmp_path / "g" / "gallery.db")
    for statement in statements:
        database.execute(statement)
    database.commit()
    database.close()
    (tmp_path / "g" / "search.index").unlink(missing_ok=True)
    return Gallery.open(tmp_path / "g", KEY, clock=Clock())


@pytest.mark.parametrize("column", ["wrapped_key", "record", "template"])
def test_rows_cannot_be_swapped(whole, tmp_path, column):
    value = f"(SELECT {column} FROM person WHERE number = 2)"
    gallery = changed(whole, tmp_path, f"UPDATE person SET {column} = {value} WHERE number = 1")
    with pytest.raises(GalleryDamaged):
        gallery.search(faces_of(0)) and gallery.people()
    assert gallery.check()


def test_a_whole_row_under_another_name_is_noticed(whole, tmp_path):
    names = "(SELECT name_hash FROM person WHERE number = 2)"
    gallery = changed(
        whole,
        tmp_path,
        f"CREATE TEMP TABLE kept AS SELECT {names} AS hash",
        "UPDATE person SET name_hash = x'00' WHERE number = 2",
        "UPDATE person SET name_hash = (SELECT hash FROM kept) WHERE number = 1",
    )
    with pytest.raises(GalleryDamaged):
        gallery.remove("person 1")  # it would have erased person 0


def test_an_expiry_cannot_be_moved(whole, tmp_path):
    gallery = changed(
        whole, tmp_path, "UPDATE person SET expires = expires + 86400 WHERE number = 3"
    )
    with pytest.raises(GalleryDamaged):
        gallery.search(faces_of(0))


def test_images_of_another_gallery_or_person_do_not_open(whole, tmp_path):
    gallery = changed(
        whole, tmp_path, "UPDATE image SET person = 9 - person WHERE person IN (4, 5)"
    )
    assert gallery.check()
    new_gallery(tmp_path / "other", 4, images=2).close()
    shutil.copytree(tmp_path / "other", tmp_path / "mixed")
    database = sqlite3.connect(tmp_path / "mixed" / "gallery.db")
    database.execute("ATTACH ? AS whole", (str(whole / "gallery.db"),))
    database.execute("DELETE FROM person")
    database.execute("INSERT INTO person SELECT * FROM whole.person")
    database.commit()
    database.close()
    with (
        Gallery.open(tmp_path / "mixed", KEY, clock=Clock()) as mixed,
        pytest.raises(GalleryDamaged),
    ):
        mixed.people()


def test_every_changed_byte_of_a_sealed_value_is_refused(whole, tmp_path):
    columns = ("wrapped_key", "record", "template")
    for trial in range(30):
        folder = tmp_path / str(trial)
        folder.mkdir()
        column = columns[trial % 3]
        shutil.copytree(whole, folder / "g")
        database = sqlite3.connect(folder / "g" / "gallery.db")
        ((value,),) = database.execute(f"SELECT {column} FROM person WHERE number = 2").fetchall()
        data = bytearray(value)
        data[np.random.default_rng(trial).integers(len(data))] ^= 1 << (trial % 8)
        database.execute(f"UPDATE person SET {column} = ? WHERE number = 2", (bytes(data),))
        database.commit()
        database.close()
        gallery = Gallery.open(folder / "g", KEY, clock=Clock())
        with pytest.raises(GalleryDamaged):
            gallery.template("person 1")
        gallery.close()


def test_a_person_or_image_that_somebody_deleted_is_missed(whole, tmp_path):
    gallery = changed(
        whole,
        tmp_path,
        "DELETE FROM image WHERE person IN (2, 3) AND digest = "
        "(SELECT digest FROM image AS other WHERE other.person = image.person LIMIT 1)",
        "DELETE FROM person WHERE number = 3",
        "DELETE FROM image WHERE person = 3",
    )
    assert gallery.check() == [
        "the template of person 2 is not that of its images",
        "person 3 is in the log but not in the database",
    ]


def test_facts_and_keys_cannot_be_changed(whole, tmp_path):
    with pytest.raises(UserError, match="header was changed"):
        changed(
            whole,
            tmp_path,
            "UPDATE meta SET value = CAST(replace(value, '0123', '9999') AS BLOB) WHERE name = 'facts'",
        )


def test_another_key_opens_nothing(whole):
    for key in (bytes(32), KEY[::-1]):
        with pytest.raises(UserError, match="another one's"):
            Gallery.open(whole, key)
    with pytest.raises(UserError, match="32 bytes"):
        Gallery.open(whole, b"short")
