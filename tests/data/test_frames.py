"""Claims about decoded frames: size, corrupt images, cache, threads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from urface.data.decode import encode_png
from urface.data.frames import Frames
from urface.data.source import FaceSource, build_source
from urface.types import UserError


def source(corrupt: set[int], total: int = 10, size: int = 8) -> FaceSource:
    """Image i is of level 10 i throughout; those in ``corrupt`` lack their end."""
    keys = [f"p{i // 2}/{i}.png" for i in range(total)]

    def read(index: int) -> bytes:
        data = encode_png(np.full((size, size, 3), 10 * index, np.uint8))
        return data[:-9] if index in corrupt else data

    return build_source("made up", keys, [key[:2] for key in keys], read)


@pytest.mark.parametrize("cache", [0.0, 1.0])
def test_a_corrupt_image_is_named_and_the_next_good_one_takes_its_place(cache: float) -> None:
    frames = Frames(source({3, 4, 9}), 6, 0.5, cache, progress=False)
    got = [frames.get(index) for index in range(10)]
    assert [place for _, place in got] == [0, 1, 2, 5, 5, 5, 6, 7, 8, 0]
    for frame, place in got:
        assert frame.shape == (6, 6, 3)
        assert (frame == 10 * place).all()
    assert set(frames.corrupt) == {"p1/3.png", "p2/4.png", "p4/9.png"}
    assert all("truncated PNG" in reason for reason in frames.corrupt.values())


@pytest.mark.parametrize("cache", [0.0, 1.0])
def test_the_replacement_does_not_depend_on_what_was_read_before(cache: float) -> None:
    expected = [Frames(source({3, 4, 9}), 8, 0.5, 0.0, progress=False).get(i)[1] for i in range(10)]
    frames = Frames(source({3, 4, 9}), 8, 0.5, cache, progress=False)
    order = np.random.default_rng(0).permutation(30) % 10
    for index in order.tolist():
        assert frames.get(index)[1] == expected[index]


@pytest.mark.parametrize("cache", [0.0, 1.0])
def test_more_than_the_share_stops_with_the_name_of_one(cache: float) -> None:
    def read_all() -> None:
        frames = Frames(source({3, 4, 9}), 8, 0.2, cache, progress=False)
        for index in range(10):
            frames.get(index)

    with pytest.raises(UserError, match=r"3 of 10 images of made up.*20\.00%.*p\d/\d\.png"):
        read_all()


@pytest.mark.parametrize("cache", [0.0, 1.0])
def test_a_share_of_zero_forgives_none_and_a_tiny_one_forgives_one(cache: float) -> None:
    with pytest.raises(UserError, match=r"1 of 10 images.*p0/1\.png"):
        Frames(source({1}), 8, 0.0, cache, progress=False).get(1)
    assert Frames(source({1}), 8, 1e-6, cache, progress=False).get(1)[1] == 2


@pytest.mark.parametrize("cache", [0.0, 1.0])
def test_a_set_without_one_good_image_says_so(cache: float) -> None:
    with pytest.raises(UserError, match=r"no image of made up|2 of 2 images"):
        Frames(source({0, 1}, total=2), 8, 0.99, cache, progress=False).get(0)


def test_a_cache_too_small_for_all_frames_is_not_made() -> None:
    reads = []
    base = source(set())

    def read(index: int) -> bytes:
        reads.append(index)
        return base.read(index)

    counted = build_source("counted", base.keys, ["p"] * 10, read)
    Frames(counted, 8, 0.0, cache_gigabytes=10 * 8 * 8 * 3 / 1e9 - 1e-9, progress=False)
    assert not reads
    cached = Frames(counted, 8, 0.0, cache_gigabytes=10 * 8 * 8 * 3 / 1e9 + 1e-9, progress=False)
    assert sorted(reads) == list(range(10))
    cached.get(3)
    assert len(reads) == 10


def test_threads_see_the_same_frames_and_count_a_corrupt_image_once() -> None:
    frames = Frames(source({3, 4, 9}), 8, 0.3, 0.0, progress=False)
    with ThreadPoolExecutor(4) as pool:
        places = list(pool.map(lambda i: frames.get(i % 10)[1], range(80)))
    assert places == [0, 1, 2, 5, 5, 5, 6, 7, 8, 0] * 8
    assert len(frames.corrupt) == 3


def test_what_an_earlier_life_met_is_counted_and_not_written_again(tmp_path: Path) -> None:
    log = tmp_path / "corrupt.jsonl"
    faces = source({1, 3, 5})
    first = Frames(faces, 8, 0.25, progress=False, corrupt_log=log)
    first.get(1)
    with open(log, "a") as file:
        file.write('{"image": "p1/')  # a kill
    again = Frames(faces, 8, 0.25, progress=False, corrupt_log=log)
    again.restore_corrupt({**first.join_corrupt(), "of another set": "?"})
    assert set(again.join_corrupt()) == {"p0/1.png"}
    assert again.get(1)[1] == 2
    assert again.get(3)[1] == 4
    with pytest.raises(UserError, match=r"3 of 10 images"):
        again.get(5)
    # The control, a life that forgets, does not stop; it too writes none again.
    assert Frames(faces, 8, 0.25, progress=False, corrupt_log=log).get(5)[1] == 6
    assert [log.read_text().count(f'/{n}.png"') for n in (1, 3, 5)] == [1, 1, 1]
