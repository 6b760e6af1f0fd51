"""Made-up results of every shape that the report takes, for its tests."""

from __future__ import annotations

import base64
from typing import Any

import cv2
import numpy as np

from urface.metrics.intervals import rate, withheld

CONDITIONS = [
    {"key": "clean", "name": "Clean", "what": "Faces as they are."},
    {
        "key": "degraded",
        "name": "Degraded",
        "what": "Each face has one of three things done to it, drawn by its name: a Gaussian blur,"
        " shrinking to 8 to 24 pixels a side, or 10 to 30 of 49 blocks in black.",
    },
]
MODELS = [
    ("cosface", "CosFace baseline", "cosine", 0.842, 0.70),
    ("augmented", "Baseline + variation augmentation", "cosine", 0.858, 0.771),
    ("confidence", "Confidence-aware, K = 16", "cosine", 0.866, 0.786),
    ("aggregated", "+ probabilistic aggregation", "likelihood", 0.871, 0.812),
]
WITHHELD_REASON = "too few false accepts are allowed, at least thirty are needed"


def share(value: float, trials: int) -> dict[str, Any]:
    """A rate near ``value`` as JSON holds it."""
    return rate(round(value * trials), trials).to_dict()


def verification(level: float) -> dict[str, Any]:
    """Accuracy, and TAR where the data supports it and where it does not."""
    return {
        "accuracy": share(level, 6000),
        "standard_error": 0.0043,
        "tar": [
            {
                "far": 0.01,
                "tar": share(level - 0.3, 3000),
                "far_achieved": share(0.0093, 3000),
                "threshold": 0.3127,
            },
            {
                "far": 0.001,
                "tar": withheld(WITHHELD_REASON, 3000).to_dict(),
                "far_achieved": None,
                "threshold": None,
            },
        ],
    }


def identification(level: float, supported: bool) -> dict[str, Any]:
    """Ranks 1, 5, 10 and TPIR at FPIR 1% and 10%; the first may be withheld."""
    strict = share(level - 0.45, 1500) if supported else withheld(WITHHELD_REASON, 40).to_dict()
    return {
        "closed": {
            "1": share(level - 0.2, 1500),
            "5": share(level - 0.08, 1500),
            "10": share(level - 0.03, 1500),
        },
        "open": [
            {"fpir": 0.01, "tpir": strict, "fpir_achieved": share(0.0088, 3200)},
            {"fpir": 0.1, "tpir": share(level - 0.25, 1500), "fpir_achieved": share(0.098, 3200)},
        ],
    }


def face(seed: int) -> str:
    """A smooth colour patch as base64 PNG: no face is needed to test a page."""
    y, x = np.mgrid[0:112, 0:112] / 111.0
    tone = 0.5 + 0.5 * np.sin(3 * x + seed) * np.cos(4 * y - seed)
    image = np.stack([tone * 190 + 30, tone * 150 + 40, tone * 120 + 50], axis=-1)
    return base64.b64encode(cv2.imencode(".png", image.astype(np.uint8))[1].tobytes()).decode()


def curve(name: str, level: float, aware: bool, rng: np.random.Generator) -> dict[str, Any]:
    """A falling loss; models that know their confidence log it too."""
    steps = np.arange(10, 3001, 10)
    loss = 4 + 24 * np.exp(-steps / 700) * (1.6 - level) + rng.normal(0, 0.25, len(steps))
    lines: dict[str, Any] = {"name": name, "steps": steps.tolist(), "L_idt": loss.tolist()}
    if aware:
        lines["confidence_mean"] = (16 + 20 * (1 - np.exp(-steps / 900))).tolist()
        lines["L_reg"] = (0.4 + 0.5 * np.exp(-steps / 400)).tolist()
    return lines


def fake_results() -> dict[str, Any]:
    """Everything the report can show, with two withheld rates."""
    rng = np.random.default_rng(3)
    shares = [i / 20 for i in range(11)]
    error = [0.142 * (1 - 0.75 * s) for s in shares]
    return {
        "title": "urface on built-in synthetic faces",
        "lead": [
            "On degraded faces, rank-1 identification rose from 50.0% to 61.2%.",
            "The model is less sure of degraded faces than of clean ones.",
        ],
        "created": "2026-11-24T01:02:03Z",
        "command": "urface reproduce --recipe demo --output runs/demo --seed 0",
        "seconds": {
            "data": 12.0,
            "train cosface": 70.1,
            "train augmented": 74.9,
            "train confidence": 81.3,
            "train uncertainty": 14.2,
            "evaluate": 31.0,
            "total": 300.2,
        },
        "data": {
            "train": {"name": "synthetic, seed 1", "identities": 400, "images": 4800},
            "test": {
                "name": "synthetic, seed 2",
                "identities": 700,
                "images": 5000,
                "pairs": 6000,
                "enrolled": 300,
                "mated_probes": 1500,
                "nonmated_probes": 3200,
            },
        },
        "conditions": CONDITIONS,
        "rows": [
            {
                "key": key,
                "name": name,
                "method": method,
                "seed": 0,
                "note": "",
                "verification": {"clean": verification(clean), "degraded": verification(degraded)},
                "identification": {
                    "clean": identification(clean, supported=True),
                    "degraded": identification(degraded, supported=key != "cosface"),
                },
            }
            for key, name, method, clean, degraded in MODELS
        ],
        "reference": [
            {
                "name": name,
                "verification": {"clean": verification(clean), "degraded": verification(degraded)},
            }
            for name, clean, degraded in (
                ("Raw pixels", 0.61, 0.55),
                ("Random network", 0.59, 0.54),
            )
        ],
        "curves": {
            key: curve(name, clean, key in ("confidence", "aggregated"), rng)
            for key, name, _, clean, _ in MODELS[:3]
        },
        "uncertainty": {
            "note": "Mean log σ² of a face over its 16 sub-embeddings; larger is less sure.",
            "by_condition": [
                {"key": "clean", "name": "Clean", "quantiles": [-4.1, -3.7, -3.4, -3.1, -2.4]},
                {
                    "key": "degraded",
                    "name": "Degraded",
                    "quantiles": [-3.6, -2.9, -2.3, -1.6, -0.8],
                },
            ],
            "examples": [
                {
                    "image": face(i),
                    "caption": "clean" if i < 8 else "degraded: blocks",
                    "sigma": np.exp(-2 + 0.12 * i + rng.normal(0, 0.25, 16)).tolist(),
                    "uncertainty": -4.0 + 0.24 * i,
                }
                for i in range(15)
            ],
        },
        "discard": {
            "name": "Error of verification on degraded faces",
            "shares": shares,
            "error": error,
            "low": [e - 0.012 for e in error],
            "high": [e + 0.013 for e in error],
            "random": 0.142,
        },
        "settings": {
            "model.backbone": "small",
            "model.embeddings": 16,
            "model.dims": 32,
            "train.steps": 3000,
            "variations.blur_kernels": [3, 11],
            "optim.learning_rate": 0.05,
        },
        "machine": {"processor": "Example CPU 2.0 GHz", "cores": 2, "torch": "2.13.0"},
    }
