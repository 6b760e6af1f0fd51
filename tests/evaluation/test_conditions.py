"""Claims about the conditions that test faces are put in."""

from __future__ import annotations

import numpy as np
import pytest

from small_model import pictures
from urface.data.source import FaceSource
from urface.embedder import Embedder
from urface.evaluation.conditions import Condition, condition
from urface.evaluation.degrade import SIZE, degrade
from urface.evaluation.embedding import ConditionFrames, embed_test_set
from urface.types import UserError

IMAGE = np.maximum(pictures(1, 112)[0], 1)
KEYS = ("blur", "occluded", "all", "24px", "16px", "8px", "blur15", "occluded20")


def turn(image: np.ndarray, key: str, yaw: float, pitch: float) -> np.ndarray:
    """Stands in for the renderer: says the yaw in a pixel."""
    out = image.copy()
    out[0, 0] = (yaw > 0, round(abs(yaw)), pitch)
    return out


def test_clean_is_the_very_image_and_degraded_is_the_known_mix() -> None:
    assert condition("clean").apply(IMAGE, "a", 0) is IMAGE
    for key in "abcdef":
        np.testing.assert_array_equal(
            condition("degraded").apply(IMAGE, key, 3), degrade(IMAGE, key, 3)
        )


@pytest.mark.parametrize("key", KEYS)
def test_a_condition_is_a_pure_function_of_image_key_and_seed(key: str) -> None:
    put_in = condition(key)
    first = [put_in.apply(IMAGE, str(n), 0) for n in range(8)]
    again = [condition(key).apply(IMAGE, str(n), 0) for n in reversed(range(8))][::-1]
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a, b)
        assert a.shape == (SIZE, SIZE, 3)
        assert (a != IMAGE).any()
    assert put_in.what
    if key in ("blur", "occluded", "all", "occluded20"):
        other = [put_in.apply(IMAGE, str(n), 1) for n in range(8)]
        assert any((a != b).any() for a, b in zip(first, other, strict=True))


def test_levels_do_what_they_say() -> None:
    black = (condition("occluded20").apply(IMAGE, "a", 0) == 0).all(2)
    assert black.sum() == 20 * 256
    noise = np.random.default_rng(0).integers(0, 256, (112, 112, 3)).astype(np.uint8)
    spread = [float(condition(f"{n}px").apply(noise, "a", 0).std()) for n in (112, 24, 16, 12, 8)]
    assert spread == sorted(spread, reverse=True)
    np.testing.assert_array_equal(condition("112px").apply(noise, "a", 0), noise)
    blurred = [float(condition(f"blur{k}").apply(noise, "a", 0).std()) for k in (3, 9, 21)]
    assert blurred == sorted(blurred, reverse=True)


def test_heads_are_turned_to_both_sides_within_the_span_and_only_with_a_renderer() -> None:
    marks = np.array([condition("pose", turn).apply(IMAGE, str(n), 0)[0, 0] for n in range(60)])
    assert set(marks[:, 0].tolist()) == {0, 1}
    assert marks[:, 1].min() >= 40
    assert marks[:, 1].max() <= 60
    assert condition("yaw35", turn).apply(IMAGE, "a", 0)[0, 0, 1] == 35
    with pytest.raises(UserError, match="test_meshes"):
        condition("pose")


@pytest.mark.parametrize("key", ["foggy", "2px", "blur4", "occluded49", "", "px", "yaw90"])
def test_an_unknown_or_impossible_condition_is_refused_by_name(key: str) -> None:
    with pytest.raises(UserError, match=f"conditions: .*{key}"):
        condition(key, turn)


def test_faces_are_decoded_once_for_all_models(embedder: Embedder, faces: FaceSource) -> None:
    reads: list[int] = []

    def read(index: int) -> bytes:
        reads.append(index)
        return faces.read_bytes(index)

    counted = FaceSource(**{**vars(faces), "read_bytes": read})
    frames = ConditionFrames(counted, gigabytes=1.0)
    alone = embed_test_set(embedder, faces, "16px", progress=False)
    for _ in range(2):
        shared = embed_test_set(embedder, counted, "16px", frames=frames, progress=False)
        np.testing.assert_array_equal(shared.faces.mean, alone.faces.mean)
        assert shared.failures.keys() == alone.failures.keys()
    good = [index for index in reads if index != 2]  # the truncated one is tried again
    assert sorted(good) == [index for index in range(12) if index != 2]
    other = embed_test_set(embedder, counted, "clean", frames=frames, progress=False)
    assert np.abs(other.faces.mean - alone.faces.mean).max() > 1e-3
    small = ConditionFrames(counted, gigabytes=0.0)
    again = embed_test_set(embedder, counted, "16px", frames=small, progress=False)
    np.testing.assert_array_equal(again.faces.mean, alone.faces.mean)


def test_a_condition_says_whether_it_is_clean() -> None:
    conditions: list[Condition] = [condition("clean"), condition("8px")]
    assert [c.clean for c in conditions] == [True, False]
