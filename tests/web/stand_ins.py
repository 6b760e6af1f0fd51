"""A small service for tests: an untrained model, a made-up calibration, a detector that finds the middle."""

from __future__ import annotations

import functools
import threading
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
from urface.gallery import EnrolledPerson, Identification, Match, PersonTemplate
from urface.metrics.calibration import ScoreCalibration
from urface.photos import FoundFace
from urface.scoring import fuse, score_matrix
from urface.template import TEMPLATE
from urface.types import FaceEmbedding, UserError
from urface.web.app import create_app
from urface.web.engine import Engine
from urface.web.limits import Limits
from urface.web.people import PersonIds
from urface.web.service import Service, model_note

GALLERY_KEY = bytes(range(32))
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


class StandInGallery:
    """Keeps templates in a dict behind a lock."""

    def __init__(self) -> None:
        self._faces: dict[str, list[FaceEmbedding]] = {}
        self._ends: dict[str, datetime] = {}
        self._lock = threading.Lock()

    def enrol(self, person: str, faces: FaceEmbedding, consent: Any) -> EnrolledPerson:
        ends = consent.check(datetime.now(UTC), timedelta(days=3 * 365))
        with self._lock:
            kept = self._faces.setdefault(person, [])
            kept.extend(faces[place] for place in range(len(faces)))
            self._ends[person] = ends
            return EnrolledPerson(person, 1, len(kept), len(faces), ends)

    def people(self) -> list[EnrolledPerson]:
        with self._lock:
            return [
                EnrolledPerson(name, 1, len(faces), 0, self._ends[name])
                for name, faces in self._faces.items()
            ]

    def _templates(self) -> tuple[list[str], FaceEmbedding | None]:
        with self._lock:
            names = list(self._faces)
            parts = [fused(self._faces[name]) for name in names]
        return names, FaceEmbedding.concatenate(parts) if parts else None

    def search(
        self, probes: FaceEmbedding, k: int = 5, method: str = "likelihood"
    ) -> list[list[Match]]:
        names, templates = self._templates()
        if templates is None:
            return [[] for _ in range(len(probes))]
        scores = np.asarray(score_matrix(probes, templates, method))  # type: ignore[arg-type]
        return [
            [Match(names[i], float(row[i]), 0.5) for i in np.argsort(-row)[:k]] for row in scores
        ]

    def identify(self, probes: FaceEmbedding, fpir: float = 0.01) -> list[Identification]:
        found = []
        for place, matches in enumerate(self.search(probes, 1)):
            best = matches[0] if matches else None
            known = best is not None and best.score >= 20.0
            found.append(
                Identification(
                    "known" if known else "unknown",
                    best.person if best and known else None,
                    best.score if best else None,
                    0.9 if best else None,
                    20.0,
                    float(probes.uncertainty[place]),
                )
            )
        return found

    def remove(self, person: str) -> None:
        with self._lock:
            if self._faces.pop(person, None) is None:
                raise UserError("nobody of this name is enrolled")

    def template(self, person: str) -> PersonTemplate:
        with self._lock:
            if person not in self._faces:
                raise UserError("nobody of this name is enrolled")
            faces = FaceEmbedding.concatenate(self._faces[person])
        share = 1 / np.asarray(faces.variance)
        names = [str(number) for number in range(len(faces))]
        return PersonTemplate(fused([faces]), names, share / share.sum(0))

    def purge(self) -> int:
        return 0

    def close(self) -> None:
        pass


def fused(parts: list[FaceEmbedding]) -> FaceEmbedding:
    faces = FaceEmbedding.concatenate(parts)
    return fuse(faces, np.zeros(len(faces), np.int64))


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
    gallery: bool = True,
    detector: Callable[[], Any] | None = MiddleDetector,
    limits: Limits = NO_RATE,
    workers: int = 1,
    **more: Any,
) -> Service:
    decision = decision or made_up_decision()
    return Service(
        engine=Engine(embedder(), detector, workers, limits),
        decision=decision,
        model=model_note("stand-in", "0123456789abcdef0123", decision, False),
        gallery=StandInGallery() if gallery else None,  # type: ignore[arg-type]
        ids=PersonIds(GALLERY_KEY) if gallery else None,
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
