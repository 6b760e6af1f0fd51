"""FaceEmbedding: what it refuses, how it is cut, joined, converted, written and read."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from urface.scoring import fuse
from urface.types import FaceEmbedding, UserError, is_torch, load_keys, to_numpy

PARTS = ("mean", "confidence", "variance")


def faces(count: int = 5, k: int = 2, d: int = 3, dtype: str = "float32") -> FaceEmbedding:
    rng = np.random.default_rng(0)
    mean = rng.normal(size=(count, k, d))
    mean /= np.linalg.norm(mean, axis=2, keepdims=True)
    confidence = rng.uniform(1, 9, (count, k))
    return FaceEmbedding(
        mean.astype(dtype), confidence.astype(dtype), (1 / confidence).astype(dtype)
    )


def assert_same(a: FaceEmbedding, b: FaceEmbedding) -> None:
    for part in PARTS:
        np.testing.assert_array_equal(to_numpy(getattr(a, part)), to_numpy(getattr(b, part)))


@pytest.mark.parametrize("kind", ["numpy", "torch"])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 0.0, -1.0])
@pytest.mark.parametrize("part", PARTS)
def test_bad_values_are_refused_with_face_and_part(part: str, bad: float, kind: str) -> None:
    parts = {name: getattr(faces(dtype="float64"), name).copy() for name in PARTS}
    parts[part][3, 1] = bad
    if kind == "torch":
        parts = {name: torch.as_tensor(value) for name, value in parts.items()}
    with pytest.raises(UserError, match=r"1 of face 3"):
        FaceEmbedding(**parts)


def test_a_mean_whose_square_overflows_is_refused() -> None:
    good = faces(dtype="float64")
    with pytest.raises(UserError, match="length inf"):
        FaceEmbedding(good.mean * 1e300, good.confidence, good.variance)


def test_one_nan_among_good_values_is_refused() -> None:
    good = faces()
    mean = good.mean.copy()
    mean[2, 0, 1] = np.nan
    with pytest.raises(UserError, match="sub-embedding 0 of face 2"):
        FaceEmbedding(mean, good.confidence, good.variance)


def test_means_off_unit_length_by_more_than_rounding_are_refused() -> None:
    good = faces()
    FaceEmbedding(good.mean * 1.009, good.confidence, good.variance)
    for factor in (0.98, 1.02):
        with pytest.raises(UserError, match="not 1"):
            FaceEmbedding(good.mean * factor, good.confidence, good.variance)


def test_shapes_that_do_not_fit_are_refused() -> None:
    e = faces()
    with pytest.raises(UserError, match=r"\[B, K, D\]"):
        FaceEmbedding(e.mean[0], e.confidence, e.variance)
    with pytest.raises(UserError, match="confidence must be"):
        FaceEmbedding(e.mean, e.confidence[:4], e.variance)
    with pytest.raises(UserError, match="variance must be"):
        FaceEmbedding(e.mean, e.confidence, e.variance[:, :1])
    with pytest.raises(UserError, match="all be NumPy or all be torch"):
        FaceEmbedding(e.mean, torch.as_tensor(e.confidence), e.variance)


@pytest.mark.parametrize("kind", ["numpy", "torch"])
def test_faces_are_chosen_by_number_slice_array_and_mask(kind: str) -> None:
    e = faces() if kind == "numpy" else faces().torch()
    for number in (0, 3, 4, -1, -2, -5, np.int64(3), np.array(2), torch.tensor(1)):
        got = e[number]
        place = int(number) % 5
        assert len(got) == 1
        assert got.mean.shape == (1, 2, 3)
        np.testing.assert_array_equal(to_numpy(got.mean[0]), to_numpy(e.mean[place]))
        np.testing.assert_array_equal(to_numpy(got.variance[0]), to_numpy(e.variance[place]))
    mask = np.array([True, False, False, True, False])
    index = [4, 0, 0] if kind == "numpy" else torch.tensor([4, 0, 0])
    for choice, places in (
        (slice(1, 4), [1, 2, 3]),
        (slice(5, 9), []),
        (slice(None, None, 2), [0, 2, 4]),
        (index, [4, 0, 0]),
        (mask if kind == "numpy" else torch.as_tensor(mask), [0, 3]),
    ):
        got = e[choice]
        for part in PARTS:
            expected = to_numpy(getattr(e, part))[places]
            np.testing.assert_array_equal(to_numpy(getattr(got, part)), expected)


def test_numbers_beyond_the_faces_and_indices_that_drop_an_axis_are_refused() -> None:
    e = faces()
    for number in (5, -6, np.array(5)):
        with pytest.raises(IndexError, match="of 5"):
            e[number]
    for index in ((0, 1), None, (slice(None), 0)):
        with pytest.raises(IndexError, match="chosen by"):
            e[index]
    assert len(list(e)) == 5  # iteration ends


@pytest.mark.parametrize("kind", ["numpy", "torch"])
def test_parts_joined_again_are_the_whole(kind: str) -> None:
    e = faces() if kind == "numpy" else faces().torch()
    joined = FaceEmbedding.concatenate([e[:2], e[2:2], e[2], e[3:]])
    assert is_torch(joined.mean) is (kind == "torch")
    assert_same(joined, e)


def test_parts_that_do_not_fit_are_not_joined() -> None:
    with pytest.raises(UserError, match="nothing"):
        FaceEmbedding.concatenate([])
    with pytest.raises(UserError, match=r"\(2, 3\), \(4, 3\)"):
        FaceEmbedding.concatenate([faces(), faces(k=4)])
    with pytest.raises(UserError, match="NumPy and torch"):
        FaceEmbedding.concatenate([faces(), faces().torch()])


def test_to_torch_and_back_changes_nothing_whatever_the_layout() -> None:
    e = faces()
    assert_same(e.torch().numpy(), e)
    assert_same(e[::-1].torch().numpy(), e[::-1])
    fixed = [getattr(e, part).copy() for part in PARTS]
    for array in fixed:
        array.flags.writeable = False
    assert_same(FaceEmbedding(*fixed).torch(), e)
    assert_same(FaceEmbedding(*(getattr(e, p).astype(">f4") for p in PARTS)).torch(), e)


def test_bfloat16_becomes_float32_in_numpy() -> None:
    e = faces()
    tensors = [torch.as_tensor(getattr(e, part)).bfloat16() for part in PARTS]
    assert FaceEmbedding(*tensors).numpy().mean.dtype == np.float32


def test_uncertainty_is_the_mean_log_variance() -> None:
    e = faces()
    expected = [sum(np.log(float(v)) for v in row) / 2 for row in e.variance]
    np.testing.assert_allclose(e.uncertainty, expected, rtol=1e-6)
    np.testing.assert_allclose(e.torch().uncertainty, expected, rtol=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("count", [0, 1, 5])
def test_what_was_saved_is_loaded_bit_for_bit(tmp_path: Path, count: int, dtype: str) -> None:
    e = faces(count, dtype=dtype)
    e.save(tmp_path / "deep" / "e.safetensors")
    loaded = FaceEmbedding.load(tmp_path / "deep" / "e.safetensors")
    assert_same(loaded, e)
    assert loaded.mean.dtype == np.dtype(dtype)
    assert load_keys(tmp_path / "deep" / "e.safetensors") is None
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["e.safetensors"]


def test_keys_come_back_in_their_order(tmp_path: Path) -> None:
    keys = ["b.jpg", "a/ä.jpg", "", "b.jpg", '"\\\n']
    faces().torch().save(str(tmp_path / "e.safetensors"), keys)
    assert load_keys(tmp_path / "e.safetensors") == keys
    assert_same(FaceEmbedding.load(tmp_path / "e.safetensors"), faces())
    with pytest.raises(UserError, match="2 keys for 5 faces"):
        faces().save(tmp_path / "e.safetensors", ["a", "b"])
    assert load_keys(tmp_path / "e.safetensors") == keys  # the old file stands


class Trap:
    """Unpickling this leaves a file behind."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (Path(self.path),)  # type: ignore[return-value]


def test_files_that_are_no_embeddings_are_refused_by_name(tmp_path: Path) -> None:
    path, canary = tmp_path / "e.safetensors", tmp_path / "canary"
    faces().save(path)
    whole = path.read_bytes()
    trap = pickle.dumps(Trap(str(canary)))
    for content in (b"", b"\0" * 3, b"\xff" * 99, b"PK\3\4 zip", trap, whole[:-1], whole[:20]):
        path.write_bytes(content)
        with pytest.raises(UserError, match=r"e\.safetensors"):
            FaceEmbedding.load(path)
    assert not canary.exists()
    pickle.loads(trap)  # the control: it does fire where somebody unpickles
    assert canary.exists()
    for missing in (tmp_path / "none", tmp_path):
        with pytest.raises(UserError, match="no such file"):
            FaceEmbedding.load(missing)


def test_safetensors_of_something_else_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "e.safetensors"
    good = {part: getattr(faces(), part) for part in PARTS}
    save_file({"mean": good["mean"]}, path)
    with pytest.raises(UserError, match="lacks"):
        FaceEmbedding.load(path)
    save_file({**good, "mean": np.zeros_like(good["mean"])}, path)
    with pytest.raises(UserError, match="length 0"):
        FaceEmbedding.load(path)
    for names in ("{", json.dumps(["a"]), json.dumps({"a": 1}), "5"):
        save_file(good, path, metadata={"keys": names})
        with pytest.raises(UserError, match=r"e\.safetensors"):
            load_keys(path)


@pytest.mark.parametrize("module", ["urface", "urface.types", "urface.config", "urface.metrics"])
def test_import_is_light(module: str) -> None:
    code = f"import sys, {module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_metrics_need_no_torch_at_all() -> None:
    code = (
        "import sys, pkgutil, importlib\n"
        "class NoTorch:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] == 'torch': raise ImportError('no torch here')\n"
        "sys.meta_path.insert(0, NoTorch())\n"
        "import urface.metrics as m\n"
        "for part in pkgutil.iter_modules(m.__path__):\n"
        "    importlib.import_module(f'urface.metrics.{part.name}')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("mean", "words"),
    [
        (np.array([[["a", "b"]]]), "mean must hold real numbers, got an array of <U1"),
        (np.array([[[None, 1.0]]], dtype=object), "mean must hold real numbers.*object"),
        ([[[1.0, 0.0], [1.0]]], "mean is no array of numbers"),
        ([[[1.0 + 1j]]], "complex128"),
        (None, "mean must hold real numbers.*object"),
    ],
)
def test_text_objects_and_ragged_lists_are_refused(mean: Any, words: str) -> None:
    with pytest.raises(UserError, match=words):
        FaceEmbedding(mean, np.ones((1, 1)), np.ones((1, 1)))


def test_torch_faces_are_refused_as_numpy_ones_are() -> None:
    good = torch.nn.functional.normalize(torch.ones(3, 2, 4), dim=2), torch.ones(3, 2)
    for place, value, words in (
        (0, float("nan"), "sub-embedding 1 of face 2 has length nan, not 1"),
        (0, 3.0, "sub-embedding 1 of face 2 has length"),
        (1, 0.0, "confidence 1 of face 2 is 0: it must be finite"),
        (2, float("inf"), "variance 1 of face 2 is inf: it must be finite"),
        (2, float("nan"), "variance 1 of face 2 is nan"),
    ):
        for numpy in (False, True):
            parts = [good[0].clone(), good[1].clone(), good[1].clone()]
            parts[place][2, 1] = value
            with pytest.raises(UserError, match=words):
                FaceEmbedding(*([part.numpy() for part in parts] if numpy else parts))
    with pytest.raises(UserError, match="must be of floats"):
        FaceEmbedding(torch.ones(1, 1, 1, dtype=torch.int64), torch.ones(1, 1), torch.ones(1, 1))


def test_torch_faces_are_checked_and_fused_without_leaving_their_device(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mean = torch.nn.functional.normalize(torch.arange(1.0, 25.0).view(4, 2, 3), dim=2)
    ones = torch.ones(4, 2, requires_grad=True)
    ids = torch.tensor([7, 3, 7, 3])
    expected = fuse(FaceEmbedding(mean, ones, ones), ids).numpy()

    def copied(*_: object, **__: object) -> None:
        raise AssertionError("a copy to the CPU")

    for name in ("cpu", "numpy", "__array__", "tolist"):
        monkeypatch.setattr(torch.Tensor, name, copied)
    monkeypatch.setattr("urface.types.to_numpy", copied)
    got = fuse(FaceEmbedding(mean, ones, ones), ids)
    monkeypatch.undo()
    np.testing.assert_array_equal(got.numpy().mean, expected.mean)
