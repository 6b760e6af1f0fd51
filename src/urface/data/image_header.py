"""What an encoded image says about itself, read before any pixel is decoded.

A 48 KB file can claim 400 million pixels, so a decoder must be told no before it allocates. Markers
and chunks are walked as the decoders walk them (ITU-T T.81 B, PNG third edition 5, RFC 9649); a
file in which the two could disagree is refused.
"""

from __future__ import annotations

import struct
import zlib
from typing import NamedTuple

import numpy as np

from urface.types import UserError

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
# Pixels, palette, transparency and orientation. The other chunks only add risk: zipped texts and
# profiles can be bombs, and an animation's frames are not wanted.
PNG_KEPT = {b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"eXIf"}
MAX_JPEG_SCANS = 40  # encoders use about 10; each costs a pass over all pixels (40 Mpx: 33 ms)
# The bits a sample of each colour type may have: gray, RGB, palette, gray and RGB with alpha.
PNG_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
JPEG_BARE = frozenset({0x00, 0x01, 0xD8, 0xD9, *range(0xD0, 0xD8)})


class DecodeError(UserError):
    """An image that cannot be used; the message begins with its name."""


class ImageHeader(NamedTuple):
    """Format ("JPEG", "PNG" or "WebP"), the size in pixels before any rotation, bytes a sample."""

    format: str
    width: int
    height: int
    sample_bytes: int = 1


def read_header(data: bytes) -> ImageHeader:
    """The format and size that the first bytes of ``data`` declare.

    Raises DecodeError, without a name, when the file is of another format or its header is damaged.
    """
    if data[:3] == b"\xff\xd8\xff":
        return _jpeg_header(data)
    if data[:8] == PNG_SIGNATURE:
        return _png_header(data)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return _webp_header(data)
    if not data:
        raise DecodeError("the file is empty")
    raise DecodeError("not a JPEG, PNG or WebP file: convert it to one of these")


# The last JPEG's bytes up to its image data and what they say. A set's images share their tables, so for
# most the walk over their segments, a third of what Python costs a decoded face, is one comparison.
_last_front: tuple[bytes, ImageHeader] = (b"\0", ImageHeader("", 0, 0))


def _jpeg_header(data: bytes) -> ImageHeader:
    front, header = _last_front
    if not data.startswith(front):
        return _walk_jpeg(data)
    _check_jpeg_scans(data, len(front) - 4)
    return header


def _walk_jpeg(data: bytes) -> ImageHeader:
    global _last_front
    size: tuple[int, int] | None = None
    place, end = 2, len(data)
    while place + 4 <= end:
        if data[place] != 0xFF:
            raise DecodeError("damaged JPEG: bytes between its segments")
        marker = data[place + 1]
        if marker == 0xFF:  # padding before a marker
            place += 1
            continue
        if marker in JPEG_BARE:
            raise DecodeError("damaged JPEG: a marker that cannot stand before the image data")
        length = (data[place + 2] << 8) | data[place + 3]
        if marker in JPEG_FRAMES:
            if size is not None:
                raise DecodeError("damaged JPEG: it states its size twice")
            if place + 10 > end:
                break
            precision, height, width = struct.unpack_from(">BHH", data, place + 4)
            if precision != 8:
                raise DecodeError(f"a JPEG of {precision} bits: save it with 8")
            size = (width, height)
        if marker == 0xDA:
            if size is None:
                raise DecodeError("damaged JPEG: image data before its size")
            _check_jpeg_scans(data, place)
            header = ImageHeader("JPEG", *size)
            _last_front = (data[: place + 4], header)
            return header
        place += 2 + length
    raise DecodeError("truncated JPEG: it ends before its image data")


def _check_jpeg_scans(data: bytes, start: int) -> None:
    # Python is slow to search a JPEG for two bytes, 255 being so common: 16 us of 8 KB, and this 5 us.
    if not data.endswith(b"\xff\xd9") and data.find(b"\xff\xd9", start) < 0:
        raise DecodeError("truncated JPEG: its end marker is missing")
    if data.count(b"\xda", start) <= MAX_JPEG_SCANS:
        return
    raw = np.frombuffer(data, np.uint8, offset=start)
    seconds = np.flatnonzero(raw[1:] == 0xDA)
    if np.count_nonzero(raw[seconds] == 0xFF) > MAX_JPEG_SCANS:
        raise DecodeError(f"a JPEG of more than {MAX_JPEG_SCANS} scans: save it anew")


def _png_header(data: bytes) -> ImageHeader:
    if len(data) < 33:
        raise DecodeError("truncated PNG: it ends within its header")
    if data[8:16] != b"\x00\x00\x00\rIHDR":
        raise DecodeError("damaged PNG: its first chunk is not a header")
    width, height = struct.unpack_from(">II", data, 16)
    depth, colour = data[24:26]
    if depth not in PNG_DEPTHS.get(colour, ()):
        raise DecodeError(f"damaged PNG: {depth} bits of colour type {colour}")
    return ImageHeader("PNG", width, height, 2 if depth == 16 else 1)


def essential_png(data: bytes) -> bytes:
    """The PNG ``data`` with only the chunks that decide its pixels, their checksums verified.

    Raises DecodeError, without a name, for a chunk that runs past the end, a wrong checksum or a
    missing end. A transparent colour of a gray or RGB image is dropped, so it shows as it is.
    """
    keyed = data[25] in (0, 2)
    parts = [PNG_SIGNATURE]
    place = 8
    while place + 12 <= len(data):
        length = int.from_bytes(data[place : place + 4], "big")
        name = data[place + 4 : place + 8]
        end = place + 12 + length
        if end > len(data):
            raise DecodeError("truncated PNG: it ends within a chunk")
        if name in PNG_KEPT:
            checksum = int.from_bytes(data[end - 4 : end], "big")
            if zlib.crc32(memoryview(data)[place + 4 : end - 4]) != checksum:
                raise DecodeError("damaged PNG: a checksum does not fit")
            if not (keyed and name == b"tRNS"):
                parts.append(data[place:end])
        elif not name[:1].islower():  # an upper-case letter marks a chunk no reader may skip
            raise DecodeError("damaged PNG: an unknown critical chunk")
        if name == b"IEND":
            return b"".join(parts)
        place = end
    raise DecodeError("truncated PNG: its end is missing")


def exif_orientation(exif: bytes) -> int:
    """The orientation, 1 to 8, that an EXIF block states (TIFF 6.0, tag 274); 1 where none is."""
    tiff = exif.removeprefix(b"Exif\0\0")
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(tiff[:4])
    if order is None:
        return 1
    try:
        (place,) = struct.unpack_from(order + "I", tiff, 4)
        (count,) = struct.unpack_from(order + "H", tiff, place)
        for entry in range(place + 2, place + 2 + 12 * count, 12):
            tag, kind, _, value = struct.unpack_from(order + "HHIH", tiff, entry)
            if tag == 0x0112 and kind == 3 and 1 <= value <= 8:
                return value
    except struct.error:  # cut off: a photo is worth more than its notes
        return 1
    return 1


def _webp_header(data: bytes) -> ImageHeader:
    if int.from_bytes(data[4:8], "little") + 8 > len(data):
        raise DecodeError("truncated WebP: it is shorter than it says")
    kind, body = data[12:16], data[20:30]
    if len(body) < 10:
        raise DecodeError("truncated WebP: it ends within its header")
    if kind == b"VP8X":
        width = int.from_bytes(body[4:7], "little") + 1
        height = int.from_bytes(body[7:10], "little") + 1
    elif kind == b"VP8L" and body[0] == 0x2F:
        bits = int.from_bytes(body[1:5], "little")
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    elif kind == b"VP8 " and body[3:6] == b"\x9d\x01\x2a":
        width = int.from_bytes(body[6:8], "little") & 0x3FFF
        height = int.from_bytes(body[8:10], "little") & 0x3FFF
    else:
        raise DecodeError("damaged WebP: its header is not readable")
    return ImageHeader("WebP", width, height)
