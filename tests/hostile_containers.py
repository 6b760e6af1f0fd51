"""Tars and RecordIO sets that would write elsewhere, lie about their lengths or hide their end (G27)."""

from __future__ import annotations

import io
import struct
import tarfile
import unicodedata
from collections.abc import Iterator

from urface.data.decode import encode_png
from urface.data.record_frames import MAGIC_BYTES
from urface.data.records import HEADER

FORMS = {"ustar": tarfile.USTAR_FORMAT, "gnu": tarfile.GNU_FORMAT, "pax": tarfile.PAX_FORMAT}
KINDS = {
    "a symbolic link": tarfile.SYMTYPE,
    "a hard link": tarfile.LNKTYPE,
    "a character device": tarfile.CHRTYPE,
    "a block device": tarfile.BLKTYPE,
    "a pipe": tarfile.FIFOTYPE,
    "a sparse file": tarfile.GNUTYPE_SPARSE,
    "a volume": b"V",
    "of an unknown kind": b"Z",
}
OUTSIDE = (
    "../outside/x.png",
    "../../outside/x.png",
    "a/../../outside/x.png",
    "a/..",
    "..",
    "./../outside/x.png",
    "/outside/x.png",
    "//outside/x.png",
    "a/./x.png",
    "a//x.png",
)


def picture(level: int) -> bytes:
    import numpy as np

    return encode_png(np.full((8, 8, 3), level, np.uint8))


def member(name: str, data: bytes = b"", kind: bytes = tarfile.REGTYPE) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size, info.type = len(data), kind
    if kind != tarfile.REGTYPE:
        info.linkname = "/etc/passwd"
    return info


def packed(form: int, *members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as tar:
        for info, data in members:
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def with_header(data: bytes, place: int, new: bytes) -> bytes:
    """``data`` with bytes of its first header changed and its sum mended."""
    header = bytearray(data[:512])
    header[place : place + len(new)] = new
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header) + data[512:]


def hostile_tars() -> Iterator[tuple[str, bytes]]:
    """Each between good members or alone, in each dialect that can say it."""
    good = [(member(f"a/{n}.png", picture(n)), picture(n)) for n in range(3)]
    whole = packed(tarfile.PAX_FORMAT, *good)
    for form_name, form in FORMS.items():
        for name in OUTSIDE:
            yield f"{form_name}: {name}", packed(form, *good, (member(name, b"x"), b"x"))
        for what, kind in KINDS.items():
            yield f"{form_name}: {what}", packed(form, *good, (member("a/x.png", kind=kind), b""))
            out = member("../x.png", kind=kind)
            yield f"{form_name}: {what} outside", packed(form, (out, b""), *good)
        yield f"{form_name}: the same name twice", packed(form, *good, good[0])
        link = member("b", kind=tarfile.SYMTYPE)
        link.linkname = "/tmp"
        through = (member("b/x.png", b"x"), b"x")
        yield f"{form_name}: a file through a link", packed(form, (link, b""), through)
        if form != tarfile.USTAR_FORMAT:
            accents = [unicodedata.normalize(f, "a/\u00eb.png") for f in ("NFC", "NFD")]
            two = [(member(name, b"x"), b"x") for name in accents]
            yield f"{form_name}: one accent written in two ways", packed(form, *good, *two)
    for size in (
        b"\xff" * 12,
        b"\x80" + b"\xff" * 11,
        b"77777777777\0",
        b"-0000000001\0",
        b"9" * 12,
    ):
        yield f"a size of {size!r}", with_header(whole, 124, size)
    for place in (0, 100, 120, 140, 150, 257, 345, *range(2, 148, 7)):  # the sum no longer fits
        yield (
            f"a bit of byte {place} turned",
            whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :],
        )
    yield "another first number", b"\0" + whole[1:]
    yield "not UTF-8", with_header(whole, 0, b"a/\xff\xfe.png")
    yield "a NUL in a pax path", pax("path", "a/x\0y.png") + whole
    yield "a pax path outside", pax("path", "../x.png") + whole
    yield "an absolute pax path", pax("path", "/x.png") + whole
    yield "a pax size that is none", pax("size", "many") + whole
    yield "a negative pax size", pax("size", "-5") + whole
    yield "a pax size beyond the end", pax("size", "999999999999") + whole
    yield "a sparse file by pax", pax("GNU.sparse.major", "1") + whole
    yield (
        "a pax header that lies about its length",
        pax("path", "a/x.png", b"99999 path=x\n") + whole,
    )
    yield "a pax header of a megabyte", pax("comment", "x" * 1_000_000) + whole
    yield "a pax header and no file", pax("path", "a/x.png") + bytes(1024)
    for by, start in {
        "gzip": b"\x1f\x8b",
        "bzip2": b"BZ",
        "xz": b"\xfd7",
        "zstd": b"\x28\xb5",
    }.items():
        yield f"compressed by {by}", start + whole[2:]
    body = whole.rstrip(b"\0")
    for length in (0, 1, 511, 512, 600, *range(700, len(body), 101)):
        yield f"cut to {length} bytes", whole[:length]


def pax(key: str, value: str, body: bytes | None = None) -> bytes:
    """A pax header for the member that follows."""
    if body is None:
        rest = f" {key}={value}\n".encode()
        length = len(rest)
        while len(str(length)) + len(rest) != length:
            length = len(str(length)) + len(rest)
        body = str(length).encode() + rest
    info = tarfile.TarInfo("pax")
    info.type, info.size = tarfile.XHDTYPE, len(body)
    return info.tobuf(tarfile.USTAR_FORMAT) + body + bytes(-len(body) % 512)


def harmless_tars() -> Iterator[tuple[str, bytes]]:
    """What looks odd and is none of these: must be read."""
    for name in (
        "n" * 251 + ".png",
        "\u00e9" * 120 + ".png",
        "e\u0301" * 80 + ".png",
        "a b\tc.png",
    ):
        yield (
            f"a name of {len(name.encode())} bytes",
            packed(tarfile.PAX_FORMAT, (member(f"a/{name}", picture(1)), picture(1))),
        )


def record(
    payload: bytes, kind: int = 0, length: int | None = None, magic: bytes = MAGIC_BYTES
) -> bytes:
    word = kind << 29 | (len(payload) if length is None else length)
    return magic + struct.pack("<I", word) + payload + bytes(-len(payload) % 4)


def hostile_records() -> Iterator[tuple[str, bytes, str]]:
    """Name, the .rec, the .idx: record 1 of three is bad, or the index is."""

    def payload(key: int, labels: int = 0) -> bytes:
        return HEADER.pack(labels, 1.0, key, 0) + picture(key)

    good = [record(payload(key)) for key in range(3)]

    def index(*sizes: int) -> str:
        return "".join(f"{key}\t{sum(sizes[:key])}\n" for key in range(len(sizes)))

    plain = index(*map(len, good))
    for magic in (
        b"\0\0\0\0",
        b"\x0a\x23\xd7\xcf",
        b"\xce\xd7\x23\x0a",
        b"PK\x03\x04",
        b"\xff" * 4,
    ):
        yield f"magic {magic.hex()}", good[0] + record(payload(1), magic=magic) + good[2], plain
    for kind in range(1, 8):
        yield f"a part of kind {kind} alone", good[0] + record(payload(1), kind) + good[2], plain
    for length in (0, 1, 4, 23, 1 << 20, 10_100_000, 1 << 28, (1 << 29) - 1):
        lying = record(payload(1), length=length)
        yield f"a length of {length}", good[0] + lying + good[2], plain
    for labels in (1000, 4096, 4097, 1 << 16, 1 << 31, (1 << 32) - 1):
        odd = record(payload(1, labels))
        yield f"{labels} labels", good[0] + odd + good[2], plain
    for label in (0.5, -1.0, float("nan"), float("inf"), float(1 << 24), 1e30):
        odd = record(HEADER.pack(0, label, 1, 0) + picture(1))
        yield f"a label of {label}", good[0] + odd + good[2], plain
    whole = b"".join(good)
    for length in range(0, len(whole) - 4, 13):
        yield f"cut to {length} bytes", whole[:length], plain
    for line in (
        *("0", "0\t", "\t0", "0 0", "0\t0\t0", "a\tb", "0\t-4", "-1\t0", "0\t1", "0\t999996"),
        *("1\t0", "0\t0\n0\t4", "../x\t0", "9" * 19 + "\t0", "0\t" + "9" * 400, "0x0\t0", "\0\t0"),
    ):
        yield f"an index line {line[:20]!r}", whole, f"{plain}{line}\n"
    yield "an empty index", whole, ""
