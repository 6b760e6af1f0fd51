"""What an ONNX file that `urface export` wrote says of itself."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from urface.recognisers.recogniser import Preprocessing
from urface.types import UserError

KEY = "urface"  # of the file's metadata
FORMAT = "urface-onnx-1"
OUTPUTS = ("mean", "confidence", "variance")


@dataclass(frozen=True)
class Ours:
    """How such a file is read: its pixels are 0..255, since the normalisation lies inside.

    learned, has_variance  False where its confidence and variance are one constant for every face
    """

    preprocessing: Preprocessing
    parts: int
    learned: bool
    has_variance: bool


def read_ours(described: dict[str, Any]) -> Ours | None:
    """Of what onnx_worker.py tells of a model; None for a file that urface did not write.

    Raises UserError where it says so and does not fit.
    """
    text = described.get("metadata", {}).get(KEY)
    if text is None:
        return None
    try:
        told = json.loads(text)
        if told["format"] != FORMAT:
            raise UserError(f"format {told['format']!r}, this urface reads {FORMAT}")
        outputs = {output["name"]: output["shape"] for output in described["outputs"]}
        parts, size, frame = (
            int(told["sub_embeddings"]),
            int(told["input"]["size"]),
            int(told["input"]["frame"]),
        )
        if set(outputs) != set(OUTPUTS) or outputs["mean"][1] != parts:
            raise UserError(f"its outputs are {', '.join(outputs)}, not {', '.join(OUTPUTS)}")
        return Ours(
            Preprocessing(size, "rgb", 0.0, 1.0, frame if frame > size else 0),
            parts,
            bool(told["confidence"]),
            bool(told["variance"]),
        )
    except UserError:
        raise
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        raise UserError("what it says of itself (metadata urface) is damaged") from None
