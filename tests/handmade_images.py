"""Image files of every kind that cameras, editors and attackers write, always alike (G20 to G22)."""

from __future__ import annotations

import functools
import io
import struct
import zlib
from collections.abc import Iterator

import numpy as np
from PIL import Image, ImageCms, PngImagePlugin

LOSSLESS: dict[str, dict[str, object]] = {"PNG": {}, "WEBP": {"lossless": True, "exact": True}}
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
ZIP_TAIL = b"PK\x03\x04" + bytes(26) + b"<script>alert(1)</script>" + b"PK\x05\x06" + bytes(18)


def smooth(height: int = 24, width: int = 40) -> np.ndarray:
    """A picture of slow waves, which every codec keeps nearly as it is."""
    y, x = np.mgrid[:height, :width]
    waves = [np.sin(x / 9 + 1), np.cos(y / 7), np.sin((x + y) / 11 + 2)]
    return np.stack([(127 + 120 * wave) for wave in waves], axis=-1).astype(np.uint8)


def packed(image: Image.Image | np.ndarray, kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    picture = image if isinstance(image, Image.Image) else Image.fromarray(image)
    picture.save(out, kind, **options)
    return out.getvalue()


def png_chunk(name: bytes, body: bytes) -> bytes:
    checksum = struct.pack(">I", zlib.crc32(name + body))
    return struct.pack(">I", len(body)) + name + body + checksum


def png(
    width: int,
    height: int,
    depth: int,
    colour: int,
    rows: bytes,
    extra: bytes = b"",
    interlaced: int = 0,
    level: int = 9,
) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced)
    body = png_chunk(b"IHDR", header) + extra + png_chunk(b"IDAT", zlib.compress(rows, level))
    return PNG_SIGNATURE + body + png_chunk(b"IEND", b"")


def bomb_png() -> bytes:
    """400 million 1-bit pixels, all present, in 48 KB."""
    return png(20_000, 20_000, 1, 0, b"\0" * (2501 * 20_000))


def jpeg_with_size(width: int, height: int) -> bytes:
    data = bytearray(packed(smooth(), "JPEG"))
    frame = data.index(b"\xff\xc0")
    data[frame + 5 : frame + 9] = struct.pack(">HH", height, width)
    return bytes(data)


def webp_with_size(kind: bytes) -> bytes:
    """A WebP of a few bytes that states the largest size its ``kind`` of header can."""
    if kind == b"VP8X":
        return b"RIFF\x16\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0" + b"\xff" * 6
    if kind == b"VP8L":
        return b"RIFF\x16\0\0\0WEBPVP8L\x0a\0\0\0\x2f\xff\xff\xff\x0f" + b"\0" * 5
    return b"RIFF\x16\0\0\0WEBPVP8 \x0a\0\0\0\0\0\0\x9d\x01\x2a\xff\x3f\xff\x3f"


def sixteen_bits(channels: int) -> bytes:
    values = np.linspace(0, 65535, 40 * 24).reshape(24, 40, 1) * np.linspace(1, 0.5, channels)
    rows = b"".join(b"\0" + row.tobytes() for row in values.astype(">u2"))
    return png(40, 24, 16, {1: 0, 2: 4, 3: 2, 4: 6}[channels], rows)


def interlaced_png() -> bytes:
    """Gray, its pixels in the seven passes of Adam7."""
    gray = smooth()[..., 0]
    starts = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2))
    passes = [gray[top::down, left::right] for top, left, down, right in (*starts, (1, 0, 2, 1))]
    rows = b"".join(b"\0" + row.tobytes() for part in passes for row in part)
    return png(40, 24, 8, 0, rows, interlaced=1)


def exif(orientation: int) -> Image.Exif:
    notes = Image.Exif()
    notes[0x0112] = orientation
    return notes


def _with_alpha() -> Image.Image:
    picture = Image.fromarray(smooth())
    picture.putalpha(Image.fromarray(np.tile(np.arange(40, dtype=np.uint8) * 6, (24, 1))))
    return picture


def _jpegs() -> Iterator[tuple[str, bytes]]:
    plain, picture = smooth(), Image.fromarray(smooth())
    for orientation in range(1, 9):
        yield f"exif {orientation}", packed(plain, "JPEG", exif=exif(orientation))
    for number, name in enumerate(("4:4:4", "4:2:2", "4:2:0")):
        yield name, packed(plain, "JPEG", subsampling=number)
    yield "gray", packed(picture.convert("L"), "JPEG")
    yield "gray, progressive", packed(picture.convert("L"), "JPEG", progressive=True)
    yield "progressive", packed(plain, "JPEG", progressive=True)
    yield "quality 5", packed(plain, "JPEG", quality=5)
    yield "quality 100", packed(plain, "JPEG", quality=100)
    yield "restart markers", packed(plain, "JPEG", restart_marker_blocks=1)
    yield "RGB without a transform", packed(plain, "JPEG", keep_rgb=True)
    yield "CMYK", packed(picture.convert("CMYK"), "JPEG")
    yield "CMYK, progressive", packed(picture.convert("CMYK"), "JPEG", progressive=True)
    yield "a profile", packed(plain, "JPEG", icc_profile=profile())
    yield "a script in its comment", packed(plain, "JPEG", comment=b"<?php system($_GET[0]); ?>")
    yield "a zip behind it", packed(plain, "JPEG") + ZIP_TAIL
    yield "a second JPEG behind it", packed(plain, "JPEG") + packed(255 - plain, "JPEG")
    yield "one pixel", packed(plain[:1, :1], "JPEG")
    yield "odd sides", packed(plain[:3, :17], "JPEG")


def profile() -> bytes:
    """A colour profile, without the time of its making."""
    made = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes())
    made[24:36] = bytes(12)
    return bytes(made)


def _pngs() -> Iterator[tuple[str, bytes]]:
    plain, picture = smooth(), Image.fromarray(smooth())
    for orientation in range(1, 9):
        yield f"exif {orientation}", packed(plain, "PNG", exif=exif(orientation))
    for mode in ("1", "L", "RGB"):
        yield f"mode {mode}", packed(picture.convert(mode), "PNG")
    yield "gray with alpha", packed(_with_alpha().convert("LA"), "PNG")
    yield "alpha", packed(_with_alpha(), "PNG")
    for bits in (1, 2, 4, 8):
        yield f"palette of {bits} bits", packed(picture.quantize(2**bits, 1), "PNG", bits=bits)
    yield "palette with transparency", packed(picture.quantize(8, 1), "PNG", transparency=1)
    for channels in range(1, 5):
        yield f"16 bits, {channels} channels", sixteen_bits(channels)
    yield "colour key", packed(plain, "PNG", transparency=(0, 0, 0))
    yield "interlaced", interlaced_png()
    frames = [Image.fromarray(plain + level) for level in (0, 40, 80)]
    yield "animated", packed(frames[0], "PNG", save_all=True, append_images=frames[1:])
    yield "a profile", packed(plain, "PNG", icc_profile=profile())
    notes = PngImagePlugin.PngInfo()
    notes.add_text("comment", "<script>alert(1)</script>", zip=True)
    yield "a script in its text", packed(plain, "PNG", pnginfo=notes)
    bomb = png_chunk(b"zTXt", b"x\0\0" + zlib.compress(bytes(60_000_000), 9))
    yield "a bomb in its text", packed(plain, "PNG")[:33] + bomb + packed(plain, "PNG")[33:]
    yield "a zip behind it", packed(plain, "PNG") + ZIP_TAIL
    yield "one pixel", packed(plain[:1, :1], "PNG")


def _webps() -> Iterator[tuple[str, bytes]]:
    plain = smooth()
    for orientation in (1, 3, 6, 8):
        yield f"exif {orientation}", packed(plain, "WEBP", exif=exif(orientation), lossless=True)
    yield "lossy", packed(plain, "WEBP")
    yield "lossless", packed(plain, "WEBP", lossless=True)
    yield "lossy with alpha", packed(_with_alpha(), "WEBP")
    yield "lossless with alpha", packed(_with_alpha(), "WEBP", lossless=True, exact=True)
    frames = [Image.fromarray(plain + level) for level in (0, 40, 80)]
    yield "animated", packed(frames[0], "WEBP", save_all=True, append_images=frames[1:])
    yield "a profile", packed(plain, "WEBP", icc_profile=profile())
    yield "XMP", packed(plain, "WEBP", xmp=b"<x/>", lossless=True)
    yield "a zip behind it", packed(plain, "WEBP") + ZIP_TAIL
    yield "one pixel", packed(plain[:1, :1], "WEBP", lossless=True)


def good_images() -> dict[str, bytes]:
    """Files that have an image to give, by what is special about them."""
    kinds = (("JPEG", _jpegs()), ("PNG", _pngs()), ("WebP", _webps()))
    return {f"{kind}, {name}": data for kind, files in kinds for name, data in files}


def bad_images() -> dict[str, bytes]:
    """Files that must be refused: nothing, cut off, damaged, of another kind in front, or bombs."""
    found = {"nothing": b"", "one byte": b"\xff", "zeros": bytes(5000), "text": b"not an image"}
    for kind in ("JPEG", "PNG", "WEBP"):
        data = packed(smooth(), kind)
        for share in (8, 4, 2):
            found[f"{kind} cut to 1/{share}"] = data[: len(data) // share]
        found[f"{kind} without its last byte"] = data[:-1]
        found[f"{kind} without its first byte"] = data[1:]
        found[f"{kind} behind a GIF's header"] = b"GIF89a" + data
        found[f"{kind} behind a PDF's header"] = b"%PDF-1.4\n" + data
        if kind != "WEBP":  # lossy, with the length it states: zeros are a picture too
            zeros = data[: len(data) // 2] + bytes(len(data))
            found[f"{kind} with zeros for its second half"] = zeros
    png_data = packed(smooth(), "PNG")
    found["PNG with a wrong checksum"] = png_data[:-20] + b"\0" + png_data[-19:]
    found["PNG with too few rows"] = png(200, 200, 8, 2, bytes(1000))
    found["PNG of an unknown depth"] = png(8, 8, 7, 2, bytes(1000))
    found["PNG of an unknown colour"] = png(8, 8, 8, 5, bytes(1000))
    found["JPEG of 12 bits"] = packed(smooth(), "JPEG").replace(
        b"\xff\xc0\x00\x11\x08", b"\xff\xc0\x00\x11\x0c"
    )
    return found | bombs()


@functools.cache
def bombs() -> dict[str, bytes]:
    """Small files that would take a gigabyte or minutes (G21)."""
    scans = packed(smooth(), "JPEG", progressive=True)
    last = scans[scans.rindex(b"\xff\xda") : -2]
    return {
        "PNG of 20,000 x 20,000": bomb_png(),
        "PNG of 20,000 x 3": png(20_000, 3, 8, 0, b""),
        "PNG of 64 million pixels": png(8_000, 8_000, 8, 0, b""),
        "PNG of 25 million pixels of 16 bits": png(5_000, 5_000, 16, 6, b""),
        "PNG of no width": png(0, 5, 8, 0, b""),
        "PNG of 2^32 - 1": png(2**32 - 1, 2**32 - 1, 8, 0, b""),
        "JPEG of 60,000 x 60,000": jpeg_with_size(60_000, 60_000),
        "JPEG of 16,000 x 16,000": jpeg_with_size(16_000, 16_000),
        "JPEG of no height": jpeg_with_size(5, 0),
        "JPEG of very many scans": scans[:-2] + last * 60 + b"\xff\xd9",
        "WebP of 2^24": webp_with_size(b"VP8X"),
        "lossless WebP of 16,384": webp_with_size(b"VP8L"),
        "lossy WebP of 16,383": webp_with_size(b"VP8 "),
        "more bytes than an image may have": packed(smooth(), "JPEG") + bytes(10_000_001),
    }
