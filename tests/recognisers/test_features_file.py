"""Features of other programs are found by their keys, in every layout, and nothing else is taken for them."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from safetensors.numpy import save_file

from urface.data.opencv_mat import write_feature
from urface.recognisers import unpacked_size
from urface.recognisers.features_file import FeaturesFile, read_features
from urface.recognisers.open import open_recogniser
from urface.recognisers.recogniser import Features
from urface.recognisers.usable import (
    NO_DIRECTION,
    NO_VARIANCE,
    NOT_FINITE,
    refuse_unusable,
    unusable,
)
from urface.types import FaceEmbedding, UserError

KEYS = [f"p{n // 2}/{n}.jpg" for n in range(6)]
VECTORS = np.random.default_rng(0).normal(size=(6, 8)).astype(np.float32) * 5
VARIANCE = np.random.default_rng(1).uniform(0.1, 1.0, (6, 2)).astype(np.float32)


def in_safetensors(path: Path) -> None:
    save_file(
        {"features": VECTORS, "variance": VARIANCE}, path, metadata={"keys": json.dumps(KEYS)}
    )


def in_safetensors_with_a_tensor_of_keys(path: Path) -> None:
    keys = np.frombuffer(json.dumps(KEYS).encode(), np.uint8)
    save_file({"features": VECTORS, "variance": VARIANCE, "keys": keys}, path)


def in_npz(path: Path) -> None:
    np.savez(path, features=VECTORS, keys=np.array(KEYS), variance=VARIANCE)


def in_compressed_npz_of_bytes(path: Path) -> None:
    np.savez_compressed(
        path, features=np.asfortranarray(VECTORS), keys=np.array(KEYS, "S"), variance=VARIANCE
    )


def in_parquet(path: Path) -> None:
    table = pa.table(
        {
            "key": KEYS,
            "features": pa.FixedSizeListArray.from_arrays(pa.array(VECTORS.reshape(-1)), 8),
            "variance": pa.FixedSizeListArray.from_arrays(pa.array(VARIANCE.reshape(-1)), 2),
        }
    )
    pq.write_table(table, path)


LAYOUTS: list[tuple[Callable[[Path], None], str]] = [
    (in_safetensors, "safetensors"),
    (in_safetensors_with_a_tensor_of_keys, "safetensors"),
    (in_npz, "npz"),
    (in_compressed_npz_of_bytes, "npz"),
    (in_parquet, "parquet"),
]


@pytest.mark.parametrize(
    ("write", "ending"), LAYOUTS, ids=lambda value: getattr(value, "__name__", "")
)
def test_features_come_by_key_in_any_order_and_layout(
    write: Any, ending: str, tmp_path: Path
) -> None:
    path = tmp_path / f"theirs.{ending}"
    write(path)
    recogniser = open_recogniser(path, parts=2)
    assert not recogniser.needs_images
    assert recogniser.preprocessing is None
    assert recogniser.has_variance
    order = [4, 0, 4, 2]
    found = recogniser.features([], [KEYS[n] for n in order])
    assert found.parts == recogniser.parts == 2
    assert np.array_equal(found.vectors, VECTORS[order])
    assert found.variance is not None
    assert np.array_equal(found.variance, VARIANCE[order])
    assert recogniser.example_key == "p0/0.jpg"  # type: ignore[attr-defined]


def test_a_key_that_is_not_there_is_a_row_of_nan_and_no_error(tmp_path: Path) -> None:
    in_npz(tmp_path / "f.npz")
    found = open_recogniser(tmp_path / "f.npz", parts=2).features([], [KEYS[0], "who.jpg", KEYS[1]])
    assert np.array_equal(found.vectors[[0, 2]], VECTORS[:2])
    assert np.isnan(found.vectors[1]).all()
    assert unusable(found) == {1: NOT_FINITE}
    with pytest.raises(UserError, match=r"who\.jpg: the model gives no finite feature"):
        refuse_unusable(found, [KEYS[0], "who.jpg", KEYS[1]])


def test_a_folder_of_opencv_matrices_is_features_by_key(tmp_path: Path) -> None:
    keys = ["facescrub/p/p_1.jpg", "facescrub/p/p_2.png", "megaface/1/2@N00/3.jpg"]
    files = ["facescrub/p/p_1_net.bin", "facescrub/p/p_2.png_net.bin", f"{keys[2]}_net.bin"]
    for file, vector in zip(files, VECTORS, strict=False):
        write_feature(tmp_path / "theirs" / file, vector)
    recogniser = open_recogniser(tmp_path / "theirs", parts=2)
    assert (recogniser.name, recogniser.needs_images, recogniser.parts) == ("theirs", False, 2)
    assert not recogniser.has_variance
    found = recogniser.features([], [keys[2], "gone.jpg", keys[0], keys[1]])
    assert np.array_equal(found.vectors[[2, 3, 0]], VECTORS[:3])
    assert unusable(found) == {1: NOT_FINITE}
    same = open_recogniser(tmp_path / "theirs", sha256=recogniser.digest)
    assert same.digest == recogniser.digest
    with pytest.raises(UserError, match="its SHA-256 is"):
        open_recogniser(tmp_path / "theirs", sha256="0" * 64)
    with pytest.raises(UserError, match="8 dimensions cannot be split into 3"):
        open_recogniser(tmp_path / "theirs", parts=3)
    with pytest.raises(UserError, match="features on disk, for which --architecture"):
        open_recogniser(tmp_path / "theirs", architecture="iresnet50")


def test_what_urface_embed_writes_is_a_features_file(tmp_path: Path) -> None:
    mean = VECTORS.reshape(6, 2, 4)
    mean = mean / np.linalg.norm(mean, axis=2, keepdims=True)
    faces = FaceEmbedding(mean, 1 / VARIANCE, VARIANCE)
    faces.save(tmp_path / "e.safetensors", KEYS)
    found = open_recogniser(tmp_path / "e.safetensors").features([], KEYS[2:4])
    assert found.parts == 2
    assert np.array_equal(found.vectors.reshape(2, 2, 4), mean[2:4])
    assert np.array_equal(found.variance, VARIANCE[2:4])
    assert np.array_equal(found.confidence, (1 / VARIANCE)[2:4])


def test_a_variance_of_each_dimension_is_kept(tmp_path: Path) -> None:
    each = np.random.default_rng(2).uniform(0.1, 1, (6, 8)).astype(np.float32)
    np.savez(tmp_path / "f.npz", features=VECTORS, keys=np.array(KEYS), variance=each)
    found = open_recogniser(tmp_path / "f.npz", parts=2).features([], KEYS[:2])
    assert np.array_equal(found.variance, each[:2].reshape(2, 2, 4))


def changed(**arrays: Any) -> Callable[[Path], None]:
    whole = {"features": VECTORS, "keys": np.array(KEYS)} | arrays
    given = {name: value for name, value in whole.items() if value is not None}
    return lambda path: np.savez(path, **given)


def npz_of(name: str, header: bytes, body: bytes = b"") -> Callable[[Path], None]:
    def write(path: Path) -> None:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(
                name, b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + body
            )
            keys = io.BytesIO()
            np.save(keys, np.array(KEYS))
            archive.writestr("keys.npy", keys.getvalue())

    return write


def table(**columns: Any) -> Callable[[Path], None]:
    return lambda path: pq.write_table(pa.table(columns), path)


NAN = VECTORS.copy()
NAN[3, 1] = np.nan
BROKEN: list[tuple[str, Callable[[Path], Any], str]] = [
    ("npz", changed(keys=None), "has the arrays features and keys"),
    ("npz", changed(features=None), "has the arrays features and keys"),
    ("npz", changed(keys=np.array(KEYS[:5])), "5 keys for 6 features"),
    ("npz", changed(keys=np.array(KEYS[:5] + KEYS[:1])), r"p0/0\.jpg is in it twice"),
    ("npz", changed(keys=np.array(KEYS, object)), "holds object, not floats or text; refused"),
    ("npz", changed(features=VECTORS.astype(object)), "holds object"),
    ("npz", changed(features=VECTORS.astype(int)), "holds int64"),
    ("npz", changed(features=VECTORS[0]), "6 keys|must be floats"),
    ("npz", changed(variance=-VARIANCE[:, :1]), "variance is not finite or not above 0"),
    ("npz", changed(variance=VARIANCE[:, :1].repeat(3, 1)), "variance must be floats"),
    ("npz", npz_of("features.npy", b"{'descr': '<f4', 'shape': (99999999999, 8)}"), "not as long as"),
    ("npz", npz_of("features.npy", b"{'descr': '<f4', 'shape': (-1, 8)}"), "not as long as"),
    ("npz", npz_of("features.npy", b"__import__('os').getcwd()"), "has no header that we read"),
    ("npz", npz_of("features.npy", b"(" * 5000), "has no header that we read"),
    ("npz", lambda path: path.write_bytes(b"PK\x03\x04" + bytes(50)), "not a readable npz"),
    ("parquet", table(features=[[1.0, 2.0]]), "has a column key of text"),
    ("parquet", table(key=["a"], features=[[1.0, 2.0]]), "lists of a fixed length"),
    ("parquet", lambda path: path.write_bytes(b"PAR1" + bytes(50)), "not a readable Parquet"),
    ("safetensors", lambda path: save_file({"features": VECTORS}, path), "and keys in its header"),
    (
        "safetensors",
        lambda path: save_file({"features": VECTORS}, path, metadata={"keys": "[" * 99999}),
        "not a JSON list of texts",
    ),
    (
        "safetensors",
        lambda path: save_file({"features": VECTORS}, path, metadata={"keys": "[1, 2]"}),
        "not a JSON list of texts",
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("ending", "write", "words"), BROKEN, ids=[str(n) for n in range(len(BROKEN))]
)
def test_a_malformed_file_is_refused_in_one_line(
    ending: str, write: Callable[[Path], Any], words: str, tmp_path: Path
) -> None:
    path = tmp_path / f"f.{ending}"
    write(path)
    with pytest.raises(UserError, match=words) as caught:
        open_recogniser(path)
    assert "\n" not in str(caught.value)
    assert "f." in str(caught.value)


def compressed_zeros(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, values in (
            ("features", np.zeros((200, 8), np.float32)),
            ("keys", np.arange(200).astype(str)),
        ):
            data = io.BytesIO()
            np.save(data, values)
            archive.writestr(f"{name}.npy", data.getvalue())


def lists_of(rows: int, length: int) -> pa.Array:
    return pa.FixedSizeListArray.from_arrays(pa.array(np.zeros(rows * length, np.float32)), length)


SMALL: list[tuple[str, Callable[[Path], Any]]] = [
    ("npz", compressed_zeros),
    ("parquet", table(key=[str(n) for n in range(200)], features=lists_of(200, 8))),
    ("parquet", table(key=["k" * 999] * 20, features=lists_of(20, 8))),
]


@pytest.mark.parametrize(("ending", "write"), SMALL, ids=["npz", "parquet", "long keys"])
def test_a_small_file_that_asks_for_much_memory_is_refused(
    ending: str, write: Callable[[Path], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In small: the file may hold what little it is told to, as one of a MB may not hold a GB."""
    path = tmp_path / f"f.{ending}"
    write(path)
    assert len(read_features(path).keys) in (20, 200)
    monkeypatch.setattr(unpacked_size, "ALWAYS_BYTES", 5000)
    monkeypatch.setattr(unpacked_size, "MOST_TIMES", 1)
    monkeypatch.setattr(np, "frombuffer", None)  # nothing of it was made
    with pytest.raises(UserError, match=r"would unpack to .* without compression"):
        read_features(path)


def test_a_file_may_unpack_to_a_multiple_of_its_size_and_no_more(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(bytes(1000))
    unpacked_size.check_unpacked(path, 1 << 28)
    with pytest.raises(UserError, match="268,435,457 bytes"):
        unpacked_size.check_unpacked(path, (1 << 28) + 1)
    path.write_bytes(bytes(10 << 20))
    unpacked_size.check_unpacked(path, 32 * (10 << 20))


def test_a_feature_that_is_not_finite_is_left_to_who_asks_for_it(tmp_path: Path) -> None:
    changed(features=NAN)(tmp_path / "f.npz")
    recogniser = open_recogniser(tmp_path / "f.npz")
    assert unusable(recogniser.features([], KEYS[:3])) == {}
    assert unusable(recogniser.features([], KEYS)) == {3: NOT_FINITE}


def test_what_stands_beside_a_feature_that_is_not_finite_does_not_matter(tmp_path: Path) -> None:
    variance = VARIANCE.copy()
    variance[3] = np.nan
    changed(features=NAN, variance=variance)(tmp_path / "f.npz")
    assert open_recogniser(tmp_path / "f.npz", parts=2).has_variance


def test_why_a_row_cannot_be_compared() -> None:
    vectors = np.ones((5, 4), np.float32)
    vectors[1, 3] = np.inf
    vectors[2, 2:] = 0  # the second part of two
    variance = np.ones((5, 2), np.float32)
    variance[3, 0], variance[4, 1] = np.nan, 0
    found = Features(vectors, 2, None, variance)
    assert unusable(found) == {1: NOT_FINITE, 2: NO_DIRECTION, 3: NO_VARIANCE, 4: NO_VARIANCE}
    assert unusable(Features(vectors, 1)) == {1: NOT_FINITE}


def test_mutated_files_end_in_typed_errors_or_features(tmp_path: Path) -> None:
    random, opened, refused = np.random.default_rng(5), 0, 0
    for write, ending in LAYOUTS:
        path = tmp_path / f"good.{ending}"
        write(path)
        good = path.read_bytes()
        for _ in range(60):
            data = bytearray(good)
            for place in random.integers(0, len(data), random.integers(1, 6)):
                data[place] = int(random.integers(0, 256))
            path.write_bytes(
                data[: random.integers(1, len(data) + 1)] if random.random() < 0.3 else data
            )
            try:
                FeaturesFile(path, "f", 2)
                opened += 1
            except UserError as error:
                assert "\n" not in str(error)  # noqa: PT017
                refused += 1
    assert opened > 0
    assert refused > 100
