"""A detector by its name, or by the path of an ONNX file."""

from __future__ import annotations

from pathlib import Path

from urface.photos.found import Detector
from urface.types import UserError


def open_detector(which: str | Path = "mediapipe") -> Detector:
    """``mediapipe``, or the path of an ONNX detector with YuNet's or SCRFD's outputs.

    Raises UserError where mediapipe or onnxruntime is missing, there is no such file, or its outputs
    are of neither layout.
    """
    if str(which) == "mediapipe":
        from urface.photos.mediapipe_detector import MediapipeDetector

        try:
            return MediapipeDetector()
        except UserError as error:
            raise UserError(f"{error}; aligned faces need no detector: --aligned") from None
    path = Path(which)
    if not path.is_file():
        raise UserError(f"{path}: no such file; a detector is mediapipe, or the path of an .onnx")
    from urface.photos.onnx_detector import OnnxDetector

    return OnnxDetector(path)
