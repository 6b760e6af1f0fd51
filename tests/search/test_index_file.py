"""The file of an index: read as it was written, or refused; never another id (reliability goal G32)."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import numpy as np
import pytest

from mutation import mutate, refused
from search.made import faces
from urface.search import ExactIndex, LikelihoodIndex, index_path, open_index
from urface.types import UserError

KEY = bytes(range(32))


@pytest.fixture(params=[None, KEY], ids=["plain", "encrypted"])
def key(request):
    return request.param


def saved(folder: Path, key: bytes | None, count: int = 40, url: str = "faiss:") -> Path:
    index = open_index(url, folder, key=key, fresh=True)
    index.add(np.arange(count) * 3, faces(np.arange(count), 1))
    index.stamp = "state 17"
    index.save(index_path(folder))
    return index_path(folder)


@pytest.mark.parametrize("url", ["faiss:", "faiss-flat:", "exact:"])
@pytest.mark.parametrize("count", [0, 1, 9000])  # of 9,000 some blocks and chunks
def test_what_was_saved_is_there_again(tmp_path, key, url, count):
    path = saved(tmp_path, key, count, url)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    index = open_index(url, tmp_path, key=key)
    assert index.stamp == "state 17"
    gallery = faces(np.arange(count), 1)
    np.testing.assert_array_equal(index.ids(), np.arange(count) * 3)
    if count:
        mean, variance = index.stored(np.arange(count) * 3)
        np.testing.assert_array_equal(mean, gallery.mean)
        np.testing.assert_array_equal(variance, gallery.variance)
        few = gallery[:: max(1, count // 50)]
        np.testing.assert_array_equal(
            index.search(few, 1)[0][:, 0], np.arange(count)[:: max(1, count // 50)] * 3
        )


def test_a_damaged_file_is_refused_whatever_the_damage(tmp_path, key):
    whole = saved(tmp_path, key).read_bytes()
    spoilt = tmp_path / "spoilt"

    def read(data: bytes) -> None:
        spoilt.write_bytes(data)
        index = LikelihoodIndex(key)
        index.load(spoilt)
        assert data == whole  # nothing that differs is taken

    errors, slowest = refused(400, 3, [whole], read)
    assert errors >= 390
    assert slowest < 2.0


def test_the_harness_sees_wrong_ids_in_a_file_without_a_check(tmp_path):
    """Control: ids and vectors as bare bytes, read as they come."""
    gallery = faces(np.arange(40), 1)
    whole = np.arange(40, dtype="<i8").tobytes() + gallery.mean.tobytes()
    random = np.random.default_rng(3)
    wrong = 0
    for _ in range(400):
        data = mutate(whole, random)
        if len(data) == len(whole):
            ids = np.frombuffer(data[:320], "<i8")
            mean = np.frombuffer(data[320:], "<f4").reshape(40, -1)
            with np.errstate(all="ignore"):
                found = ids[np.nan_to_num(gallery.mean.reshape(40, -1) @ mean.T).argmax(1)]
            wrong += int((found != np.arange(40)).sum())
    assert wrong > 0


def test_every_vector_of_a_rebuilt_index_finds_itself(tmp_path):
    path = saved(tmp_path, KEY, 300)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(UserError, match=r"cut short .*; build the index anew"):
        open_index("faiss:", tmp_path, key=KEY)
    path.unlink()  # a missing file is an empty index
    index = open_index("faiss:", tmp_path, key=KEY)
    assert len(index) == 0
    index.add(np.arange(300), faces(np.arange(300), 1))
    assert (index.search(faces(np.arange(300), 1), 1)[0][:, 0] == np.arange(300)).all()


def test_an_encrypted_file_shows_no_number_of_a_template(tmp_path):
    gallery = faces(np.arange(40), 1)
    plain = saved(tmp_path, None).read_bytes()
    closed = saved(tmp_path, KEY).read_bytes()
    for face in range(40):
        piece = gallery.mean[face, 0, :4].tobytes()
        assert piece in plain
        assert piece not in closed


def test_another_key_no_key_or_a_key_too_many_is_refused(tmp_path):
    saved(tmp_path, KEY)
    with pytest.raises(UserError, match="another key"):
        open_index("faiss:", tmp_path, key=bytes(32))
    with pytest.raises(UserError, match="no key was given"):
        open_index("faiss:", tmp_path)
    with pytest.raises(UserError, match="32 bytes, not 5"):
        open_index("faiss:", tmp_path, key=b"short")
    saved(tmp_path, None)
    with pytest.raises(UserError, match="not encrypted"):
        open_index("faiss:", tmp_path, key=KEY)
    with pytest.raises(UserError, match="kind 'compact', not 'exact'"):
        open_index("exact:", tmp_path)


def test_a_chunk_of_another_file_of_the_same_key_is_refused(tmp_path):
    first = saved(tmp_path / "a", KEY).read_bytes()
    second = saved(tmp_path / "b", KEY).read_bytes()
    length = 12 + int.from_bytes(first[8:12], "little")
    assert len(first) == len(second)
    index_path(tmp_path / "a").write_bytes(first[:length] + second[length:])
    with pytest.raises(UserError, match="damaged, or encrypted with another key"):
        open_index("faiss:", tmp_path / "a", key=KEY)


def test_a_header_that_promises_the_moon_is_refused_before_memory_is_taken(tmp_path):
    path = saved(tmp_path, None)
    data = path.read_bytes()
    length = int.from_bytes(data[8:12], "little")
    for changes in ({"count": 1 << 27}, {"count": 1 << 60}, {"K": 1 << 20}, {"spread": 3}):
        header = json.dumps(json.loads(data[12 : 12 + length]) | changes).encode()
        path.write_bytes(
            data[:8] + len(header).to_bytes(4, "little") + header + data[12 + length :]
        )
        with pytest.raises(UserError, match="build the index anew"):
            open_index("faiss:", tmp_path)


def test_a_file_whose_checksum_someone_made_for_it_still_holds_no_faceless_template(tmp_path):
    index = ExactIndex()
    index.add(np.arange(5), faces(np.arange(5), 1))
    index.rows.mean.parts[0][3] = np.nan
    index.save(tmp_path / "x")
    with pytest.raises(UserError, match="templates without an embedding"):
        ExactIndex().load(tmp_path / "x")


@pytest.mark.parametrize(
    "url", ["", "faiss", "faiss-ivf:", "http://x", "milvus:/x", "milvus+ftp://x"]
)
def test_a_url_that_is_no_index_is_refused_with_those_that_are(tmp_path, url):
    with pytest.raises(UserError, match=r"milvus"):
        open_index(url, tmp_path)
