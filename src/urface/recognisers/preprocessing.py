"""From aligned faces to a network's input, as a declared preprocessing says."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

import numpy as np

from urface.data.decode import resize_image
from urface.recognisers.recogniser import Preprocessing
from urface.types import UserError

# What their authors' own code does, by the name of the family.
CONVENTIONS = {
    "insightface": Preprocessing(),
    "adaface": Preprocessing(colour="bgr"),
}
FORM = (
    "insightface, adaface, or colour=bgr,mean=0,scale=0.0039215686,size=112 (all or some of them)"
)
LARGEST = 1024


def read_preprocessing(text: str, base: Preprocessing | None = None) -> Preprocessing:
    """What a user declares: a convention's name, or ``name=value`` with commas between them.

    What is left out is ``base``'s, InsightFace's without one. ``scale`` may be a fraction: 1/255. Raises
    UserError for anything else.
    """
    if text in CONVENTIONS:
        return CONVENTIONS[text]
    values = (base or Preprocessing()).to_dict()
    for part in text.split(","):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or name not in values:
            raise UserError(f"preprocessing {part.strip()!r} is not understood: give {FORM}")
        if name == "colour":
            values[name] = value
        else:
            number = _number(name, value)
            values[name] = int(number) if name in ("size", "frame") else number
    return checked(Preprocessing(**values))


def _number(name: str, text: str) -> float:
    over = re.fullmatch(r"([\d.eE+-]+)/([\d.eE+-]+)", text)
    try:
        value = float(over[1]) / float(over[2]) if over else float(text)
    except (ValueError, ZeroDivisionError):
        value = math.nan
    if not math.isfinite(value) or (name in ("size", "frame") and value != int(value)):
        raise UserError(f"preprocessing {name}={text!r} is no number it could have: give {FORM}")
    return value


def checked(preprocessing: Preprocessing) -> Preprocessing:
    """The preprocessing itself. Raises UserError where a value is out of range."""
    p = preprocessing
    if p.colour not in ("rgb", "bgr"):
        raise UserError(f"preprocessing colour must be rgb or bgr, got {p.colour!r}")
    if not (math.isfinite(p.mean) and math.isfinite(p.scale) and p.scale > 0):
        raise UserError(
            f"preprocessing scale must be finite and above 0, got {p.scale}, mean {p.mean}"
        )
    if not 16 <= p.size <= LARGEST or not (p.frame == 0 or p.size <= p.frame <= LARGEST):
        raise UserError(
            f"preprocessing size must be from 16 to {LARGEST} and frame 0 or at least that, got size "
            f"{p.size}, frame {p.frame}"
        )
    return preprocessing


def framed(image: np.ndarray, preprocessing: Preprocessing) -> np.ndarray:
    """An aligned face as the network sees it: brought to its frame, the centre cut out, uint8."""
    frame = preprocessing.frame or preprocessing.size
    resized = resize_image(np.ascontiguousarray(image), frame)
    margin = (frame - preprocessing.size) // 2
    end = margin + preprocessing.size
    return resized[margin:end, margin:end]


def network_input(images: Sequence[np.ndarray], preprocessing: Preprocessing) -> np.ndarray:
    """float32 [B, 3, size, size] of aligned faces, RGB uint8 [H, W, 3] of any size.

    It lies in memory as [B, size, size, 3], the order that convolutions on a CPU like.
    """
    frames = np.stack([framed(image, preprocessing) for image in images])
    # A pixel has 256 values: each is computed once, in float64.
    values = (np.arange(256, dtype=np.float64) - preprocessing.mean) * preprocessing.scale
    if preprocessing.colour == "bgr":
        frames = frames[..., ::-1]
    return np.take(values.astype(np.float32), frames).transpose(0, 3, 1, 2)


def described(preprocessing: Preprocessing) -> str:
    """One line for people: what goes in."""
    p = preprocessing
    cut = f" cut from {p.frame}" if p.frame > p.size else ""
    return f"{p.colour.upper()}, (pixel - {p.mean:g}) * {p.scale:.6g}, {p.size} x {p.size}{cut}"
