"""Claims about a whole stream: the same for any workers, ranks, store and resumption; corrupt images."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from urface.config import VariationSettings
from urface.data.decode import decode_image
from urface.data.frames import Frames
from urface.data.loader import batches
from urface.data.open import open_faces
from urface.data.sampler import EpochSampler
from urface.data.source import FaceSource, select
from urface.data.storage import blocks_of
from urface.types import FaceBatch, UserError

from .shards_in_a_store import SIDE, CountedReads, put, shards

SHARDS, IN_A_SHARD, PEOPLE, BATCH = 3, 100, 12, 24
COUNT = SHARDS * IN_A_SHARD
SETTINGS = VariationSettings(0.5, (3, 5), occlusion=0.5)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    # Blocks of 256 images would hold these small sets whole.
    monkeypatch.setattr("urface.data.storage.BLOCK", 10)


def sampler(source: FaceSource, window: int) -> EpochSampler:
    return EpochSampler(
        len(source), BATCH, 3, blocks_of(source.read_bytes, len(source)) if window else None, window
    )


def stream(
    source: FaceSource,
    steps: range,
    workers: int,
    rank: int = 0,
    ranks: int = 1,
    window: int = 40,
    share: float = 0.05,
) -> Iterator[FaceBatch]:
    frames = Frames(source, SIDE, share, 0.0, progress=False)
    part = slice(rank * BATCH // ranks, (rank + 1) * BATCH // ranks)
    draw = sampler(source, window).draw
    return batches(frames, draw, steps, SETTINGS, SIDE, 3, part, workers)


def assert_same(a: FaceBatch, b: FaceBatch) -> None:
    for name in ("images", "labels", "variations", "index"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))


def folder_of(tmp_path: Path, tars: list[bytes]) -> str:
    for number, data in enumerate(tars):
        (tmp_path / f"faces-{number:03d}.tar").write_bytes(data)
    return str(tmp_path / f"faces-{{000..{len(tars) - 1:03d}}}.tar")


@pytest.mark.parametrize("window", [0, 40])
def test_every_number_of_ranks_and_workers_sees_the_same_global_batches_bit_for_bit(
    window: int,
) -> None:
    url = put(f"ranks{window}", shards(SHARDS, IN_A_SHARD, PEOPLE, corrupt=frozenset({7, 130})))
    source = open_faces(url, window=window)
    steps = range(9, 16)  # across the end of an epoch
    whole = list(stream(source, steps, 0, window=window))
    for ranks, workers in ((1, 1), (1, 3), (2, 2), (4, 0), (4, 3)):
        shares = [list(stream(source, steps, workers, r, ranks, window)) for r in range(ranks)]
        for step, expected in enumerate(whole):
            got = [share[step] for share in shares]
            names = ("images", "labels", "variations", "index")
            joined = FaceBatch(*(np.concatenate([getattr(g, n) for g in got]) for n in names))
            assert_same(expected, joined)


def naive(source: FaceSource, steps: range, workers: int) -> list[list[int]]:
    """What goes without saying in many loaders: one generator for all, corrupt images left out."""
    generators = [random.Random(w) for w in range(max(1, workers))]
    found = []
    for step in steps:
        mine: list[int] = []
        while len(mine) < BATCH:
            place = generators[step % len(generators)].randrange(len(source))
            try:
                source.image(place)
            except UserError:
                continue
            mine.append(place)
        found.append(mine)
    return found


def test_control_a_loader_with_state_changes_with_workers_resumption_and_damage() -> None:
    good = open_faces(put("control", shards(SHARDS, IN_A_SHARD, PEOPLE)))
    bad = open_faces(
        put("damaged", shards(SHARDS, IN_A_SHARD, PEOPLE, corrupt=frozenset(range(9))))
    )
    assert naive(good, range(6), 1) != naive(good, range(6), 2)
    assert naive(good, range(6), 1)[3:] != naive(good, range(3, 6), 1)
    assert naive(good, range(6), 1) != naive(bad, range(6), 1)


@pytest.mark.parametrize("window", [0, 40])
def test_a_run_resumed_anywhere_goes_on_with_the_same_batches_and_reads_no_earlier_image(
    window: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = open_faces(put(f"resume{window}", shards(SHARDS, IN_A_SHARD, PEOPLE)), window=window)
    whole = list(stream(source, range(30), 2, window=window))
    counted = CountedReads(monkeypatch)
    for first in np.random.default_rng(0).choice(28, 5, replace=False).tolist():
        fresh = open_faces(
            f"memory://resume{window}/faces-{{000..{SHARDS - 1:03d}}}.tar", window=window
        )
        counted.reset()
        tail = list(stream(fresh, range(first, first + 2), 1, window=window))
        for a, b in zip(whole[first:], tail, strict=False):
            assert_same(a, b)
        if not window:
            assert counted.requests <= 2 * BATCH  # an image each, none of the steps before


@pytest.mark.parametrize("kind", ["cls", "json", "folders"])
def test_a_store_a_file_url_and_local_shards_are_one_and_the_same_set(
    kind: str, tmp_path: Path
) -> None:
    tars = shards(SHARDS, IN_A_SHARD, PEOPLE, kind)
    local = open_faces(folder_of(tmp_path, tars))
    remote = open_faces(put(f"same-{kind}", tars), window=40)
    through = open_faces("file://" + folder_of(tmp_path, tars))
    for other in (remote, through):
        assert other.keys == local.keys
        assert other.identities == local.identities
        np.testing.assert_array_equal(other.labels, local.labels)
        assert [other.read(i) for i in range(0, COUNT, 7)] == [
            local.read(i) for i in range(0, COUNT, 7)
        ]
        for a, b in zip(stream(local, range(3), 1), stream(other, range(3), 2), strict=True):
            assert_same(a, b)


def test_a_window_reads_blocks_where_a_wholly_random_order_reads_images(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url = put("blocks", shards(SHARDS, IN_A_SHARD, PEOPLE))
    source = open_faces(url, window=40)
    counted = CountedReads(monkeypatch)
    steps = range(COUNT // BATCH)
    list(stream(source, steps, 2, window=40))
    assert counted.requests <= COUNT // 10 + 1  # each of 30 blocks once
    one_rank = counted.bytes
    counted.reset()
    list(stream(open_faces(url), steps, 2, window=0))
    assert counted.requests >= len(steps) * BATCH
    counted.reset()
    for rank in range(4):
        list(stream(open_faces(url, window=40), steps, 1, rank, 4, window=40))
    # With batches in random order all four ranks would read all blocks.
    assert counted.bytes < 3 * one_rank


# --- corrupt images (G11) ---


def test_one_percent_corrupt_is_stepped_over_logged_and_counted_in_an_unchanged_order(
    tmp_path: Path,
) -> None:
    poisoned = frozenset({5, 111, 299})
    tars = [
        shards(SHARDS, IN_A_SHARD, PEOPLE, corrupt=frozenset()),
        shards(SHARDS, IN_A_SHARD, PEOPLE, corrupt=poisoned),
    ]
    for name in ("good", "bad"):
        (tmp_path / name).mkdir()
    good = open_faces(folder_of(tmp_path / "good", tars[0]))
    bad = open_faces(folder_of(tmp_path / "bad", tars[1]))
    runs = []
    for source in (good, bad):
        log = tmp_path / f"{len(runs)}.jsonl"
        frames = Frames(source, SIDE, 0.02, 0.0, progress=False, corrupt_log=log)
        draw = sampler(source, 0).draw
        runs.append(list(batches(frames, draw, range(24), SETTINGS, SIDE, 3, workers=2)))
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert len(lines) == len(frames.corrupt) == 3
    broken = {line["image"] for line in lines}
    for line in lines:
        assert line["file"].endswith(".tar")
        assert line["byte"] % 512 == 0
        assert "truncated JPEG" in line["reason"]
    changed = 0
    for a, b in zip(*runs, strict=True):
        for row, (wanted, got) in enumerate(zip(a.index.tolist(), b.index.tolist(), strict=True)):
            if good.keys[wanted] in broken:
                changed += 1
                following = (wanted + 1) % COUNT
                assert got == following
            else:
                assert got == wanted
                np.testing.assert_array_equal(a.images[row], b.images[row])
    assert changed >= 3


def test_control_without_that_the_first_corrupt_image_ends_the_run() -> None:
    tars = shards(SHARDS, IN_A_SHARD, PEOPLE, corrupt=frozenset({5}))
    source = open_faces(put("dies", tars))
    with pytest.raises(UserError, match="truncated JPEG"):
        list(map(decode_image, map(source.read, range(COUNT))))


@pytest.mark.parametrize("workers", [0, 2])
def test_more_than_the_share_stops_the_run_with_a_name(workers: int) -> None:
    tars = shards(SHARDS, IN_A_SHARD, PEOPLE, corrupt=frozenset(range(0, COUNT, 20)))
    source = open_faces(put("many", tars), window=40)
    with pytest.raises(UserError, match=r"images of .* cannot be decoded.*data\.corrupt_share"):
        list(stream(source, range(24), workers, share=0.01))


def test_a_shard_of_which_nothing_can_be_read_stops_the_run_whatever_the_share() -> None:
    whole = frozenset(range(IN_A_SHARD, 2 * IN_A_SHARD))
    source = open_faces(put("gone", shards(SHARDS, IN_A_SHARD, PEOPLE, corrupt=whole)), window=40)
    with pytest.raises(UserError, match=r"faces-001\.tar: none of the images tried"):
        list(stream(source, range(24), 2, share=0.9))
    half = frozenset(range(IN_A_SHARD, IN_A_SHARD + 50))
    source = open_faces(put("half", shards(SHARDS, IN_A_SHARD, PEOPLE, corrupt=half)), window=40)
    assert len(list(stream(source, range(24), 2, share=0.9))) == 24


def test_a_selection_keeps_its_blocks_and_its_order_is_a_function_of_the_step() -> None:
    source = open_faces(put("selected", shards(SHARDS, IN_A_SHARD, PEOPLE)), window=40)
    chosen = select(source, np.flatnonzero(source.labels > 3))
    blocks = blocks_of(chosen.read_bytes, len(chosen))
    assert len(blocks) == len(chosen)
    assert len(np.unique(blocks)) == blocks.max() + 1 == COUNT // 10
    one, other = sampler(chosen, 40), sampler(chosen, 40)
    there = [one.draw(step).index for step in range(20)]
    for step in reversed(range(20)):
        np.testing.assert_array_equal(other.draw(step).index, there[step])


SLOW_STORE = """
import sys, time
import fsspec
from data.test_streaming import IN_A_SHARD, PEOPLE, SHARDS, put, shards, stream
from urface.data.open import open_faces

source = open_faces(put("slow", shards(SHARDS, IN_A_SHARD, PEOPLE)))
store = type(fsspec.filesystem("memory"))
right, reads = store.cat_file, 0
def cat_file(*given, **more):
    global reads
    reads += 1
    if reads > 60:
        time.sleep(60)
    return right(*given, **more)
store.cat_file = cat_file
def run():
    for batch in stream(source, range(60), int(sys.argv[1]), window=0):
        time.sleep(0.5)
        print("leaving", flush=True)
        sys.exit(143)
run()
"""


@pytest.mark.parametrize("workers", [0, 2])
def test_a_run_ends_at_once_while_the_store_does_not_answer(workers: int) -> None:
    """A signal has 30 seconds in all; a pool of threads that is joined takes this minute and more."""
    search = os.pathsep.join([str(Path(__file__).parents[1]), *filter(None, sys.path)])
    start = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", SLOW_STORE, str(workers)],
        env=os.environ | {"PYTHONPATH": search},
        capture_output=True,
        text=True,
        timeout=40,
        check=False,
    )
    assert (done.returncode, done.stdout) == (143, "leaving\n"), done.stderr
    assert time.monotonic() - start < 25


def test_what_was_asked_for_ahead_is_dropped_at_the_end_and_may_be_asked_for_again() -> None:
    source = open_faces(put("again", shards(SHARDS, IN_A_SHARD, PEOPLE)))
    expected = [source.read(place) for place in range(20)]
    before = set(threading.enumerate())
    first = list(stream(source, range(3), 2, window=0))
    loader = stream(source, range(30), 2, window=0)
    next(loader)
    loader.close()  # type: ignore[attr-defined]
    assert [source.read(place) for place in range(20)] == expected
    for a, b in zip(first, stream(source, range(3), 2, window=0), strict=True):
        assert_same(a, b)
    time.sleep(0.1)
    assert set(threading.enumerate()) <= before
