"""urface: face recognition that knows what it does not know.

    embedder = urface.load("runs/demo/model.safetensors")
    faces = embedder.embed(images)               # uint8 RGB [B, H, W, 3], aligned
    urface.score(faces[:1], faces[1:])           # likelihood that both show one person
    urface.fuse(faces, template_ids)             # several images become one template

Importing this package is light: torch is imported at the first use that needs it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from urface.types import FaceEmbedding, UserError

if TYPE_CHECKING:
    from urface import losses
    from urface.embedder import Embedder, load
    from urface.gallery import Gallery
    from urface.scoring import fuse, score, score_matrix

__version__ = "0.1.0"

_DOORS = {
    "Embedder": "urface.embedder",
    "Gallery": "urface.gallery",
    "load": "urface.embedder",
    "fuse": "urface.scoring",
    "score": "urface.scoring",
    "score_matrix": "urface.scoring",
}

__all__ = [
    "Embedder",
    "FaceEmbedding",
    "Gallery",
    "UserError",
    "fuse",
    "load",
    "losses",
    "score",
    "score_matrix",
]


def __getattr__(name: str) -> Any:
    if name in _DOORS:
        return getattr(importlib.import_module(_DOORS[name]), name)
    if name == "losses":
        return importlib.import_module("urface.losses")
    raise AttributeError(f"module 'urface' has no attribute {name!r}")
