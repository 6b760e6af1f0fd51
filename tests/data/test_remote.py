"""Folders and tars by URL, and images in Parquet: the bytes, names and refusals of the local readers."""

from __future__ import annotations

import io
import tarfile

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from small_model import pictures
from urface.commands.embed import find_faces
from urface.corpus.store import Store
from urface.data.decode import encode_png
from urface.data.open import open_faces
from urface.data.parquet_images import holds_images, read_parquet_images
from urface.data.record_source import read_records
from urface.data.record_write import write_records
from urface.data.remote_folder import open_remote
from urface.data.source import narrow, stamp_of
from urface.data.tars import read_tar
from urface.types import UserError

KEYS = [f"{who}/{number}.png" for who in "ab" for number in range(3)]
IMAGES = [encode_png(np.ascontiguousarray(image)) for image in pictures(len(KEYS))]


def put(url: str, data: bytes) -> None:
    with fsspec.open(url, "wb") as file:
        file.write(data)


@pytest.fixture
def tar() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as file:
        for key, data in zip(KEYS, IMAGES, strict=True):
            info = tarfile.TarInfo(key)
            info.size = len(data)
            file.addfile(info, io.BytesIO(data))
    return out.getvalue()


def check_same(source, other) -> None:
    assert source.keys == other.keys
    for place in range(len(source)):
        assert source.read(place) == other.read(place)


def test_a_tar_by_url_holds_what_the_local_tar_holds(tar, tmp_path):
    put("memory://remote/a.tar", tar)
    (tmp_path / "a.tar").write_bytes(tar)
    remote = open_remote("memory://remote/a.tar")
    check_same(remote, read_tar(tmp_path / "a.tar"))
    few = narrow(remote, range(2, 5))
    assert few.keys == remote.keys[2:5]
    assert [few.read(place) for place in range(3)] == IMAGES[2:5]
    assert len(few.read_bytes.members) == 3


def test_a_truncated_tar_by_url_is_refused(tar):
    put("memory://remote/cut.tar", tar[:2000])
    with pytest.raises(UserError, match="truncated tar"):
        open_remote("memory://remote/cut.tar")


def test_a_folder_by_url_holds_its_images_at_any_depth():
    for key, data in zip(KEYS, IMAGES, strict=True):
        put(f"memory://remote/faces/{key}", data)
    put("memory://remote/faces/notes.txt", b"no image")
    source = open_remote("memory://remote/faces")
    assert source.keys == KEYS
    assert [source.read(place) for place in range(len(KEYS))] == IMAGES
    assert narrow(source, range(4, 6)).read(0) == IMAGES[4]
    stamp = stamp_of(source.read_bytes)
    assert stamp is not None
    before = stamp(0)
    put(f"memory://remote/faces/{KEYS[0]}", IMAGES[1])
    after = stamp_of(open_remote("memory://remote/faces").read_bytes)
    assert after is not None
    assert after(0) != before
    ((prefix, found),) = find_faces(["memory://remote/faces"])
    assert (prefix, found.keys) == ("", KEYS)


def test_what_is_not_there_and_an_unknown_store_are_refused_in_a_line():
    for url in ("memory://remote/nothing.tar", "memory://remote/nothing", "nosuch://x/y"):
        with pytest.raises(UserError, match=r"nothing|nosuch"):
            open_remote(url)


# No scheme to us, or one of a store that is not read; fsspec takes each for a URL.
NO_URLS = (
    "1x://a", "foo/a://b", "simplecache::memory://x", "arrow_hdfs://127.0.0.1/x", "a_b://c.tar",
    "data://,x", "local://x", "file://localhost/tmp/x", "FILE://localhost/tmp/x",
)  # fmt: skip


@pytest.mark.parametrize("url", NO_URLS)
def test_what_only_looks_like_a_url_is_refused_in_a_line_for_reading_and_writing(
    url, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    for use in (lambda: find_faces([url]), lambda: open_faces(url), lambda: Store(url)):
        with pytest.raises(UserError, match=r"not a URL that|on another host|only tars") as caught:
            use()
        assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_a_local_path_is_one_whatever_fsspec_would_take_it_for(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="not a URL that is read"):
        Store("data:,x")
    Store("local:x").write("a", b"1")
    assert (tmp_path / "local:x" / "a").read_bytes() == b"1"
    Store(f"FILE://{tmp_path}/b").write("a", b"2")
    assert (tmp_path / "b" / "a").read_bytes() == b"2"


def parquet(url: str, column: str = "image", hub: bool = False) -> None:
    cells = [{"bytes": data, "path": None} for data in IMAGES] if hub else IMAGES
    table = pa.table({"key": KEYS, column: cells})
    out = io.BytesIO()
    pq.write_table(table, out, row_group_size=4)
    put(url, out.getvalue())


@pytest.mark.parametrize("hub", [False, True], ids=["bytes", "struct"])
def test_images_in_parquet_are_read_across_row_groups_in_any_order(hub, tmp_path):
    for url in ("memory://remote/faces.parquet", str(tmp_path / "faces.parquet")):
        parquet(url, hub=hub)
        assert holds_images(url)
        source = read_parquet_images(url)
        assert source.keys == KEYS
        for place in (5, 0, 3, 4):
            assert source.read(place) == IMAGES[place]
        assert narrow(source, range(3, 6)).read(2) == IMAGES[5]
        ((_, found),) = find_faces([url])
        assert found.keys == KEYS


def test_parquet_without_images_or_with_equal_keys_is_refused(tmp_path):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"path": ["a"], "identity": ["b"]}), path)
    assert not holds_images(str(path))
    with pytest.raises(UserError, match="no image in it"):
        read_parquet_images(str(path))
    pq.write_table(pa.table({"key": ["a", "a"], "image": IMAGES[:2]}), path)
    with pytest.raises(UserError, match="two image entries are named 'a'"):
        read_parquet_images(str(path))
    path.write_bytes(b"PAR1 and no more")
    assert not holds_images(str(path))


def test_a_part_of_a_record_file_reads_its_own_records(tmp_path):
    path = tmp_path / "train.rec"
    write_records(path, [(0, IMAGES[0]), (0, IMAGES[1]), (1, IMAGES[2]), (1, IMAGES[3])], "classic")
    source = read_records(path)
    few = narrow(source, range(1, 3))
    assert few.keys == source.keys[1:3]
    assert [few.read(place) for place in range(2)] == IMAGES[1:3]
    assert len(few.read_bytes.file) == 2
    assert few.read_bytes.stamp(0) == source.read_bytes.read.stamp(1) != b""
