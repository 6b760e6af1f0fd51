"""Every image in exactly one part: plans, stores, resuming, failures and who reads the result."""

from __future__ import annotations

import io
import json
import os

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from small_model import one_thread  # noqa: F401
from urface.commands.embed import find_faces
from urface.corpus.job import PARTS, PLAN, embed_corpus, finished, on_this_machine
from urface.corpus.plan import Plan, Recipe
from urface.corpus.store import Store
from urface.recognisers.open import open_recogniser
from urface.types import UserError

from .scenario import embedder, faces, listed, plan_of, rows_of, sources_of

COUNT, BAD = 23, (4, 17)


@pytest.fixture
def source(tmp_path):
    return faces(tmp_path / "faces", COUNT, BAD)


def embed(plan: Plan, url: str, share: float = 0.5) -> dict:
    store = Store(url)
    embed_corpus(plan, store, on_this_machine(embedder()), share)
    return json.loads(store.read(PARTS))


@pytest.mark.parametrize("form", ["parquet", "tar"])
def test_every_image_is_in_exactly_one_part_and_failures_are_rows_with_names(
    source, tmp_path, form
):
    about = embed(plan_of(source, form=form), str(tmp_path / "out"))
    assert (about["images"], about["embedded"], about["failed"]) == (COUNT, COUNT - 2, 2)
    assert [part["rows"] for part in about["parts"]] == [5, 5, 5, 5, 3]
    assert set(about["failures"]) == {f"{bad:04d}.jpg" for bad in BAD}
    recogniser = open_recogniser(tmp_path / "out")
    keys = [f"{number:04d}.jpg" for number in range(COUNT)]
    features = recogniser.features([], keys)
    assert len(recogniser) == COUNT
    assert features.parts == 4
    assert np.flatnonzero(~np.isfinite(features.vectors).all(1)).tolist() == list(BAD)
    good = [key for number, key in enumerate(keys) if number not in BAD]
    images = [sources_of(source)[0][1].image(keys.index(key)) for key in good]
    expected = embedder().embed(images)
    rows = [keys.index(key) for key in good]
    # Batches of other sizes round otherwise.
    mean = features.vectors[rows].reshape(expected.mean.shape)
    np.testing.assert_allclose(mean, expected.mean, atol=1e-5)
    np.testing.assert_allclose(features.confidence[rows], expected.confidence, rtol=1e-4)
    np.testing.assert_allclose(features.variance[rows], expected.variance, rtol=1e-4)


@pytest.mark.parametrize("form", ["parquet", "tar"])
def test_parts_are_a_pure_function_of_the_list_of_images(source, tmp_path, form):
    plan = plan_of(source, form=form)
    embed(plan, str(tmp_path / "a"))
    embed(plan, str(tmp_path / "b"))
    assert listed(tmp_path / "a") == listed(tmp_path / "b")


def test_memory_and_file_urls_hold_the_same_bytes_as_a_path(source, tmp_path):
    plan = plan_of(source)
    embed(plan, str(tmp_path / "a"))
    embed(plan, f"file://{tmp_path}/b")
    embed(plan, "memory://corpus/test_job")
    store = Store("memory://corpus/test_job")
    there = {name: store.read(name) for name in store.names()}
    assert listed(tmp_path / "a") == listed(tmp_path / "b") == there


def test_a_rerun_makes_only_what_is_missing_or_damaged(source, tmp_path):
    plan, out = plan_of(source), tmp_path / "out"
    embed(plan, str(out))
    before = listed(out)
    parts = sorted(out.glob("part-*"))
    parts[1].unlink()
    parts[3].write_bytes(parts[3].read_bytes()[:-1] + b"x")
    (out / ".part-000002-0.1234abcd.tmp.parquet").write_bytes(b"half")
    made = []

    def engine(plan, store, missing):
        made.extend(missing)
        yield from on_this_machine(embedder())(plan, store, missing)

    embed_corpus(plan, Store(str(out)), engine, 0.5)
    assert made == [1, 3]
    assert listed(out) == before


def test_a_part_written_late_by_a_worker_thought_dead_does_not_count(source, tmp_path):
    """Its bytes may differ in the last digit, so its name does; what is committed stays as it was."""
    plan, out = plan_of(source), tmp_path / "out"
    embed(plan, str(out))
    late = rows_of(out)
    part = sorted(out.glob("part-*"))[0]
    table = pq.read_table(part)
    pq.write_table(table, out / "part-000000-ffffffffffffffffffffffffffffffff.parquet")
    assert rows_of(out) == late
    assert len(open_recogniser(out)) == COUNT
    embed(plan, str(out))
    assert len(list(out.glob("part-*"))) == len(plan)


def test_other_images_another_model_or_other_sizes_are_refused(source, tmp_path):
    out = str(tmp_path / "out")
    embed(plan_of(source), out)
    for other in (plan_of(source, size=6), plan_of(source, batch=3), plan_of(source, model="x")):
        with pytest.raises(UserError, match="other images, by another model or in other sizes"):
            embed(other, out)
    (source / "0001.jpg").write_bytes((source / "0002.jpg").read_bytes() + b" ")
    with pytest.raises(UserError, match="other images"):
        embed(plan_of(source), out)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("x")
    with pytest.raises(UserError, match=r"other files \(thesis.tex\)"):
        embed(plan_of(source), str(tmp_path / "full"))


def test_too_many_failures_stop_the_run_and_a_larger_share_goes_on(source, tmp_path):
    out = tmp_path / "out"
    with pytest.raises(UserError, match=r"2 of 23 images failed.*0017.jpg"):
        embed(plan_of(source), str(out), share=0.05)
    assert not (out / PARTS).exists()
    assert (out / PLAN).exists()
    assert embed(plan_of(source), str(out), share=0.1)["failed"] == 2


def test_what_to_remove_to_try_failed_images_again_is_named(source, tmp_path):
    out, plan = tmp_path / "out", plan_of(source)
    embed(plan, str(out))
    with pytest.raises(UserError, match=r"try them again remove from (\S+) (.+)$") as caught:
        embed(plan, str(out), share=0)
    names = [name.strip(",") for name in str(caught.value).split()[-2:]]
    assert [name[:11] for name in names] == ["part-000000", "part-000003"]
    for name in names:
        (out / name).unlink()
    assert sorted(finished(plan, Store(str(out)))) == [1, 2, 4]


class Outage:
    """From the read of number ``first`` on the store fails ``times`` times, in words of its own."""

    def __init__(self, monkeypatch, name: str, first: int, times: int) -> None:
        store = type(fsspec.filesystem("memory"))
        right, self.reads = getattr(store, name), 0
        self.fails = range(first, first + times)

        class ClientError(Exception):
            """As botocore has one: no OSError."""

        def failing(this, *given, **more):
            self.reads += 1
            if self.reads - 1 in self.fails:
                raise ClientError("server disconnected")
            return right(this, *given, **more)

        monkeypatch.setattr(store, name, failing)
        monkeypatch.setattr("urface.data.remote.PAUSE", 0.001)


def _in_a_store(source, kind: str) -> str:
    images = [(path.name, path.read_bytes()) for path in sorted(source.iterdir())]
    memory = fsspec.filesystem("memory")
    if kind == "folder":
        for name, data in images:
            memory.pipe_file(f"/outage/faces/{name}", data)
        return "memory://outage/faces"
    out = io.BytesIO()
    keys, cells = zip(*images, strict=True)
    pq.write_table(pa.table({"key": keys, "image": cells}), out, row_group_size=4)
    memory.pipe_file("/outage/faces.parquet", out.getvalue())
    return "memory://outage/faces.parquet"


@pytest.mark.parametrize("kind", ["folder", "parquet"])
def test_an_outage_of_a_store_fails_no_image_and_leaves_no_part(
    source, tmp_path, monkeypatch, kind
):
    url, out = _in_a_store(source, kind), tmp_path / "out"
    plan = Plan(find_faces([url]), Recipe("m", 5, 4))
    with monkeypatch.context() as patch:
        outage = Outage(patch, "cat_file", 0, 10_000)
        with pytest.raises(
            UserError, match=rf"{url}.*after 4 tries \(ClientError: server"
        ) as caught:
            embed(plan, str(out))
        assert type(caught.value) is UserError
        assert outage.reads == 4
        assert set(listed(out)) == {PLAN}
    with monkeypatch.context() as patch:
        Outage(patch, "cat_file", 2, 3)
        about = embed(plan, str(out))
    assert set(about["failures"]) == {f"{bad:04d}.jpg" for bad in BAD}


def test_an_image_that_was_taken_out_of_the_store_since_it_was_listed_fails_alone(source, tmp_path):
    url, out = _in_a_store(source, "folder"), tmp_path / "out"
    plan = Plan(find_faces([url]), Recipe("m", 5, 4))
    fsspec.filesystem("memory").rm("/outage/faces/0007.jpg")
    failures = embed(plan, str(out))["failures"]
    assert failures["0007.jpg"] == "0007.jpg: cannot be read (No such file or directory)"
    assert len(failures) == 3


def test_an_image_without_a_finite_embedding_fails_alone(source, tmp_path, monkeypatch):
    ours = embedder()
    whole = ours.embed_frames

    def some_not_finite(batches, total, progress=False):
        frames = [frame for batch in batches for frame in batch]
        if any(frame.mean() < 1.0 for frame in frames):
            raise UserError("sub-embedding 0 of face 0 has length nan, not 1")
        return whole(iter([frames]), total, progress)

    monkeypatch.setattr(ours, "embed_frames", some_not_finite)
    dark = faces(source, 1, (), first=COUNT, dark=True)
    store = Store(str(tmp_path / "out"))
    done = embed_corpus(plan_of(dark), store, on_this_machine(ours), 0.5)
    failures = [key for part in done.values() for key in part.failures]
    assert failures == ["0004.jpg", "0017.jpg", f"{COUNT:04d}.jpg"]
    assert rows_of(tmp_path / "out") == [f"{number:04d}.jpg" for number in range(COUNT + 1)]


def test_a_damaged_or_missing_part_is_refused_by_the_reader(source, tmp_path):
    out = tmp_path / "out"
    embed(plan_of(source), str(out))
    part = sorted(out.glob("part-*"))[0]
    data = part.read_bytes()
    part.write_bytes(data[:100] + b"x" + data[101:])
    with pytest.raises(UserError, match="damaged; remove it and run urface embed again"):
        open_recogniser(out)
    part.unlink()
    with pytest.raises(UserError, match="not there; run urface embed again"):
        open_recogniser(out)
    (out / PARTS).write_text('{"parts": [{"name": "../x"}]}')
    with pytest.raises(UserError, match="not a list of parts"):
        open_recogniser(out)


def test_a_part_spans_sources_and_knows_of_its_own_images_only(tmp_path):
    first = faces(tmp_path / "a", 4, ())
    second = faces(tmp_path / "b", 5, ())
    plan = plan_of(first, second, size=6)
    sizes = [[len(source) for _, source in plan.part(n).pieces] for n in range(len(plan))]
    assert sizes == [[4, 2], [3]]
    assert plan.part(1).pieces[0][1].keys == ["0002.jpg", "0003.jpg", "0004.jpg"]
    reader = plan.part(1).pieces[0][1].read_bytes
    assert reader.paths == ["0002.jpg", "0003.jpg", "0004.jpg"]
    assert plan.part(1).pieces[0][1].read(0) == (second / "0002.jpg").read_bytes()


def test_a_name_that_is_not_utf8_is_refused_before_anything_is_embedded(tmp_path):
    source = faces(tmp_path / "faces", 1, ())
    os.rename(source / "0000.jpg", os.fsencode(source) + b"/\xff.jpg")
    with pytest.raises(UserError, match=r"udcff.jpg': a name that is not UTF-8") as caught:
        plan_of(source)
    str(caught.value).encode()


def test_a_store_that_is_only_read_is_refused_for_writing(monkeypatch):
    class Https:
        protocol = ("http", "https")

    monkeypatch.setattr("urface.corpus.store.file_system", lambda url: (Https(), url))
    with pytest.raises(UserError, match="https://x/y: cannot be written to"):
        Store("https://x/y")
