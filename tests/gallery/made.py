"""Embeddings of people who never were, galleries of them, and a decision rule; no torch."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from urface.gallery import Consent, Gallery
from urface.types import FaceEmbedding

if TYPE_CHECKING:
    from urface.decision import Decision

K, D = 4, 8
MODEL = "0123456789abcdef" * 4
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
KEY = bytes(range(32))


class Clock:
    """A clock that a test sets."""

    def __init__(self, now: datetime = NOW) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now


def faces_of(
    person: int,
    images: int = 1,
    noise: float = 0.05,
    seed: int = 0,
    shape: tuple[int, int] = (K, D),
) -> FaceEmbedding:
    """``images`` of one person: a direction a sub-embedding, and noise that their variances tell of."""
    centre = np.random.default_rng([7, person]).standard_normal(shape)
    centre /= np.linalg.norm(centre, axis=1, keepdims=True)
    rng = np.random.default_rng([seed, person, images])
    variance = noise**2 * rng.uniform(0.5, 2.0, (images, shape[0]))
    mean = centre + rng.standard_normal((images, *shape)) * np.sqrt(variance)[:, :, None]
    mean /= np.linalg.norm(mean, axis=2, keepdims=True)
    return FaceEmbedding(
        mean=mean.astype(np.float32),
        confidence=rng.uniform(5, 30, (images, shape[0])).astype(np.float32),
        variance=variance.astype(np.float32),
    )


def consent(days: int = 365, now: datetime = NOW) -> Consent:
    return Consent("form 17", "door of the lab", now + timedelta(days=days))


def new_gallery(folder: Path, people: int = 0, images: int = 1, **more: object) -> Gallery:
    """A gallery of "person 0", "person 1", ... of ``faces_of`` these numbers."""
    settings: dict[str, object] = {"index": "exact:", "clock": Clock(), "key": KEY} | more
    shape = settings.pop("shape", (K, D))
    gallery = Gallery.create(folder, model=MODEL, shape=shape, **settings)  # type: ignore[arg-type]
    for number in range(people):
        faces = faces_of(number, images, shape=shape)  # type: ignore[arg-type]
        gallery.enrol(f"person {number}", faces, consent())
    return gallery


def rule(threshold: float = 0.0, unsure_above: float = 10.0, smallest: float = 1e-6) -> Decision:
    """A decision of one threshold at every rate down to ``smallest``; even odds there."""
    from urface.decision import Decision, Point
    from urface.metrics.calibration import ScoreCalibration

    rates = [10.0**-n for n in range(1, 10) if 10.0**-n >= smallest * 0.99]
    points = tuple(Point(rate, threshold, 0, 10**9) for rate in rates)
    calibration = ScoreCalibration("logistic", 0.5, 1000, 1000, 1.0, -threshold)
    return Decision(
        "likelihood", points, "made pairs", unsure_above, "made", calibration=calibration
    )


def all_bytes(folder: Path) -> bytes:
    """Every byte of every file."""
    return b"\0".join(p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file())
