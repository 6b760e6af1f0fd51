"""What commands that take photos have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from urface.commands.parser import CommandParser

if TYPE_CHECKING:
    import numpy as np

CROP_SIDE = 112
HINT = "if it is an aligned face, add --aligned"


def add_photo_options(parser: CommandParser, faces: bool = True) -> None:
    """--detector, and --faces and --jobs where many photos with many faces are welcome."""
    parser.add(
        "--detector", str, "mediapipe", help="mediapipe, or the path of a YuNet or SCRFD .onnx"
    )
    if faces:
        parser.add("--faces", Literal["largest", "all"], "largest", help="of a photo with several")
        parser.add("--jobs", int, 1, help="processes that look for faces")


def looks_aligned(image: np.ndarray) -> bool:
    """Whether an image has the size of an aligned face, which a photo hardly has."""
    return image.shape[:2] == (CROP_SIDE, CROP_SIDE)
