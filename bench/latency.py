"""One photo to an answer: decode, detect, align, embed, compare with a known face, on at most two threads.

    python bench/latency.py [turns]

Photos are made: a synthetic face on a plain wall, 960 x 1,280 JPEG. The model in the box, and an iresnet50 of
random weights, whose time does not depend on them. A line for each part too, since that says where to look.
Needs mediapipe (make setup-faces). About a minute.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from statistics import median

import cv2
import numpy as np
import torch

import urface
from figure import Figure, tell
from urface.config import ModelSettings, ObjectiveSettings
from urface.data.decode import decode_image
from urface.data.synthetic import ShotStyle, render_face
from urface.decision import decision_of
from urface.memory import keep_freed_memory
from urface.models.urface import build_urface
from urface.photos import aligned_face, open_detector

THREADS = 2
TURNS = 100
AIMS = {"demonstration": 40.0, "iresnet50": 120.0}  # ms, the median


def photos(count: int) -> list[bytes]:
    """JPEGs of one face each, 420 pixels wide, somewhere on the wall."""
    random = np.random.default_rng(0)
    made = []
    for person in range(count):
        image = np.full((960, 1280, 3), 150, np.uint8)
        face = render_face(5, person, 0, 210, style=ShotStyle(frontal=True)).image
        face = cv2.resize(face, (420, 420), interpolation=cv2.INTER_CUBIC)
        top, left = random.integers(0, [540, 860])
        image[top : top + 420, left : left + 420] = face
        _, code = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 92])
        made.append(code.tobytes())
    return made


def embedders() -> dict[str, urface.Embedder]:
    """Both models, in float32 on the CPU."""
    settings = ModelSettings("iresnet50", 112)
    large = build_urface(settings, ObjectiveSettings())
    for (
        module
    ) in large.modules():  # without statistics of its own random weights its features vanish
        if isinstance(module, (torch.nn.BatchNorm1d, torch.nn.BatchNorm2d)):
            module.momentum = 1.0
    with torch.no_grad():
        large(torch.randint(0, 256, (4, 112, 112, 3), dtype=torch.uint8))
    return {
        "demonstration": urface.load("demonstration", "cpu", "fp32"),
        "iresnet50": urface.Embedder(large, settings, device="cpu", precision="fp32"),
    }


def measure(turns: int = TURNS) -> list[Figure]:
    """p50 and p99 of both models, and the median of each part."""
    keep_freed_memory()  # as `urface serve` does
    torch.set_num_threads(THREADS)
    cv2.setNumThreads(THREADS)
    detector = open_detector()
    jpegs = photos(8)
    figures = []
    for name, embedder in embedders().items():
        decision = decision_of(urface.load("demonstration", "cpu", "fp32").facts)
        assert decision is not None
        known = embedder.embed(render_face(5, 0, 1, 112).image[None])
        parts: dict[str, list[float]] = {}

        def timed(part: str, work: Callable, *given: object, into: dict = parts) -> object:
            start = time.perf_counter()
            result = work(*given)
            into.setdefault(part, []).append(1000 * (time.perf_counter() - start))
            return result

        def answer(data: bytes, model: urface.Embedder = embedder, rule=decision, other=known):
            image = timed("decode", decode_image, data)
            face = timed("detect and align", aligned_face, image, detector)
            probe = timed("embed", model.embed, [face.image])
            return timed("compare", lambda: rule.probability(urface.score(probe, other)))

        for data in jpegs:
            answer(data)  # the first of anything is slower
        parts.clear()
        whole, work = [], []
        for turn in range(turns):
            start, used = time.perf_counter(), time.process_time()
            answer(jpegs[turn % len(jpegs)])
            whole.append(1000 * (time.perf_counter() - start))
            work.append(1000 * (time.process_time() - used))
        what = f"one photo to an answer, {name}, {THREADS} threads"
        figures.append(Figure(f"{what}, p50", median(whole), "ms", AIMS[name]))
        figures.append(Figure(f"{what}, p99", float(np.quantile(whole, 0.99)), "ms"))
        figures.append(Figure(f"{what}, processor time, p50", median(work), "ms"))
        figures += [
            Figure(f"of that {part}, p50", median(times), "ms") for part, times in parts.items()
        ]
    return figures


if __name__ == "__main__":
    for figure in measure(int(sys.argv[1]) if len(sys.argv) > 1 else TURNS):
        tell(figure)
