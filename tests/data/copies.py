"""A small set of synthetic faces, and copies of its images as they occur in the wild."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from urface.data.decode import decode_image, encode_jpeg, encode_png, resize_image
from urface.data.synthetic import render_face


def faces(people: int, shots: int, size: int = 64) -> dict[str, np.ndarray]:
    """Key -> face, of which no two are alike."""
    return {
        f"p{person:02}/{shot}.png": render_face(3, person, shot, size).image
        for person in range(people)
        for shot in range(shots)
    }


def write(folder: Path, pictures: dict[str, np.ndarray]) -> Path:
    """The faces as PNG files."""
    for key, face in pictures.items():
        (folder / key).parent.mkdir(parents=True, exist_ok=True)
        (folder / key).write_bytes(encode_png(face))
    return folder


def altered(face: np.ndarray, way: str) -> bytes:
    """The same picture in another file: bytes, pixels (another PNG), or a near duplicate."""
    if way == "bytes":
        return encode_png(face)
    if way == "pixels":
        done, data = cv2.imencode(
            ".png", cv2.cvtColor(face, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_PNG_COMPRESSION, 0]
        )
        assert done
        return data.tobytes()
    if way == "jpeg":
        return encode_jpeg(face, 60)
    if way == "half":
        return encode_png(resize_image(face, face.shape[0] // 2))
    if way == "bright":
        return encode_png(np.clip(face * 1.1 + 6, 0, 255).astype(np.uint8))
    assert way == "gray"
    gray = cv2.cvtColor(face, cv2.COLOR_RGB2GRAY)
    return encode_jpeg(decode_image(encode_png(cv2.cvtColor(gray, cv2.COLOR_GRAY2RGB))), 80)
