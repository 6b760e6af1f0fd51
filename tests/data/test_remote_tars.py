"""Claims about shards in a store: their index is made once, and what goes wrong is said in a line."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import fsspec
import pytest

from urface.data.open import open_faces
from urface.data.ranges import RangeCache
from urface.data.remote import PACKAGES, RemoteFile, exists
from urface.data.remote_tars import index_folder, open_tar
from urface.data.shards import ShardPattern
from urface.types import UserError

from .shards_in_a_store import CountedReads, picture, put, shards, tar_of


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("urface.data.remote.PAUSE", 0.001)


def test_the_index_is_made_once_and_again_only_when_the_file_changes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url = put("index", shards(1, 40, 5)).replace("{000..000}", "000")
    counted = CountedReads(monkeypatch)
    first = open_faces(url)
    assert counted.requests == 1  # one window holds it all, the .cls too
    counted.reset()
    again = open_faces(url)
    assert counted.requests == 0
    assert again.keys == first.keys
    put("index", shards(1, 41, 5))
    assert len(open_faces(url)) == 41
    assert counted.requests == 1
    for damaged in (b"", b"PAR1", b"x" * 100):
        for place in index_folder().iterdir():
            place.write_bytes(damaged)
        assert len(open_faces(url)) == 41


def test_an_index_that_cannot_be_kept_is_made_anew_each_time(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "urface").write_text("a file where the folder should be")
    url = put("unkept", shards(1, 10, 5)).replace("{000..000}", "000")
    assert len(open_faces(url)) == 10
    assert "the index cannot be kept" in capsys.readouterr().err


def test_a_tar_larger_than_the_window_is_indexed_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    url = put("windows", shards(1, 40, 5, "json")).replace("{000..000}", "000")
    whole = open_tar(url, RangeCache())
    for place in index_folder().iterdir():
        place.unlink()
    monkeypatch.setattr("urface.data.remote_tars.WINDOW", 700)
    parts = open_tar(url, RangeCache())
    assert (parts.members, parts.texts) == (whole.members, whole.texts)


def test_people_have_the_same_name_in_shards_that_need_fewer_digits(tmp_path: Path) -> None:
    few = tar_of([("a.jpg", picture(0)), ("a.cls", b"5")])
    many = tar_of([("b.jpg", picture(1)), ("b.cls", b"5"), ("c.jpg", picture(2)), ("c.cls", b"10")])
    for source in (open_faces(put("digits", [few, many])), _local(tmp_path, [few, many])):
        assert source.identities == ["05", "10"]
        assert source.keys == ["05/a.jpg", "05/b.jpg", "10/c.jpg"]
        assert source.labels.tolist() == [0, 0, 1]


def _local(folder: Path, tars: list[bytes]) -> Any:
    for number, data in enumerate(tars):
        (folder / f"f-{number}.tar").write_bytes(data)
    return open_faces(folder / "f-{0..N}.tar")


def test_n_reads_as_many_shards_as_there_are() -> None:
    put("open", shards(3, 10, 5))
    assert len(open_faces("memory://open/faces-{000..N}.tar")) == 30
    with pytest.raises(UserError, match="no shard of"):
        open_faces("memory://open/none-{000..N}.tar")


def test_a_shard_that_the_store_fails_to_tell_of_is_not_taken_for_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Control: fsspec's own `exists`, as most stores have it, ends the list at the failure."""
    pattern = "memory://blip/faces-{000..N}.tar"
    put("blip", shards(5, 2, 2))
    store = type(fsspec.filesystem("memory"))
    info, left = store.info, [0]

    def failing(this: Any, path: str, **more: Any) -> Any:
        if path.endswith("faces-003.tar") and left[0]:
            left[0] -= 1
            raise ConnectionError("reset by peer")
        return info(this, path, **more)

    monkeypatch.setattr(store, "info", failing)
    monkeypatch.setattr(store, "exists", fsspec.AbstractFileSystem.exists)
    left[0] = 1
    assert len(ShardPattern(pattern).names_to_read(fsspec.filesystem("memory").exists)) == 3
    left[0] = 1
    assert len(ShardPattern(pattern).names_to_read(exists)) == 5
    left[0] = 100
    with pytest.raises(UserError, match=r"faces-003.tar: cannot be read after 4 tries"):
        open_faces(pattern)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"", "has no .cls beside it"),
        (b"[1]", "names no class"),
        (b'{"label": true}', "names no class"),
        (b'{"label": [1]}', "names no class"),
        (b'{"other": 1}', "names no class"),
        (b'{"label": "../x"}', "names no class"),
        (b"[" * 10_000, "names no class"),
        (b'{"label": 1}' + b" " * 20_000, "has no .cls beside it"),
    ],
)
def test_a_json_that_names_no_class_is_refused_with_its_name(text: bytes, why: str) -> None:
    url = put("json", [tar_of([("a.jpg", picture(0)), ("a.json", text)])])
    with pytest.raises(UserError, match=why):
        open_faces(url)


def test_hostile_and_cut_tars_are_refused_in_a_store_as_on_disk() -> None:
    good = shards(1, 10, 5)[0]
    for data, why in (
        (good[:-11_000], "truncated tar"),
        (good[:700] + b"x" + good[701:], None),
        (b"\x1f\x8b" + good, "compressed by gzip"),
        (b"junk" * 500, "does not add up"),
        (tar_of([("../a.jpg", b"x")]), "leads out"),
        (tar_of([("a/b.jpg", b"x"), ("a/b.jpg", b"x")]), "two member entries"),
    ):
        url = put("hostile", [data])
        if why is not None:
            with pytest.raises(UserError, match=why) as caught:
                open_faces(url)
            assert "memory://hostile/faces-000.tar" in str(caught.value)
            assert "\n" not in str(caught.value)


REFUSED = (
    "pipe:touch canary", "pipe://x.tar", "simplecache::s3://a/b.tar", "memory://a::memory://b.tar",
    "zip://a.tar::memory://b.zip", "tar://a::memory://b.tar", "http://127.0.0.1:9/a.tar",
    "ssh://x/a.tar", "sftp://x/a.tar", "ftp://x/a.tar", "reference://a.tar", "github://a:b@c/a.tar",
    "git://a.tar", "dask://a.tar", "jupyter://a.tar", "python://a.tar", "file://host/a.tar",
    "memory://a|touch canary.tar", "file:///etc/passwd", "memory://nothing/a.tar",
    "memory://nothing/a.rec", "memory://nothing",
)  # fmt: skip


@pytest.mark.parametrize("url", REFUSED)
def test_urls_that_are_no_tars_of_a_known_store_are_refused_in_a_line(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError) as caught:
        open_faces(url)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "canary").exists()


@pytest.mark.parametrize("scheme", [scheme for scheme, package in PACKAGES.items() if package])
def test_a_store_whose_package_is_missing_says_what_to_install(
    scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, PACKAGES[scheme], None)
    for module in list(sys.modules):
        if module.startswith(f"{PACKAGES[scheme]}."):
            monkeypatch.delitem(sys.modules, module)
    if scheme == "https":
        monkeypatch.setitem(sys.modules, "fsspec.implementations.http", None)
    with pytest.raises(UserError, match=f"pip install {PACKAGES[scheme]}"):
        RemoteFile(f"{scheme}://bucket/faces.tar")


class Flaky:
    """The store fails ``times`` times."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, times: int) -> None:
        store = type(fsspec.filesystem("memory"))
        cat_file, self.left = store.cat_file, times

        def failing(this: Any, *given: Any, **more: Any) -> bytes:
            self.left -= 1
            if self.left >= 0:
                raise TimeoutError("no answer\nfor a while")
            data: bytes = cat_file(this, *given, **more)
            return data

        monkeypatch.setattr(store, "cat_file", failing)


def test_a_store_that_does_not_answer_is_asked_again_and_never_counted_as_a_corrupt_image(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source = open_faces(put("flaky", shards(1, 10, 5)))
    expected = source.read(0)
    Flaky(monkeypatch, 3)
    assert source.read(0) == expected
    Flaky(monkeypatch, 100)
    with pytest.raises(UserError, match=r"after 4 tries.*no answer") as caught:
        source.read(0)
    assert type(caught.value) is UserError  # a DecodeError would be stepped over
    assert "\n" not in str(caught.value)


def test_a_shard_that_shrinks_or_goes_while_it_is_read_stops_the_run() -> None:
    url = put("shrinks", shards(1, 10, 5))
    source = open_faces(url)
    put("shrinks", [shards(1, 10, 5)[0][:2000]])
    with pytest.raises(UserError, match="changed while it was read"):
        source.read(9)
    fsspec.filesystem("memory").rm("/shrinks/faces-000.tar")
    with pytest.raises(UserError, match="nothing there"):
        source.read(0)


def test_ranges_longest_unused_are_dropped_first() -> None:
    url = put("ranges", [bytes(range(200))]).replace("{000..000}", "000")
    file, cache = RemoteFile(url), RangeCache(capacity=30)
    for start in (0, 10, 20):
        cache.ask(file, start, start + 10)
    assert cache.find(file, 0, 10) == bytes(range(10))
    cache.ask(file, 30, 40)
    assert cache.find(file, 10, 20) is None
    assert cache.find(file, 0, 10) == bytes(range(10))
    assert cache.find(file, 30, 40) == bytes(range(30, 40))
    assert cache.requests == 4
