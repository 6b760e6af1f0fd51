"""How exact the tiled loss is in float32 over the whole range of cosines and confidences (G50)."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from urface.losses.tiled import tiled_cross_entropy

VALUE, GRADIENT = 1e-5, 1e-4


def circle(c: int, seed: int) -> Tensor:
    """c prototypes on a circle, [c, 1, 2] in float64: all cosines with (1, 0), +-1 among them."""
    g = torch.Generator().manual_seed(seed)
    cosine = torch.rand(c, generator=g, dtype=torch.float64) * 2 - 1
    cosine[:1], cosine[1:2] = 1.0, -1.0
    cosine = cosine[torch.randperm(c, generator=g)]
    return torch.stack([cosine, (1 - cosine**2).sqrt()], 1)[:, None]


def exact(x: Tensor, w: Tensor, label: int, margin: float) -> tuple[float, Tensor]:
    """Loss and gradient of the logits of one image in float64: log1p of the rest, no cancellation."""
    logits = (F.normalize(w.double(), dim=2) @ x.double()[0, 0]).flatten()
    logits[label] -= margin
    away = torch.cat([logits[:label], logits[label + 1 :]])
    rest = (away - logits[label]).exp().sum() if len(away) else torch.zeros(()).double()
    loss = torch.log1p(rest) if rest < 1e300 else away.logsumexp(0) - logits[label]
    grad = torch.softmax(logits, 0)
    grad[label] = -torch.exp(torch.log(rest) - torch.log1p(rest))
    return float(loss), grad @ F.normalize(w.double(), dim=2)[:, 0]


def naive(x: Tensor, w: Tensor, label: int, margin: float) -> Tensor:
    """The control: the usual form in float32."""
    logits = x.flatten(1) @ F.normalize(w, dim=2).flatten(1).T
    logits = logits - margin * F.one_hot(torch.tensor([label]), len(w))
    return F.cross_entropy(logits, torch.tensor([label]))


def errors(c: int, scale: float, margin: float, seed: int) -> tuple[float, float, float]:
    """Relative errors of value and gradient of the image, and of the control's value."""
    w = circle(c, seed).float()
    x = torch.tensor([[[scale, 0.0]]], requires_grad=True)
    worst = [0.0, 0.0, 0.0]
    cosines = w[:, 0, 0]
    for label in {int(cosines.argmax()), int(cosines.argmin()), c // 2}:
        x.grad = None
        loss = tiled_cross_entropy(x, w, torch.tensor([label]), lambda a: a - margin)
        loss.backward()
        value, grad = exact(x.detach(), w, label, margin)
        assert x.grad is not None
        found = [
            abs(loss.item() - value) / max(value, 1e-37),
            float((x.grad[0, 0].double() - grad).norm() / grad.norm().clamp(min=1e-37)),
            abs(naive(x.detach(), w, label, margin).item() - value) / max(value, 1e-37),
        ]
        worst = [max(a, b) for a, b in zip(worst, found, strict=True)]
    return worst[0], worst[1], worst[2]


SCALES, MARGINS = (1e-3, 1.0, 16.0, 64.0, 128.0), (0.0, 0.4, 9.0, 30.0)


@pytest.mark.parametrize("classes", [2, 1000, 20_000])
def test_value_to_1e5_and_gradient_to_1e4_of_float64(classes: int) -> None:
    controls = []
    for scale in SCALES:
        for margin in MARGINS:
            value, grad, control = errors(classes, scale, margin, seed=classes)
            assert value <= VALUE, (scale, margin)
            assert grad <= GRADIENT, (scale, margin)
            controls.append(control)
    if classes == 2:
        assert max(controls) > 0.5  # the usual form loses a small loss whole


@pytest.mark.slow
def test_value_and_gradient_hold_with_360_000_classes() -> None:
    for scale in SCALES:
        for margin in (0.0, 30.0):
            value, grad, _ = errors(360_000, scale, margin, seed=360)
            assert value <= VALUE, (scale, margin)
            assert grad <= GRADIENT, (scale, margin)


def test_a_million_random_cases_give_neither_nan_nor_infinity() -> None:
    """64 batches of 16384 images, each image another case of cosine, confidence and label."""
    g = torch.Generator().manual_seed(0)
    broken = control = 0
    for _ in range(64):
        angle = torch.rand(16384, generator=g) * 6.2832
        scale = 10 ** (torch.rand(16384, generator=g) * 5.1 - 3)
        x = torch.stack([angle.cos(), angle.sin()], 1) * scale[:, None]
        x[:4] = torch.tensor([[128.0, 0.0], [-128.0, 0.0], [1e-3, 0.0], [0.0, 0.0]])
        w = torch.randn(6, 1, 2, generator=g)
        w[0, 0, 1], w[1, 0] = 0.0, torch.tensor([-1.0, 0.0])
        margin = float(torch.rand((), generator=g) * 30)
        labels = torch.randint(6, (16384,), generator=g)
        x, w = x[:, None].requires_grad_(), w.requires_grad_()
        loss = tiled_cross_entropy(x, w, labels, lambda a, m=margin: a - m)  # type: ignore[misc]
        loss.backward()
        assert x.grad is not None
        assert w.grad is not None
        parts = (loss, x.grad, w.grad)
        broken += sum(int((~torch.isfinite(part)).sum()) for part in parts)
        # The control: exponentials without the highest taken off.
        raw = (x[:, 0] @ F.normalize(w, dim=2)[:, 0].T).detach()
        control += int((~torch.isfinite(torch.log(raw.exp().sum(1)))).sum())
    assert broken == 0
    assert control > 0
