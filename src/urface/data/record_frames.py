"""RecordIO's frames: how the bytes of a record lie in a ``.rec`` file, read with ``pread`` and written.

A frame is the magic number, a word with the part's kind in its top 3 bits and its length in the rest,
the bytes, and zeros up to a multiple of 4. A record that holds the magic number at such a multiple is
split there into parts (first, middle, last), so that a reader who is lost can find a frame's beginning.
"""

from __future__ import annotations

import os
import struct
from typing import BinaryIO, NamedTuple

from urface.data.decode import DEFAULT_LIMITS
from urface.data.image_header import DecodeError

MAGIC = 0xCED7230A
MAGIC_BYTES = struct.pack("<I", MAGIC)
WHOLE, FIRST, MIDDLE, LAST = range(4)
KINDS = ("whole", "first", "middle", "last")
LENGTH_BITS = 29
MAX_LABELS = 4096
# An image at its cap, the 24 bytes before it, and more labels than any packer writes.
MAX_RECORD_BYTES = DEFAULT_LIMITS.max_bytes + 24 + 4 * MAX_LABELS

_FRAME = struct.Struct("<II")


class Extent(NamedTuple):
    """A record from byte ``start`` to ``end``, its padding included; ``head`` are its first bytes."""

    start: int
    end: int
    head: bytes


class Truncated(DecodeError):
    """The file ends within a record."""


def read_payload(descriptor: int, offset: int, max_bytes: int = MAX_RECORD_BYTES) -> bytes:
    """The bytes of the record whose frame begins at ``offset``, its parts joined by the magic number.

    Safe from threads and forked workers. Raises DecodeError, without the file's name, where the file
    ends too early, no frame begins here, the parts do not follow each other, or the record is longer
    than ``max_bytes``: that is told before its bytes are read.
    """
    kind, length = _frame(descriptor, offset, max_bytes)
    data = _exactly(descriptor, length, offset + 8)
    if kind == WHOLE:
        return data
    parts, total = [data], length
    while kind != LAST:
        offset += 8 + _padded(length)
        kind, length = _next_part(descriptor, offset, max_bytes, total)
        parts.append(_exactly(descriptor, length, offset + 8))
        total += 4 + length
    return MAGIC_BYTES.join(parts)


def read_extent(descriptor: int, offset: int, size: int, head_bytes: int) -> Extent:
    """Where the record at ``offset`` ends in a file of ``size`` bytes, and its first ``head_bytes``.

    Only headers are read. Raises DecodeError as ``read_payload`` does, Truncated where the file ends.
    """
    start = offset
    first = os.pread(descriptor, 8 + head_bytes, offset)
    kind, length = _parse(first, offset, MAX_RECORD_BYTES)
    head, total = first[8 : 8 + min(length, head_bytes)], length
    while True:
        offset += 8 + _padded(length)
        if offset > size:
            raise Truncated(f"truncated: a record of {total:,} bytes runs past the end")
        if kind == WHOLE:
            return Extent(start, offset, head)
        if kind == LAST:
            if len(head) < head_bytes:  # the first part alone was too short
                head = read_payload(descriptor, start)[:head_bytes]
            return Extent(start, offset, head)
        kind, length = _next_part(descriptor, offset, MAX_RECORD_BYTES, total)
        total += 4 + length


def _next_part(descriptor: int, offset: int, max_bytes: int, total: int) -> tuple[int, int]:
    """Kind and length of a further part, ``total`` bytes having been read."""
    kind, length = _frame(descriptor, offset, max_bytes, part=True)
    if total + 4 + length > max_bytes:
        raise DecodeError(f"a record of more than {max_bytes:,} bytes")
    return kind, length


def _frame(descriptor: int, offset: int, max_bytes: int, part: bool = False) -> tuple[int, int]:
    return _parse(os.pread(descriptor, 8, offset), offset, max_bytes, part)


def _parse(header: bytes, offset: int, max_bytes: int, part: bool = False) -> tuple[int, int]:
    if len(header) < 8:
        raise Truncated("truncated: the file ends before the record's header does")
    magic, word = _FRAME.unpack_from(header)
    if magic != MAGIC:
        raise DecodeError(f"no record begins here: {magic:#010x} instead of {MAGIC:#010x}")
    kind, length = word >> LENGTH_BITS, word & ((1 << LENGTH_BITS) - 1)
    if kind not in ((MIDDLE, LAST) if part else (WHOLE, FIRST)):
        wanted = "a middle or last" if part else "a whole or first"
        named = KINDS[kind] if kind < len(KINDS) else f"unknown ({kind})"
        raise DecodeError(f"byte {offset} holds a part of the kind {named}, expected {wanted} one")
    if length > max_bytes:
        raise DecodeError(f"a record of {length:,} bytes: at most {max_bytes:,} are read")
    return kind, length


def _exactly(descriptor: int, length: int, offset: int) -> bytes:
    data = os.pread(descriptor, length, offset)
    if len(data) != length:
        raise Truncated(f"truncated: {len(data):,} of {length:,} bytes are there")
    return data


def _padded(length: int) -> int:
    return (length + 3) & ~3


def write_frames(out: BinaryIO, payload: bytes) -> int:
    """Write ``payload`` as one record, split where it holds the magic number; the bytes it takes."""
    assert len(payload) <= MAX_RECORD_BYTES
    cuts = []
    place = payload.find(MAGIC_BYTES)
    while place >= 0:
        if place % 4 == 0:
            cuts.append(place)
        place = payload.find(MAGIC_BYTES, place + 1)
    begins = [0, *(cut + 4 for cut in cuts)]
    ends = [*cuts, len(payload)]
    written = 0
    for number, (begin, end) in enumerate(zip(begins, ends, strict=True)):
        kind = WHOLE if not cuts else FIRST if number == 0 else LAST if end is ends[-1] else MIDDLE
        length = end - begin
        out.write(_FRAME.pack(MAGIC, kind << LENGTH_BITS | length))
        out.write(payload[begin:end])
        out.write(bytes(_padded(length) - length))
        written += 8 + _padded(length)
    return written
