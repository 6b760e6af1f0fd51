"""G53: a zero, NaN or infinite embedding never yields a score, at any public door.

Each door is given sound faces but for one value; it must raise UserError, or count a failure whose score
is NaN. The control sends the same faces through plain arithmetic, which hands out a score.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import urface
from scoring.loops import faces
from small_model import SETTINGS, one_thread, pictures, small_model
from urface.benchmarks.pool import Pooled
from urface.benchmarks.score import pair_scores, search_tiles
from urface.config import ObjectiveSettings
from urface.embedder import Embedder
from urface.models.files import save_model
from urface.recognisers.recogniser import Features
from urface.recognisers.usable import refuse_unusable, unusable
from urface.scoring import cosine_matrix, cosine_score, likelihood_matrix, likelihood_score
from urface.types import FaceEmbedding, UserError

__all__ = ["one_thread"]

BAD, COUNT, K, D = 2, 5, 3, 4
VALUES = {"zero": 0.0, "nan": np.nan, "inf": np.inf, "minus_inf": -np.inf}


class Given:
    """Raw arrays whose face BAD is spoiled in one sub-embedding."""

    def __init__(
        self, part: str, value: float, dtype: str = "float32", spread: bool = False
    ) -> None:
        sound = faces(COUNT, K, D, seed=1)
        self.mean = sound.mean.astype(dtype)
        self.confidence = sound.confidence.astype(dtype)
        self.variance = sound.variance.astype(dtype)
        if spread:
            self.variance = np.repeat(self.variance[:, :, None], D, 2)
        getattr(self, part)[BAD, 1] = value

    def tensors(self) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.from_numpy(self.mean), torch.from_numpy(self.variance)

    def embedding(self, tensor: bool = False) -> FaceEmbedding:
        parts: list[Any] = [self.mean, self.confidence, self.variance]
        if tensor:
            parts = [torch.from_numpy(part) for part in parts]
        return FaceEmbedding(*parts)


def sound() -> FaceEmbedding:
    return faces(COUNT, K, D, seed=2)


def of_bad(scores: Any) -> np.ndarray:
    """The scores of face BAD as ``a``: its row of a matrix, or its pair."""
    return np.atleast_1d(np.asarray(scores)[BAD])


# door -> the scores that it gives face BAD
TYPED: dict[str, Callable[[Given], np.ndarray]] = {
    "score": lambda g: of_bad(urface.score(g.embedding(), sound())),
    "score of tensors": lambda g: of_bad(urface.score(g.embedding(True), sound().torch())),
    "score cosine": lambda g: of_bad(urface.score(g.embedding(), sound(), "cosine")),
    "score_matrix": lambda g: of_bad(urface.score_matrix(g.embedding(), sound())),
    "score_matrix other side": lambda g: of_bad(urface.score_matrix(sound(), g.embedding()).T),
    "score_matrix cosine": lambda g: of_bad(urface.score_matrix(g.embedding(), sound(), "cosine")),
    "fuse": lambda g: of_bad(urface.score(urface.fuse(g.embedding(), [0, 1, 2, 3, 4]), sound())),
    "fuse with others": lambda g: urface.score(urface.fuse(g.embedding(), [0] * 5), sound()[0]),
    "fuse mean": lambda g: urface.score(urface.fuse(g.embedding(), [0] * 5, "mean"), sound()[0]),
}


def raw(function: Callable[..., torch.Tensor], variances: bool) -> Callable[[Given], np.ndarray]:
    def call(given: Given) -> np.ndarray:
        (a, av), b = given.tensors(), sound().torch()
        sides = (a, av, b.mean, b.variance) if variances else (a, b.mean)
        if variances and av.ndim == 3:
            sides = (a, av, b.mean, b.variance[:, :, None].expand(-1, -1, D).contiguous())
        kind = a.dtype
        return of_bad(function(*(side.to(kind) for side in sides)))

    return call


RAW = {
    "likelihood_score": raw(likelihood_score, True),
    "likelihood_matrix": raw(likelihood_matrix, True),
    "cosine_score": raw(cosine_score, False),
    "cosine_matrix": raw(cosine_matrix, False),
}


def yields(door: Callable[[Given], np.ndarray], given: Given) -> bool:
    """Whether a score came out: any number but NaN."""
    try:
        with np.errstate(all="ignore"):
            return bool((~np.isnan(door(given))).any())
    except UserError:
        return False


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("part", ["mean", "variance", "confidence"])
@pytest.mark.parametrize("door", TYPED)
def test_no_door_of_embeddings_yields_a_score(door: str, part: str, value: str) -> None:
    assert not yields(TYPED[door], Given(part, VALUES[value]))


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("kind", ["float32", "float64", "per dimension"])
@pytest.mark.parametrize(
    ("door", "part"),
    [(d, p) for d in RAW for p in ("mean", "variance") if p == "mean" or "likelihood" in d],
)
def test_no_function_of_tensors_yields_a_score(door: str, part: str, kind: str, value: str) -> None:
    dtype = "float64" if kind == "float64" else "float32"
    given = Given(part, VALUES[value], dtype, spread=kind == "per dimension")
    assert not yields(RAW[door], given)
    whole = Given("confidence", 1.0, dtype, spread=kind == "per dimension")
    assert yields(RAW[door], whole)  # the harness sees a score where there is one


def naive(given: Given) -> np.ndarray:
    """Equation PA as it stands, with cosines; what has no logarithm weighs nothing."""
    a, b = np.nan_to_num(given.mean), sound()
    total = np.nan_to_num(given.variance, posinf=1.0, neginf=1.0) + b.variance
    return of_bad(-0.5 * ((2 - 2 * (a * b.mean).sum(2)) / total + D * np.log(total)).sum(1))


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("part", ["mean", "variance"])
def test_the_control_a_naive_score_is_seen(part: str, value: str) -> None:
    assert yields(naive, Given(part, VALUES[value]))


@pytest.mark.parametrize("value", VALUES)
def test_a_saved_embedding_that_was_spoiled_is_refused(value: str, tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    for part in ("mean", "variance", "confidence"):
        given = Given(part, VALUES[value])
        save_file(
            {name: getattr(given, name) for name in ("mean", "variance", "confidence")},
            tmp_path / "e.safetensors",
        )
        with pytest.raises(UserError):
            FaceEmbedding.load(tmp_path / "e.safetensors")


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("part", ["mean", "variance"])
def test_a_recogniser_s_features_are_a_counted_failure(part: str, value: str) -> None:
    """What every benchmark of any model passes through: an image without usable features is not ok."""
    given = Given(part, VALUES[value])
    features = Features(given.mean.reshape(COUNT, -1), K, given.confidence, given.variance)
    assert list(unusable(features)) == [BAD]
    with pytest.raises(UserError, match="face 2"):
        refuse_unusable(features, [f"face {number}" for number in range(COUNT)])


@pytest.mark.parametrize("score", ["likelihood", "cosine"])
def test_a_failed_template_scores_nan_in_pairs_and_is_marked_in_searches(score: Any) -> None:
    given = Given("mean", 0.0)
    there = np.ones(COUNT, bool)
    there[BAD] = False
    pooled = Pooled(given.mean, given.variance, there, np.empty(0, np.int64))
    every = np.arange(COUNT)
    got = pair_scores(pooled, np.full(COUNT, BAD), every, score)
    assert np.isnan(got).all()
    assert np.isfinite(pair_scores(pooled, np.zeros(1, int), np.ones(1, int), score)).all()
    for tile in search_tiles(pooled, every, every, score):
        assert np.isfinite(tile.scores[np.ix_(there, there)]).all()


@pytest.mark.parametrize("value", ["nan", "inf", "minus_inf"])
@pytest.mark.parametrize("head", ["embedding_head", "confidence_head"])
def test_a_spoiled_model_embeds_nothing_and_compare_gives_no_verdict(
    head: str, value: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import cv2

    from urface.cli import main

    model = small_model()
    with torch.no_grad():
        getattr(model, head).fc.weight.fill_(VALUES[value])
    with pytest.raises(UserError):
        Embedder(model, SETTINGS, device="cpu", precision="fp32").embed(pictures(2))
    save_model(
        tmp_path / "m.safetensors", model, SETTINGS, ObjectiveSettings("confidence", 2.0), {}
    )
    for number, picture in enumerate(pictures(2)):
        cv2.imwrite(str(tmp_path / f"{number}.png"), picture)
    images = [str(tmp_path / f"{number}.png") for number in range(2)]
    assert main(["compare", "--aligned", str(tmp_path / "m.safetensors"), *images]) == 2
    assert "likelihood" not in capsys.readouterr().out
