"""Claims about the synthetic faces: a pure function of their address, whose labels tell the truth."""

from __future__ import annotations

import hashlib
import subprocess
import sys

import numpy as np
import pytest

from urface.data.synthetic import VARIATION_LABELS, ShotStyle, SyntheticFace, render_face
from urface.types import UserError

PLAIN = ShotStyle(plain=True, yaw=0.0, pitch=0.0, smile=0.0, mouth_open=0.0)


def posed(identity: int, size: int = 112, **traits: float) -> SyntheticFace:
    """A plain frontal face with some traits fixed otherwise."""
    values = {"yaw": 0.0, "pitch": 0.0, "smile": 0.0, "mouth_open": 0.0, **traits}
    return render_face(3, identity, 0, size, style=ShotStyle(plain=True, **values))  # type: ignore[arg-type]


def digest(addresses: list[tuple[int, int]]) -> dict[tuple[int, int], str]:
    return {
        (identity, shot): hashlib.sha256(render_face(9, identity, shot).image.tobytes()).hexdigest()
        for identity, shot in addresses
    }


def test_order_does_not_change_a_byte() -> None:
    addresses = [(identity, shot) for identity in (0, 5, 1_000_000) for shot in range(3)]
    assert digest(addresses) == digest(addresses[::-1])
    assert len(set(digest(addresses).values())) == len(addresses)


def test_another_process_gives_the_same_bytes() -> None:
    script = (
        "import hashlib; from urface.data.synthetic import render_face; "
        "print(hashlib.sha256(render_face(9, 5, 2).image.tobytes()).hexdigest())"
    )
    other = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert other.stdout.strip() == digest([(5, 2)])[5, 2]


def test_sizes_agree_in_labels_pose_and_landmarks() -> None:
    small, large = (render_face(1, 7, 4, size) for size in (64, 112))
    assert small.image.shape == (64, 64, 3)
    assert large.image.shape == (112, 112, 3)
    assert small.image.dtype == np.uint8
    assert small.labels == large.labels
    assert (small.yaw, small.pitch, small.roll) == (large.yaw, large.pitch, large.roll)
    np.testing.assert_allclose(small.landmarks * 112 / 64, large.landmarks, atol=1e-3)


def test_seeds_are_other_people() -> None:
    assert (render_face(1, 0, 0).image != render_face(2, 0, 0).image).mean() > 0.5


def test_labels_are_the_six_and_within_0_and_1() -> None:
    for identity in range(30):
        labels = render_face(4, identity, 0, 64).labels
        assert tuple(labels) == VARIATION_LABELS
        assert all(isinstance(v, float) and 0.0 <= v <= 1.0 for v in labels.values())
        assert labels["low_resolution"] == labels["occlusion"] == 0.0


def test_age_and_gender_belong_to_the_person_and_vary_between_people() -> None:
    people = [[render_face(4, i, shot, 32).labels for shot in (0, 1)] for i in range(60)]
    for name in ("young", "male"):
        assert all(first[name] == second[name] for first, second in people)
        assert 0.25 < np.mean([first[name] for first, _ in people]) < 0.8


def test_frontal_landmarks_lie_on_the_template() -> None:
    template = [[38.29, 51.70], [73.53, 51.50], [56.03, 71.74], [41.55, 92.37], [70.73, 92.20]]
    points = np.stack([posed(identity).landmarks for identity in range(40)])
    assert points.dtype == np.float32
    np.testing.assert_allclose(points.mean(0), template, atol=1.5)
    assert np.linalg.norm(points - points.mean(0), axis=-1).max() < 8.0


@pytest.mark.parametrize("identity", [2, 11, 25])
def test_yaw_moves_the_nose_to_the_side_it_names(identity: int) -> None:
    offsets = []
    for yaw in (-50, -25, 0, 25, 50):
        face = posed(identity, yaw=yaw)
        assert face.yaw == yaw
        left, right, nose = face.landmarks[:3]
        offsets.append((nose - (left + right) / 2)[0] / np.linalg.norm(right - left))
    assert np.all(np.diff(offsets) > 0.1)
    assert abs(offsets[2]) < 0.06


@pytest.mark.parametrize("identity", [2, 11, 25])
def test_looking_up_lifts_the_nose_between_eyes_and_mouth(identity: int) -> None:
    heights = []
    for pitch in (-20, 0, 20):
        points = posed(identity, pitch=pitch).landmarks
        eyes, mouth = points[:2].mean(0), points[3:].mean(0)
        heights.append((mouth - points[2])[1] / (mouth - eyes)[1])
    assert np.all(np.diff(heights) > 0.05)


def test_roll_is_the_clockwise_turn_that_remains_in_the_image() -> None:
    upright, turned = (posed(6, roll=roll).landmarks for roll in (0.0, 20.0))
    angles = [np.rad2deg(np.arctan2(*(p[1] - p[0])[::-1])) for p in (upright, turned)]
    assert angles[1] - angles[0] == pytest.approx(20.0, abs=0.01)


def test_pose_label_grows_with_the_turn() -> None:
    labels = [posed(1, yaw=yaw).labels["pose"] for yaw in (0, 15, 30, 60, 75)]
    assert labels == pytest.approx([0.0, 0.25, 0.5, 1.0, 1.0])


def test_a_smile_widens_and_lifts_the_mouth() -> None:
    for identity in range(5):
        calm, glad = (posed(identity, smile=smile) for smile in (0.0, 1.0))
        assert (calm.labels["smiling"], glad.labels["smiling"]) == (0.0, 1.0)
        width = [np.linalg.norm(f.landmarks[4] - f.landmarks[3]) for f in (calm, glad)]
        eyes = [np.linalg.norm(f.landmarks[1] - f.landmarks[0]) for f in (calm, glad)]
        assert width[1] / eyes[1] > 1.1 * width[0] / eyes[0]


def test_fixing_one_trait_leaves_the_rest_of_the_shot() -> None:
    free = render_face(1, 8, 3)
    same = render_face(1, 8, 3, style=ShotStyle(yaw=free.yaw, pitch=free.pitch, roll=free.roll))
    assert np.array_equal(free.image, same.image)
    turned = render_face(1, 8, 3, style=ShotStyle(yaw=40.0))
    assert (turned.pitch, turned.roll) == (free.pitch, free.roll)
    assert turned.labels["smiling"] == free.labels["smiling"]


def test_frontal_and_max_yaw_are_kept() -> None:
    addresses = [(2, i, shot, 32) for i in range(8) for shot in range(10)]
    frontal = [render_face(*address, style=ShotStyle(frontal=True)) for address in addresses]
    assert max(abs(face.yaw) for face in frontal) <= 15
    assert max(abs(face.pitch) for face in frontal) <= 10
    within = [abs(render_face(*a, style=ShotStyle(max_yaw=30.0)).yaw) for a in addresses]
    free = [abs(render_face(*address).yaw) for address in addresses]
    assert max(within) <= 30.0 < max(free)


def test_true_degradation_shows_in_pixels_and_labels() -> None:
    clean = [render_face(5, i, 0) for i in range(12)]
    coarse = [render_face(5, i, 0, style=ShotStyle(low_resolution_share=1.0)) for i in range(12)]
    hidden = [render_face(5, i, 0, style=ShotStyle(occlusion_share=1.0)) for i in range(12)]
    for before, low, cover in zip(clean, coarse, hidden, strict=True):
        assert low.labels["low_resolution"] > 0.3
        steps = [np.abs(np.diff(f.image.astype(float), axis=1)).mean() for f in (before, low)]
        assert steps[1] < 0.8 * steps[0]
        changed = (np.abs(cover.image.astype(int) - before.image).max(-1) > 12).mean()
        assert (
            changed > 0.1 * cover.labels["occlusion"]
        )  # 1 means 15% of the face, or more, is gone
        assert cover.labels["low_resolution"] == low.labels["occlusion"] == 0.0
    assert np.mean([face.labels["occlusion"] for face in hidden]) > 0.5


def test_raw_pixels_hardly_tell_people_apart_but_people_do_differ() -> None:
    people, shots = 60, 4

    def scores(style: ShotStyle) -> tuple[np.ndarray, np.ndarray]:
        images = np.stack(
            [
                render_face(6, i, s, 32, style=style).image
                for i in range(people)
                for s in range(shots)
            ]
        )
        flat = images.reshape(len(images), -1).astype(np.float32)
        flat -= flat.mean(1, keepdims=True)
        flat /= np.linalg.norm(flat, axis=1, keepdims=True)
        owner = np.repeat(np.arange(people), shots)
        upper = np.triu_indices(len(flat), 1)
        same = (owner[:, None] == owner[None, :])[upper]
        return (flat @ flat.T)[upper][same], (flat @ flat.T)[upper][~same]

    def auc(mated: np.ndarray, other: np.ndarray) -> float:
        return float((mated[:, None] > other[None, ::7]).mean())

    assert auc(*scores(PLAIN)) > 0.85  # in one light and pose, people differ more than shots do
    assert (
        0.50 < auc(*scores(ShotStyle())) < 0.75
    )  # in the open, colour and background give no one away


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((-1, 0, 0), "seed"),
        ((0, -1, 0), "identity"),
        ((0, 0, -1), "shot"),
        ((0, 0, 0, 8), "size"),
        ((0, 2**62, 0), "identity"),
    ],
)
def test_impossible_addresses_are_refused(arguments: tuple[int, ...], message: str) -> None:
    with pytest.raises(UserError, match=message):
        render_face(*arguments)


@pytest.mark.parametrize(
    "values", [{"yaw": 90.0}, {"occlusion_share": 1.5}, {"smile": float("nan")}, {"max_yaw": -1.0}]
)
def test_impossible_styles_are_refused(values: dict[str, float]) -> None:
    with pytest.raises(UserError, match=next(iter(values))):
        ShotStyle(**values)  # type: ignore[arg-type]
