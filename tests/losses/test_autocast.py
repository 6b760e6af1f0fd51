"""Logits and scores are those of float32, whatever autocast the caller is in."""

from __future__ import annotations

import pytest
import torch

from losses.loops import uniform, unit
from urface.losses import identification_logits, uncertainty_loss
from urface.scoring.cosine import cosine_matrix
from urface.scoring.likelihood import likelihood_matrix, likelihood_score


@pytest.fixture
def faces() -> tuple[torch.Tensor, torch.Tensor]:
    return unit(6, 4, 8, seed=0).float(), uniform(6, 4, low=0.01, high=0.5, seed=1).float()


def test_autocast_of_the_caller_changes_no_logit_score_or_loss(faces) -> None:
    mean, variance = faces
    labels = torch.tensor([0, 0, 1, 1, 2, 2])

    def everything() -> list[torch.Tensor]:
        return [
            identification_logits(mean, 1 / variance, mean),
            likelihood_score(mean, variance, mean.flip(0), variance.flip(0)),
            likelihood_matrix(mean, variance, mean, variance),
            cosine_matrix(mean, mean),
            uncertainty_loss(mean, variance, labels),
        ]

    plain = everything()
    with torch.autocast("cpu", torch.bfloat16):
        assert (mean.flatten(1) @ mean.flatten(1).T).dtype == torch.bfloat16  # the control
        under = everything()
    for got, expected in zip(under, plain, strict=True):
        assert got.dtype == torch.float32
        assert torch.equal(got, expected)


def test_bfloat16_tensors_are_multiplied_in_float32(faces) -> None:
    mean, variance = faces[0].bfloat16(), faces[1].bfloat16()
    got = identification_logits(mean, (1 / variance.float()), mean)
    expected = identification_logits(mean.double(), (1 / variance.float()).double(), mean.double())
    assert got.dtype == torch.float32
    torch.testing.assert_close(got.double(), expected, rtol=1e-5, atol=1e-5)
    scores = likelihood_matrix(mean, variance, mean, variance)
    exact = likelihood_matrix(*(x.double() for x in (mean, variance, mean, variance)))
    torch.testing.assert_close(scores.double(), exact, rtol=1e-4, atol=1e-4)
