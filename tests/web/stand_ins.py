"""A small service for tests: an untrained model, a made-up calibration, a detector that finds the middle."""

from __future__ import annotations

import functools
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from small_model import SETTINGS, pictures, small_model
from urface.data.decode import encode_png
from urface.decision import Decision, Point
from urface.embedder import Embedder
from urface.gallery import Gallery
from urface.metrics.calibration import ScoreCalibration
from urface.photos import FoundFace
from urface.template import TEMPLATE
from urface.web.app import create_app
from urface.web.engine import Engine
from urface.web.limits import Limits
from urface.web.people import PersonIds
from urface.web.service import Service, model_note

GALLERY_KEY = bytes(range(32))
DIGEST = "0123456789abcdef" * 4
NO_RATE = Limits(requests_per_second=1e9, burst=10**9)


def made_up_decision(unsure_above: float = 1e9) -> Decision:
    """Numbers that were fitted on nothing."""
    return Decision(
        "likelihood",
        (Point(0.01, 10.0, 99, 10_000), Point(0.001, 20.0, 9, 10_000)),
        "made-up pairs",
        unsure_above,
        demonstration=True,
        calibration=ScoreCalibration("logistic", 0.5, 100, 10_000, 0.2, -3.0),
    )


def gallery_in(folder: Path, decision: Decision | None = None) -> Gallery:
    """A new gallery of the model, searched without FAISS."""
    shape = (SETTINGS.sub_embeddings, SETTINGS.embedding_dim // SETTINGS.sub_embeddings)
    return Gallery.create(
        folder, model=DIGEST, shape=shape, key=GALLERY_KEY, index="exact:", decision=decision
    )


class MiddleDetector:
    """A face in the middle half of every photo that is not of one colour."""

    name = "middle"

    def detect(self, photo: np.ndarray) -> list[FoundFace]:
        if photo.std() < 1:
            return []
        height, width = photo.shape[:2]
        side = min(height, width) / 2
        corner = np.float32([(width - side) / 2, (height - side) / 2])
        box = np.concatenate([corner, corner + side]).astype(np.float32)
        return [FoundFace(box, (corner + TEMPLATE * side / 112).astype(np.float32), 0.9)]


@functools.cache
def embedder() -> Embedder:
    return Embedder(small_model(), SETTINGS)


def service(
    *,
    decision: Any = None,
    folder: Path | None = None,
    detector: Callable[[], Any] | None = MiddleDetector,
    limits: Limits = NO_RATE,
    workers: int = 1,
    **more: Any,
) -> Service:
    decision = decision or made_up_decision()
    return Service(
        engine=Engine(embedder(), detector, workers, limits),
        decision=decision,
        model=model_note("stand-in", DIGEST, decision, False),
        gallery=gallery_in(folder / "gallery", decision) if folder else None,
        ids=PersonIds(GALLERY_KEY) if folder else None,
        hosts=more.pop("hosts", ("127.0.0.1", "localhost", "[::1]")),
        limits=limits,
        **more,
    )


def client(built: Service, **headers: str) -> httpx.AsyncClient:
    """Speaks to the application in this process, past any socket."""
    transport = httpx.ASGITransport(app=create_app(built), raise_app_exceptions=True)
    return httpx.AsyncClient(
        transport=transport, base_url="http://127.0.0.1:8000", headers=headers, timeout=60
    )


@functools.cache
def photo(seed: int = 0, size: int = 112) -> bytes:
    """A PNG of a smooth pattern."""
    return encode_png(pictures(1, size // 7 * 7, seed)[0])


def images(*seeds: int, name: str = "images") -> list[tuple[str, tuple[str, bytes, str]]]:
    return [(name, (f"{seed}.png", photo(seed), "image/png")) for seed in seeds]


CONSENT = {
    "reference": "form 7",
    "purpose": "tests",
    "expires": (datetime.now(UTC).date() + timedelta(days=30)).isoformat(),
}
PACKAGE = Path(__file__).parents[2] / "src" / "urface" / "web"
