"""Bytes to pixels: the one decoder of training, evaluation and serving (reliability goals G20-G23).

Every door through which an image comes in ends here, so that all of them see the same pixels and
the same limits.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from urface.data.image_header import (
    DecodeError,
    ImageHeader,
    essential_png,
    exif_orientation,
    read_header,
)

__all__ = [
    "DecodeError",
    "DecodeLimits",
    "decode_image",
    "encode_jpeg",
    "encode_png",
    "read_image",
    "resize_image",
]

STRIP = 256  # rows composited at a time: a whole 40 Mpx image would need 240 MB for its products


@dataclass(frozen=True)
class DecodeLimits:
    """What an image may claim before it is decoded: bytes, pixels in all, pixels of a side.

    A pixel of 16 bits counts as two, for it takes twice the memory and time.
    """

    max_bytes: int = 10_000_000
    max_pixels: int = 40_000_000
    max_side: int = 16_384


DEFAULT_LIMITS = DecodeLimits()


def decode_image(
    data: bytes, limits: DecodeLimits = DEFAULT_LIMITS, name: str = "image"
) -> np.ndarray:
    """The pixels of a JPEG, PNG or WebP file: RGB uint8, [H, W, 3], contiguous.

    The orientation stored in the file (EXIF 1 to 8) is applied. 16-bit values map linearly, 65535
    to 255. Gray, palette, 1-bit and CMYK become RGB; an alpha channel is composited onto black, the
    colour that lies outside an aligned crop, so that hidden pixels stay hidden. Of an animation the
    first frame (WebP) or the still image (PNG) is taken. Colour profiles are not applied.

    Raises DecodeError, its one line beginning with ``name``, when the file is of another format,
    truncated, damaged, or over ``limits``, which are checked before anything is decoded. Flipped
    bits inside a JPEG's image data cannot be told from a picture and pass.
    """
    try:
        return _decode(data, limits)
    except DecodeError as error:
        raise DecodeError(f"{name}: {error}") from None


def _decode(data: bytes, limits: DecodeLimits) -> np.ndarray:
    if len(data) > limits.max_bytes:
        raise DecodeError(f"over {limits.max_bytes:,} bytes: make the file smaller")
    header = read_header(data)
    _check_size(header, limits)
    if header.format == "PNG":
        data = essential_png(data)
    _silence_opencv()
    try:
        decode = _decode_jpeg if header.format == "JPEG" else _decode_with_alpha
        image = decode(np.frombuffer(data, np.uint8))
    except cv2.error:
        image = None
    if image is None:
        raise DecodeError(f"damaged {header.format}: it cannot be decoded")
    if sorted(image.shape[:2]) != sorted((header.height, header.width)):
        raise DecodeError(f"damaged {header.format}: its size is not the one it states")
    return np.ascontiguousarray(image)


def _decode_jpeg(data: np.ndarray) -> np.ndarray | None:
    """RGB uint8; cv2 turns CMYK into RGB and applies the orientation when asked for colour."""
    return cv2.imdecode(data, cv2.IMREAD_COLOR_RGB)


def _decode_with_alpha(data: np.ndarray) -> np.ndarray | None:
    """RGB uint8 of a PNG or WebP; asked for alpha and 16 bits, cv2 leaves orientation to us."""
    image, kinds, blocks = cv2.imdecodeWithMetadata(data, flags=cv2.IMREAD_UNCHANGED)
    if image is None:
        return None
    orientation = 1
    for kind, block in zip(kinds, blocks, strict=True):
        if kind == cv2.IMAGE_METADATA_EXIF:
            orientation = exif_orientation(block.tobytes())
    return _upright(_to_rgb8(image), orientation)


def _upright(image: np.ndarray, orientation: int) -> np.ndarray:
    """``image`` as EXIF ``orientation`` says it is to be seen: a transposition, then two flips."""
    if orientation >= 5:
        image = image.transpose(1, 0, 2)
    if orientation in (3, 4, 7, 8):
        image = image[::-1]
    if orientation in (2, 3, 6, 7):
        image = image[:, ::-1]
    return image


def _check_size(header: ImageHeader, limits: DecodeLimits) -> None:
    width, height = header.width, header.height
    if min(width, height) < 1:
        raise DecodeError(f"damaged {header.format}: its size is {width} x {height}")
    if max(width, height) > limits.max_side:
        raise DecodeError(f"{width} x {height} pixels, a side may have {limits.max_side:,}")
    if width * height * header.sample_bytes > limits.max_pixels:
        raise DecodeError(f"{width} x {height} pixels, at most {limits.max_pixels:,} are decoded")


@functools.cache
def _silence_opencv() -> None:
    """The error raised says it once; OpenCV's own line would say it again without the name."""
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


@functools.cache
def _eight_bit_table() -> np.ndarray:
    """[65536] uint8: v -> round(v * 255 / 65535). cv2 drops the low byte instead."""
    return ((np.arange(65536) + 128) // 257).astype(np.uint8)


def _to_rgb8(image: np.ndarray) -> np.ndarray:
    """Gray, BGR or BGRA of 8 or 16 bits to RGB uint8."""
    if image.dtype == np.uint16:
        image = _eight_bit_table()[image]
    if image.ndim == 2:
        return cv2.cvtColor(image, cv2.COLOR_GRAY2RGB)
    if image.shape[2] == 3:
        return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
    rgb = np.empty((*image.shape[:2], 3), np.uint8)
    for top in range(0, len(image), STRIP):
        strip = image[top : top + STRIP]
        product = strip[..., 2::-1].astype(np.uint16) * strip[..., 3:]
        rgb[top : top + STRIP] = (product + 127) // 255
    return rgb


def read_image(path: str | Path, limits: DecodeLimits = DEFAULT_LIMITS) -> np.ndarray:
    """The pixels of the image file ``path``, as ``decode_image`` gives them.

    Raises DecodeError, beginning with the path, also when the file cannot be read.
    """
    try:
        data = read_capped(path, limits.max_bytes)
    except OSError as error:
        raise DecodeError(f"{path}: cannot be read ({error.strerror})") from None
    return decode_image(data, limits, name=str(path))


def read_capped(path: str | Path, max_bytes: int = DEFAULT_LIMITS.max_bytes) -> bytes:
    """The bytes of a file, at most one more than ``max_bytes``: a huge one is never loaded."""
    with open(path, "rb") as file:
        return file.read(max_bytes + 1)


def encode_jpeg(image: np.ndarray, quality: int = 95) -> bytes:
    """``image``, RGB uint8 [H, W, 3], as JPEG of ``quality`` 1 to 100."""
    return _encode(image, ".jpg", [cv2.IMWRITE_JPEG_QUALITY, quality])


def encode_png(image: np.ndarray) -> bytes:
    """``image``, RGB uint8 [H, W, 3], as PNG; decoding gives exactly these pixels back."""
    return _encode(image, ".png", [])


def _encode(image: np.ndarray, ending: str, options: list[int]) -> bytes:
    assert image.dtype == np.uint8
    assert image.shape[2:] == (3,), image.shape
    done, data = cv2.imencode(ending, cv2.cvtColor(image, cv2.COLOR_RGB2BGR), options)
    assert done
    return data.tobytes()


def resize_image(image: np.ndarray, size: int) -> np.ndarray:
    """``image`` at ``size`` x ``size`` pixels; the sides are scaled apart when it is not square.

    Shrinking averages areas, which keeps fine texture from turning into false edges; enlarging is
    bicubic. An image of that size already is returned as it is.
    """
    height, width = image.shape[:2]
    if (height, width) == (size, size):
        return image
    if height == width and image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3:
        from urface.data.shrink import shrinks_evenly, shrunk  # its compiler takes a second to load

        if shrinks_evenly(height, size):
            return shrunk(np.ascontiguousarray(image), size)
    shrinks = size * size < height * width
    method = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    return cv2.resize(image, (size, size), interpolation=method)
