"""The index is a cache: whatever becomes of its file, nobody is found under another's name (G32)."""

from __future__ import annotations

import shutil
from datetime import timedelta

import numpy as np
import pytest

from gallery.made import KEY, Clock, consent, faces_of, new_gallery
from urface.gallery import Gallery
from urface.gallery.cache import FILE
from urface.search import ExactIndex, index_path
from urface.types import FaceEmbedding, UserError

COUNT = 100


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cache") / "g"
    gallery = new_gallery(folder, COUNT)
    gallery.search(faces_of(0))
    gallery.close()
    return folder


def probes() -> FaceEmbedding:
    return FaceEmbedding.concatenate([faces_of(n) for n in range(COUNT)])


def copied(whole, tmp_path, name: str = "g"):
    return shutil.copytree(whole, tmp_path / name)


def everyone_found(folder) -> bool:
    with Gallery.open(folder, KEY, clock=Clock()) as gallery:
        found = gallery.search(probes(), 1)
        return [row[0].person for row in found] == [f"person {n}" for n in range(COUNT)]


def test_the_file_is_where_the_index_looks_for_it(tmp_path):
    assert index_path(tmp_path) == tmp_path / FILE


def test_a_damaged_cut_or_missing_index_is_built_anew(whole, tmp_path):
    data = (whole / FILE).read_bytes()
    draw = np.random.default_rng(0)
    for trial in range(16):
        folder = copied(whole, tmp_path, f"g{trial}")
        other = bytearray(data)
        if trial == 0:
            (folder / FILE).unlink()
        else:
            if trial % 3:
                other[draw.integers(len(other))] ^= 1 << draw.integers(8)
            else:
                del other[draw.integers(len(other)) :]
            (folder / FILE).write_bytes(other)
        assert everyone_found(folder), trial
        shutil.rmtree(folder)


def test_an_index_of_another_state_or_gallery_is_not_believed(whole, tmp_path):
    folder = copied(whole, tmp_path)
    with Gallery.open(folder, KEY, clock=Clock()) as gallery:
        # The faces of two people change places, so that an old index would name the wrong one.
        for name in ("person 0", "person 1"):
            gallery.remove(name)
        gallery.enrol("person 0", faces_of(1), consent())
        gallery.enrol("person 1", faces_of(0), consent())
    shutil.copy(whole / FILE, folder / FILE)
    with Gallery.open(folder, KEY, clock=Clock()) as gallery:
        assert gallery.search(faces_of(0), 1)[0][0].person == "person 1"
    new_gallery(tmp_path / "other", 2).close()
    shutil.copy(whole / FILE, tmp_path / "other" / FILE)
    with Gallery.open(tmp_path / "other", KEY, clock=Clock()) as gallery:
        assert len(gallery.search(faces_of(0), 5)[0]) == 2


def test_a_database_put_back_from_a_backup_outdates_the_index(whole, tmp_path):
    folder = copied(whole, tmp_path)
    backup = (folder / "gallery.db").read_bytes()
    with Gallery.open(folder, KEY, clock=Clock()) as gallery:
        gallery.enrol("later", faces_of(900), consent())
        gallery.search(faces_of(0))
    (folder / "gallery.db").write_bytes(backup)
    with Gallery.open(folder, KEY, clock=Clock()) as gallery:
        gallery.enrol(
            "other", faces_of(901), consent()
        )  # the same count of changes as the index knows
        found = gallery.search(faces_of(900), COUNT + 5)[0]
        assert {match.person for match in found} == {
            "other",
            *(f"person {n}" for n in range(COUNT)),
        }


@pytest.mark.parametrize("index", ["exact:", "faiss:"])
def test_any_history_leaves_the_index_as_a_new_one_would_be(tmp_path, index):
    gallery = new_gallery(tmp_path / "g", 30, index=index)
    draw = np.random.default_rng(1)
    for step in range(60):
        number = int(draw.integers(40))
        if step % 3 == 0 and f"person {number}" in {one.person for one in gallery.people()}:
            gallery.remove(f"person {number}")
        else:
            gallery.enrol(f"person {number}", faces_of(number, seed=step), consent())
        if step % 10 == 0:
            gallery.search(faces_of(0))
    asked = FaceEmbedding.concatenate([faces_of(n, seed=99) for n in range(40)])
    kept = gallery.search(asked, 5)
    gallery.close()
    (tmp_path / "g" / FILE).unlink(missing_ok=True)
    with Gallery.open(tmp_path / "g", KEY, clock=Clock()) as again:
        anew = again.search(asked, 5)
    names = [[match.person for match in row] for row in kept]
    assert names == [[match.person for match in row] for row in anew]


class Engine(ExactIndex):
    """An index with contents of its own, that outlive whoever opened it, as Milvus has."""

    def close(self) -> None:
        pass

    def save(self, path) -> None:
        pass


@pytest.fixture
def engine(monkeypatch):
    there = Engine()
    monkeypatch.setattr("urface.search.open_index", lambda *_, **__: there)
    return there


def test_an_engine_is_held_against_the_database_and_told_of_removals_at_once(tmp_path, engine):
    with new_gallery(tmp_path / "g", 20, index="milvus:/nowhere.db") as gallery:
        gallery.search(faces_of(0))
        gallery.remove("person 3")
        assert sorted(engine.ids().tolist()) == [n for n in range(1, 21) if n != 4]
    mean, _ = engine.stored(np.array([7]))
    engine.remove(np.array([5, 6]))  # lost by the engine
    engine.add(np.array([4, 99, 8]), FaceEmbedding.concatenate([faces_of(n) for n in range(3)]))
    with Gallery.open(tmp_path / "g", KEY, clock=Clock()) as gallery:
        gallery.remove("person 9")  # before any search
        assert sorted(engine.ids().tolist()) == [n for n in range(1, 21) if n not in (4, 10)]
        found = gallery.search(probes(), 1)[:3]
        assert [row[0].person for row in found] == ["person 0", "person 1", "person 2"]
    assert np.array_equal(engine.stored(np.array([7]))[0], mean)


def test_an_engine_that_cannot_be_reached_is_told_of_with_the_removal_done(
    tmp_path, engine, monkeypatch
):
    with new_gallery(tmp_path / "g", 3, index="milvus:/nowhere.db") as gallery:
        monkeypatch.setattr(
            "urface.search.open_index",
            lambda *_, **__: (_ for _ in ()).throw(UserError("no answer")),
        )
        with pytest.raises(UserError, match="erased, but"):
            gallery.remove("person 1")
        assert [one.person for one in gallery.people()] == ["person 0", "person 2"]


@pytest.mark.slow
def test_a_hundred_thousand_are_open_again_in_five_seconds(tmp_path):
    """From rows, as after a crash; in processor time, since the machine may be busy."""
    import time

    from urface.gallery.template import face_bytes

    shape, count = (16, 32), 100_000
    gallery = new_gallery(tmp_path / "g", shape=shape)
    store = gallery._store
    with store.changing() as change:
        for number in range(count):
            row = face_bytes(store.own(faces_of(number, shape=shape)))
            person = store.people.add(f"p{number}", 2_000_000_000, {"consents": []})
            store.people.write(
                person, {store.people.add_image(person, row): row}, change.generation
            )
    gallery.close()
    start = time.process_time()
    with Gallery.open(tmp_path / "g", KEY, clock=Clock()) as again:
        found = again.search(faces_of(77, seed=1, shape=shape), 1)
        took = time.process_time() - start
        assert found[0][0].person == "p77"
        print(f"rebuilt from rows in {took:.2f} s of processor time")
        assert took <= 5.0


def test_who_another_process_erased_is_in_no_index_file_that_is_kept(tmp_path):
    """A gallery that searched before the erasure and closes after it writes its index last."""
    folder = tmp_path / "g"
    new_gallery(folder, 5).close()
    reader = Gallery.open(folder, KEY, clock=Clock())
    reader.search(faces_of(0))
    before = reader._store.people.keys.index
    with Gallery.open(folder, KEY, clock=Clock()) as other:
        other.remove("person 2")
    reader.close()
    with Gallery.open(folder, KEY, clock=Clock()) as again:
        key = again._store.people.keys.index
    assert key != before
    kept = ExactIndex(key)
    kept.load(index_path(folder))
    assert kept.ids().tolist() == [1, 2, 4, 5]
    with pytest.raises(UserError):
        ExactIndex(before).load(index_path(folder))


def test_a_removal_that_an_engine_refused_is_made_at_the_next_search(tmp_path, engine, monkeypatch):
    clock = Clock()
    with new_gallery(tmp_path / "g", 3, index="milvus:/nowhere.db", clock=clock) as gallery:
        gallery.enrol("short", faces_of(50), consent(10))
        gallery.search(faces_of(0))
        clock.now += timedelta(days=11)
        remove = Engine.remove

        def away(self, ids):
            monkeypatch.setattr(Engine, "remove", remove)
            raise UserError("no answer")

        monkeypatch.setattr(Engine, "remove", away)
        with pytest.raises(UserError, match="no answer"):
            gallery.search(faces_of(50))
        assert "short" not in {match.person for match in gallery.search(faces_of(50), 9)[0]}
        assert engine.ids().tolist() == [1, 2, 3]


def test_an_index_file_that_cannot_be_read_is_built_anew(whole, tmp_path):
    folder = copied(whole, tmp_path)
    (folder / FILE).unlink()
    (folder / FILE).mkdir()  # opening it is an OSError, for root too
    gallery = Gallery.open(folder, KEY, clock=Clock())
    assert gallery.search(faces_of(3), 1)[0][0].person == "person 3"
