"""Claims about features: cached, resumable, keyed by model and data, with failures by name."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.made_up import SIDE, Fake, OnDisk, all_pairs, benchmark, faces, image_set
from urface.benchmarks import embed as embed_module
from urface.benchmarks import feature_cache
from urface.benchmarks.benchmark import Benchmark, ImageSet
from urface.benchmarks.embed import NOT_ON_DISK, embed_images
from urface.benchmarks.embedded import Embedded
from urface.benchmarks.evaluate import Options, evaluate
from urface.benchmarks.face_crops import Warped
from urface.benchmarks.feature_cache import cache_key, load_shard
from urface.data.decode import encode_png
from urface.recognisers.recogniser import Preprocessing
from urface.recognisers.usable import NO_DIRECTION, NO_VARIANCE, NOT_FINITE
from urface.types import UserError

COUNT = 43


@pytest.fixture(autouse=True)
def small_shards(monkeypatch):
    for module in (embed_module, feature_cache):
        monkeypatch.setattr(module, "SHARD", 8)


def embed(source: Benchmark, model: Fake, cache: Path | None = None, **options: object) -> Embedded:
    return embed_images(source, model, cache=cache, batch_size=3, progress=False, **options)


def vectors(embedded: Embedded) -> np.ndarray:
    return np.concatenate([block.features.vectors for block in embedded.blocks()])


def expected(model: Fake, pixels: np.ndarray) -> np.ndarray:
    return model.features(list(pixels), [str(i) for i in range(len(pixels))]).vectors


def test_features_stand_in_the_order_of_the_images_and_failures_are_named(tmp_path):
    source = benchmark(COUNT, damaged=(2, 40))
    for cache in (None, tmp_path):
        found = embed(source, Fake(), cache)
        assert found.failures == {2: "2.jpg: truncated", 40: "40.jpg: truncated"}
        assert np.flatnonzero(~found.ok).tolist() == [2, 40]
        got, plain = vectors(found), expected(Fake(), faces(COUNT))
        np.testing.assert_allclose(got[found.ok], plain[found.ok], rtol=1e-5)
        assert not got[[2, 40]].any()


def test_a_second_run_reads_the_cache_and_gives_the_same_result(tmp_path):
    task = all_pairs(np.arange(40) % 8, ("accuracy", "tar@0.1"))
    source = benchmark(pairs=(task,), damaged=(5,))
    first, again, bare = Fake(), Fake(), Fake()
    one = evaluate(source, first, cache=tmp_path, progress=False)
    two = evaluate(source, again, cache=tmp_path, progress=False)
    without = evaluate(source, bare, progress=False)
    assert (first.seen, again.seen, bare.seen) == (39, 0, 39)
    assert one == two == without


def test_a_killed_run_goes_on_from_its_last_shard(tmp_path):
    source = benchmark(COUNT)
    dying = Fake()
    dying.dies_at = 27  # in the fourth shard of eight
    with pytest.raises(KeyboardInterrupt):
        embed(source, dying, tmp_path)
    resumed = Fake()
    found = embed(source, resumed, tmp_path)
    assert resumed.seen == COUNT - 24
    np.testing.assert_array_equal(vectors(found), vectors(embed(source, Fake())))
    assert found.data == embed(source, Fake()).data
    assert not list(tmp_path.rglob("*.tmp*"))


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from benchmarks.made_up import Fake, benchmark
from urface.benchmarks import embed, feature_cache
embed.SHARD = feature_cache.SHARD = 8

class Dies(Fake):
    def features(self, images, keys):
        if self.seen >= 20:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().features(images, keys)

embed.embed_images(benchmark(43), Dies(), cache=Path(sys.argv[2]), batch_size=3, progress=False)
"""


def test_a_run_killed_outright_leaves_whole_shards_alone(tmp_path):
    tests = str(Path(__file__).resolve().parents[1])
    done = subprocess.run([sys.executable, "-c", KILLED, tests, str(tmp_path)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert len(list(tmp_path.rglob("shard_*.safetensors"))) == 2
    resumed = Fake()
    found = embed(benchmark(COUNT), resumed, tmp_path)
    assert resumed.seen == COUNT - 16
    np.testing.assert_array_equal(vectors(found), vectors(embed(benchmark(COUNT), Fake())))


@pytest.mark.parametrize("damage", [b"", b"{}", None])
def test_a_damaged_shard_is_made_anew(damage, tmp_path):
    source = benchmark(COUNT)
    whole = vectors(embed(source, Fake(), tmp_path))
    (shard,) = tmp_path.rglob("shard_000002.safetensors")
    shard.write_bytes(shard.read_bytes()[:-9] if damage is None else damage)
    model = Fake()
    np.testing.assert_array_equal(vectors(embed(source, model, tmp_path)), whole)
    assert model.seen == 8


def test_a_shard_of_another_size_is_no_shard_of_this_set(tmp_path):
    embed(benchmark(COUNT), Fake(), tmp_path)
    (shard,) = tmp_path.rglob("shard_000002.safetensors")
    assert load_shard(shard, 8) is not None
    assert load_shard(shard, 7) is None


def test_an_image_that_can_be_read_now_has_its_shard_made_anew(tmp_path, monkeypatch):
    monkeypatch.setattr(feature_cache, "SPOTS", 2)  # the damaged one is not among them
    embed(benchmark(COUNT, damaged=(10,)), Fake(), tmp_path)
    model = Fake()
    found = embed(benchmark(COUNT), model, tmp_path)
    assert model.seen == 8
    assert found.ok.all()
    np.testing.assert_array_equal(vectors(found), vectors(embed(benchmark(COUNT), Fake())))


class Corner(Warped):
    """Made-up faces are smaller than crops."""

    def __call__(self, place: int) -> np.ndarray:
        return super().__call__(place)[:SIDE, :SIDE]


def on_disk(folder: Path, pixels: np.ndarray) -> Benchmark:
    """The set with its images in files, read as benchmarks' readers do."""
    for place, image in enumerate(pixels):
        (folder / f"{place}.png").write_bytes(encode_png(image))
    names = [f"{place}.png" for place in range(len(pixels))]
    straight = np.repeat(np.eye(2, 3)[None], len(pixels), axis=0)
    reader = Corner(folder, names, straight)
    source = benchmark(len(pixels))
    return replace(source, images=ImageSet(names, reader, stamp=reader.stamp))


@pytest.fixture
def kept(tmp_path, monkeypatch) -> tuple[Benchmark, Path, Path]:
    """A set on disk whose features are in a cache of which no spot is an image that the tests change."""
    monkeypatch.setattr(feature_cache, "SPOTS", 2)
    (tmp_path / "images").mkdir()
    source = on_disk(tmp_path / "images", faces(COUNT))
    embed(source, Fake(), tmp_path / "cache")
    return source, tmp_path / "images", tmp_path / "cache"


@pytest.mark.parametrize("change", ["replaced", "removed", "aligned anew"])
def test_an_image_that_changed_after_it_was_embedded_is_embedded_anew(change, kept):
    source, folder, cache = kept
    if change == "replaced":
        (folder / "10.png").write_bytes(encode_png(faces(1, seed=5)[0]))
    elif change == "removed":
        (folder / "10.png").unlink()
    else:
        source.images.read.transforms[10, 0, 2] = 3.0
    model = Fake()
    found, fresh = embed(source, model, cache), embed(source, Fake())
    assert model.seen == (7 if change == "removed" else 8)
    assert found.data == fresh.data
    assert found.failures == fresh.failures
    np.testing.assert_array_equal(vectors(found), vectors(fresh))
    again = Fake()
    embed(source, again, cache)
    assert again.seen == 0


def test_a_file_that_was_only_touched_is_read_once_and_not_embedded(kept, monkeypatch):
    source, folder, cache = kept
    os.utime(folder / "10.png", ns=(1, 1))
    read: list[int] = []
    plain = embed_module._read
    monkeypatch.setattr(
        embed_module, "_read", lambda i, place: read.append(place) or plain(i, place)
    )
    model = Fake()
    for _ in range(2):
        embed(source, model, cache)
    assert (read, model.seen) == ([10], 0)


def test_the_key_changes_with_all_that_changes_a_feature():
    source = benchmark(COUNT)
    other = Fake()
    other.preprocessing = Preprocessing(colour="bgr")
    images = source.images
    renamed = replace(images, keys=["x.jpg", *images.keys[1:]])
    keys = [
        cache_key(Fake(), images, "none"),
        cache_key(Fake(), images, "sum"),
        cache_key(Fake(digest="c" * 64), images, "none"),
        cache_key(Fake(parts=2), images, "none"),
        cache_key(other, images, "none"),
        cache_key(Fake(), renamed, "none"),
        cache_key(Fake(), image_set(faces(COUNT, seed=1)), "none"),
        cache_key(Fake(), image_set(faces(COUNT)[:-1]), "none"),
        cache_key(Fake(), image_set(faces(COUNT), damaged=(0,)), "none"),
    ]
    assert len(set(keys)) == len(keys)
    assert cache_key(Fake(), benchmark(COUNT).images, "none") == keys[0]


def test_the_digest_of_the_data_changes_with_any_pixel_and_any_failure():
    changed = faces(COUNT)
    changed[17, 0, 0, 0] ^= 1
    sources = [
        benchmark(COUNT),
        replace(benchmark(COUNT), images=image_set(changed)),
        benchmark(COUNT, damaged=(17,)),
    ]
    assert len({embed(source, Fake()).data for source in sources}) == 3


def test_flip_adds_the_feature_of_the_mirrored_image_before_any_normalisation():
    model = Fake(2, 4, variance=True)
    found = embed(benchmark(COUNT), model, flip="sum")
    pixels = faces(COUNT)
    both = expected(model, pixels) + expected(model, pixels[:, :, ::-1])
    np.testing.assert_allclose(vectors(found), both, rtol=1e-5, atol=1e-5)
    names = [str(i) for i in range(COUNT)]
    spread = model.features(list(pixels), names).variance
    mirrored = model.features(list(pixels[:, :, ::-1]), names).variance
    got = np.concatenate([block.features.variance for block in found.blocks()])
    np.testing.assert_allclose(got, (spread + mirrored) / 2, rtol=1e-6)


def test_variances_survive_the_cache(tmp_path):
    model = Fake(2, 4, variance=True)
    for _ in range(2):
        found = embed(benchmark(COUNT, damaged=(1,)), model, tmp_path)
        got = np.concatenate([block.features.variance for block in found.blocks()])
        assert got.shape == (COUNT, 2)
        assert (got[found.ok] > 0).all()


def test_a_feature_of_length_zero_is_a_failure_and_no_score():
    model = Fake()
    model.weights[:] = 0
    task = all_pairs(np.arange(40) % 8, ("tar@0.1",))
    with pytest.raises(UserError, match="not one of its 40 images gave a feature"):
        evaluate(benchmark(pairs=(task,)), model, progress=False)
    found = embed(benchmark(COUNT), model)
    assert not found.ok.any()
    assert "no direction" in found.failures[0]


def test_features_on_disk_are_read_by_key_and_cannot_be_mirrored(tmp_path):
    source = benchmark(COUNT)
    made = np.random.default_rng(0).normal(size=(COUNT, 6)).astype(np.float32)
    order = np.random.default_rng(1).permutation(COUNT)
    model = OnDisk([source.images.keys[i] for i in order], made[order])
    np.testing.assert_array_equal(vectors(embed(source, model, tmp_path)), made)
    assert not list(tmp_path.iterdir())
    with pytest.raises(UserError, match="cannot be mirrored"):
        embed(source, model, flip="sum")


def test_what_features_on_disk_lack_is_counted_and_named():
    made = np.random.default_rng(0).normal(size=(40, 6)).astype(np.float32)
    made[11], made[12], made[13, 2] = 0, np.nan, np.inf
    task = all_pairs(np.arange(40) % 8, ("accuracy", "tar@0.1"))
    source = benchmark(pairs=(task,))
    model = OnDisk(source.images.keys[:39], made)
    found = embed(source, model)
    assert found.failures == {
        11: f"11.jpg: {NO_DIRECTION}",
        12: f"12.jpg: {NOT_ON_DISK}",
        13: f"13.jpg: {NOT_ON_DISK}",
        39: f"39.jpg: {NOT_ON_DISK}",
    }
    got = vectors(found)
    np.testing.assert_array_equal(got[found.ok], made[found.ok])
    assert not got[~found.ok].any()
    result = evaluate(source, model, progress=False)
    cell = result.cell("all", "accuracy")
    assert cell is not None
    lost = sum(bool({a, b} & {11, 12, 13, 39}) for a in range(40) for b in range(a))
    assert (cell.trials, cell.failures) == (len(task.left), lost)
    assert set(result.failures) == {"11.jpg", "12.jpg", "13.jpg", "39.jpg"}


def test_features_on_disk_without_any_of_the_keys_are_one_clear_error():
    source = benchmark(COUNT)
    model = OnDisk(["other/0.jpg"], np.ones((1, 6), np.float32))
    model.example_key = "other/0.jpg"  # type: ignore[attr-defined]
    with pytest.raises(UserError, match=r"like 0\.jpg; its keys look like other/0\.jpg"):
        embed(source, model)


def test_one_feature_of_a_network_that_is_not_finite_is_counted_and_not_tried_again(tmp_path):
    class Sick(Fake):
        def features(self, images, keys):
            found = super().features(images, keys)
            for row, key in enumerate(keys):
                if key == "7.jpg":
                    found.vectors[row, 1] = np.nan
                if key == "9.jpg":
                    found.variance[row, 0] = np.inf
            return found

    task = all_pairs(np.arange(40) % 8, ("tar@0.1",))
    source = benchmark(pairs=(task,))
    for flip in ("none", "sum"):
        first, again = Sick(2, 4, True), Sick(2, 4, True)
        found = embed(source, first, tmp_path, flip=flip)
        assert found.failures == {7: f"7.jpg: {NOT_FINITE}", 9: f"9.jpg: {NO_VARIANCE}"}
        assert np.isfinite(vectors(found)).all()
        embed(source, again, tmp_path, flip=flip)
        assert again.seen == 0
    result = evaluate(source, Sick(2, 4, True), Options("likelihood"), progress=False)
    cell = result.cell("all", "tar@0.1")
    assert cell is not None
    assert cell.failures == 2 * 4
    assert result.data["failed_images"] == 2


def test_a_set_of_which_no_image_can_be_read_is_one_clear_error():
    task = all_pairs(np.arange(40) % 8, ("tar@0.1",))
    source = benchmark(pairs=(task,), damaged=range(40))
    with pytest.raises(
        UserError, match=r"not one of its 40 images .* the first: 0\.jpg: truncated"
    ):
        evaluate(source, Fake(), progress=False)


def test_the_cache_says_whose_features_it_holds(tmp_path):
    embed(benchmark(COUNT), Fake(), tmp_path)
    (about,) = tmp_path.rglob("about.json")
    assert json.loads(about.read_text())["model"] == "fake"


def test_a_shard_of_failures_alone_is_no_obstacle(tmp_path):
    source = benchmark(COUNT, damaged=range(8, 16), pairs=())
    for cache in (None, tmp_path, tmp_path):
        found = embed(source, Fake(), cache)
        assert len(found.failures) == 8
        assert sum(len(block.features) for block in found.blocks()) == COUNT
