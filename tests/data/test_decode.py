"""Claims about the one image decoder (reliability goals G20 to G23)."""

from __future__ import annotations

import hashlib
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from handmade_images import LOSSLESS, jpeg_with_size, packed, png, png_chunk, smooth, webp_with_size
from urface.data.decode import (
    DecodeError,
    DecodeLimits,
    decode_image,
    encode_jpeg,
    encode_png,
    read_image,
    resize_image,
)


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_lossless_formats_give_back_the_pixels_in_rgb_order(kind: str) -> None:
    got = decode_image(packed(smooth(), kind, **LOSSLESS[kind]))
    assert got.dtype == np.uint8
    assert got.flags.c_contiguous
    np.testing.assert_array_equal(got, smooth())


def test_jpeg_stays_within_three_levels_on_average() -> None:
    for options in ({}, {"progressive": True}, {"subsampling": 0}):
        got = decode_image(packed(smooth(), "JPEG", quality=95, **options))
        assert np.abs(got.astype(int) - smooth()).mean() < 3


def test_png_of_a_fixed_pattern_has_its_golden_digest() -> None:
    rows = b"".join(b"\0" + bytes((x * 7 + y * 13) % 256 for x in range(90)) for y in range(20))
    got = decode_image(png(30, 20, 8, 2, rows))
    digest = hashlib.sha256(got.tobytes()).hexdigest()
    assert digest == "762f4274f1d3ce797c5e1008221cb8251f45c0a8d01bf92ffefc5042a9e1e2cc"


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(
    ("kind", "alpha"),
    [("JPEG", False), ("PNG", False), ("PNG", True), ("WEBP", False), ("WEBP", True)],
)
def test_orientation_is_applied_alike_in_every_format(
    kind: str, orientation: int, alpha: bool
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture = Image.fromarray(smooth(24, 40))
    if alpha:
        picture.putalpha(255)
    options = LOSSLESS.get(kind, {"quality": 95})
    got = decode_image(packed(picture, kind, exif=exif, **options))
    stored = smooth(24, 40)
    upright = {
        1: stored,
        2: stored[:, ::-1],
        3: stored[::-1, ::-1],
        4: stored[::-1],
        5: stored.transpose(1, 0, 2),
        6: np.rot90(stored, -1),
        7: stored[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(stored),
    }[orientation]
    assert got.shape == upright.shape
    assert np.abs(got.astype(int) - upright).mean() < 3


@pytest.mark.parametrize("colour", [0, 2, 6])
def test_sixteen_bits_map_linearly_and_round(colour: int) -> None:
    channels = {0: 1, 2: 3, 6: 4}[colour]
    values = np.linspace(0, 65535, 64 * 32).astype(">u2").reshape(32, 64)
    stack = np.repeat(values[..., None], channels, axis=2)
    if colour == 6:
        stack[..., 3] = 65535
    rows = b"".join(b"\0" + row.tobytes() for row in stack)
    got = decode_image(png(64, 32, 16, colour, rows))
    expected = np.floor(values.astype(np.float64) * 255 / 65535 + 0.5).astype(np.uint8)
    np.testing.assert_array_equal(got, np.repeat(expected[..., None], 3, axis=2))


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGBA"])
def test_every_png_mode_gives_what_pillow_gives(mode: str) -> None:
    picture = Image.fromarray(smooth()).convert(mode)
    got = decode_image(packed(picture, "PNG"))
    np.testing.assert_array_equal(got, np.asarray(picture.convert("RGB")))


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_alpha_is_composited_onto_black_so_hidden_pixels_stay_hidden(kind: str) -> None:
    picture = Image.fromarray(smooth())
    alpha = np.zeros((24, 40), np.uint8)
    alpha[:, 10:20], alpha[:, 20:] = 100, 255
    picture.putalpha(Image.fromarray(alpha))
    got = decode_image(packed(picture, kind, **LOSSLESS[kind]))
    expected = np.round(smooth() * (alpha[..., None] / 255.0)).astype(np.uint8)
    np.testing.assert_array_equal(got, expected)
    assert not got[:, :10].any()


def test_transparent_palette_entries_turn_black_and_colour_keys_are_ignored() -> None:
    picture = Image.fromarray(smooth()).quantize(8)
    picture.apply_transparency()
    got = decode_image(packed(picture, "PNG", transparency=3))
    hidden = np.asarray(picture) == 3
    assert hidden.any()
    assert not got[hidden].any()
    for mode, key in (("L", 0), ("RGB", (0, 0, 0))):
        plain = Image.fromarray(smooth()).convert(mode)
        keyed = decode_image(packed(plain, "PNG", transparency=key))
        np.testing.assert_array_equal(keyed, decode_image(packed(plain, "PNG")))


def test_cmyk_jpeg_becomes_rgb() -> None:
    picture = Image.fromarray(smooth()).convert("CMYK")
    got = decode_image(packed(picture, "JPEG", quality=100, subsampling=0))
    assert np.abs(got.astype(int) - smooth()).mean() < 3


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_of_an_animation_the_first_frame_is_taken(kind: str) -> None:
    frames = [Image.fromarray(np.full((9, 12, 3), level, np.uint8)) for level in (10, 200, 90)]
    options = LOSSLESS[kind] | {"save_all": True, "append_images": frames[1:]}
    got = decode_image(packed(frames[0], kind, **options))
    np.testing.assert_array_equal(got, np.full((9, 12, 3), 10, np.uint8))


def test_a_colour_profile_and_texts_leave_the_pixels_alone() -> None:
    from PIL import ImageCms
    from PIL.PngImagePlugin import PngInfo

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    notes = PngInfo()
    notes.add_text("comment", "x" * 1000, zip=True)
    data = packed(smooth(), "PNG", icc_profile=profile, pnginfo=notes)
    np.testing.assert_array_equal(decode_image(data), smooth())


@pytest.mark.parametrize("kind", ["BMP", "GIF"])
def test_other_formats_are_refused(kind: str) -> None:
    with pytest.raises(DecodeError, match=r"^a/b: not a JPEG, PNG or WebP file"):
        decode_image(packed(smooth(), kind), name="a/b")


@pytest.mark.parametrize(
    "data", [b"", b"\0", b"\xff\xd8", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF\0\0\0\0WEBP"]
)
def test_a_file_that_is_hardly_there_is_refused(data: bytes) -> None:
    with pytest.raises(DecodeError, match=r"^face: "):
        decode_image(data, name="face")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_truncated_image_is_refused_with_its_name(kind: str) -> None:
    data = packed(smooth(), kind)
    for length in {1, len(data) // 4, len(data) // 2, len(data) - 20, len(data) - 2, len(data) - 1}:
        with pytest.raises(DecodeError, match=r"^p/x\.jpg: (truncated|not a)"):
            decode_image(data[:length], name="p/x.jpg")


def test_bytes_behind_the_image_do_no_harm() -> None:
    for kind in ("JPEG", "PNG", "WEBP"):
        data = packed(smooth(), kind)
        with_tail = decode_image(data + b"PK\x03\x04" + bytes(300))
        np.testing.assert_array_equal(with_tail, decode_image(data))


def test_a_png_with_too_few_rows_or_a_wrong_checksum_is_refused() -> None:
    with pytest.raises(DecodeError, match="damaged PNG"):
        decode_image(png(200, 200, 8, 2, b"\0" * 1000))
    data = bytearray(packed(smooth(), "PNG"))
    data[len(data) // 2] ^= 0x40
    with pytest.raises(DecodeError, match="checksum"):
        decode_image(bytes(data))


def test_a_jpeg_that_states_its_size_twice_is_refused() -> None:
    data = packed(smooth(), "JPEG")
    start = data.index(b"\xff\xc0")
    frame = data[start : start + 2 + int.from_bytes(data[start + 2 : start + 4], "big")]
    with pytest.raises(DecodeError, match="size twice"):
        decode_image(data[:start] + frame + data[start:])


def test_a_jpeg_of_very_many_scans_is_refused() -> None:
    data = packed(smooth(), "JPEG", progressive=True)
    last = data[data.rindex(b"\xff\xda") : -2]
    with pytest.raises(DecodeError, match="scans"):
        decode_image(data[:-2] + last * 60 + b"\xff\xd9")


@pytest.mark.parametrize(
    "data",
    [
        png(20_000, 3, 8, 0, b""),
        png(8_000, 8_000, 8, 0, b""),
        png(5_000, 5_000, 16, 0, b""),
        png(0, 5, 8, 0, b""),
        png(2**32 - 1, 2**32 - 1, 8, 0, b""),
        jpeg_with_size(60_000, 60_000),
        jpeg_with_size(16_000, 16_000),
        jpeg_with_size(5, 0),
        webp_with_size(b"VP8X"),
        webp_with_size(b"VP8L"),
        webp_with_size(b"VP8 "),
    ],
)
def test_a_claimed_size_over_the_limits_is_refused(data: bytes) -> None:
    with pytest.raises(DecodeError, match=r"pixels|its size is"):
        decode_image(data)


def test_limits_are_the_callers_to_set(tmp_path: Path) -> None:
    data = packed(smooth(), "PNG")
    for limits in (DecodeLimits(max_bytes=100), DecodeLimits(max_side=39)):
        with pytest.raises(DecodeError):
            decode_image(data, limits)
    with pytest.raises(DecodeError, match="24"):
        decode_image(data, DecodeLimits(max_pixels=24 * 40 - 1))
    assert decode_image(data, DecodeLimits(len(data), 24 * 40, 40)).shape == (24, 40, 3)
    path = tmp_path / "x.png"
    path.write_bytes(data)
    with pytest.raises(DecodeError, match=r"x\.png: over 100 bytes"):
        read_image(path, DecodeLimits(max_bytes=100))


def test_a_png_with_mended_checksums_reaches_the_decoder_and_still_only_refuses() -> None:
    random = np.random.default_rng(21)
    rows = b"".join(b"\4" + smooth()[y].tobytes() for y in range(24))
    for _ in range(100):
        raw = bytearray(zlib.compress(rows))
        raw[int(random.integers(2, len(raw)))] ^= int(random.integers(1, 256))
        header = struct.pack(">IIBBBBB", 40, 24, 8, 2, 0, 0, 0)
        body = png_chunk(b"IHDR", header) + png_chunk(b"IDAT", bytes(raw))
        try:
            decode_image(b"\x89PNG\r\n\x1a\n" + body + png_chunk(b"IEND", b""))
        except DecodeError:
            continue


def test_a_missing_file_is_a_decode_error_with_its_path(tmp_path: Path) -> None:
    with pytest.raises(DecodeError, match=r"no\.jpg: cannot be read"):
        read_image(tmp_path / "no.jpg")
    with pytest.raises(DecodeError, match="cannot be read"):
        read_image(tmp_path)


def test_encoders_round_trip() -> None:
    np.testing.assert_array_equal(decode_image(encode_png(smooth())), smooth())
    assert np.abs(decode_image(encode_jpeg(smooth())).astype(int) - smooth()).mean() < 3
    assert len(encode_jpeg(smooth(), quality=20)) < len(encode_jpeg(smooth(), quality=95))


def test_shrinking_averages_areas_and_equal_size_is_untouched() -> None:
    board = np.indices((64, 64)).sum(0) % 2 * 255
    image = np.repeat(board[..., None], 3, axis=2).astype(np.uint8)
    assert np.abs(resize_image(image, 32).astype(int) - 127.5).max() <= 1
    assert resize_image(image, 64) is image
    assert resize_image(image, 112).shape == (112, 112, 3)
