"""Where each file of a tar lies, read from its headers alone (ustar, pax, GNU long names).

Python's tarfile takes a damaged header in the middle for the end and drops the rest in silence;
here every byte between the first header and the end mark is accounted for.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from urface.data.source import check_distinct
from urface.types import UserError

BLOCK = 512
MAX_NAME_BYTES = 1 << 16  # a long name or pax header is a few hundred bytes; more is an attack
END = bytes(BLOCK)
COMPRESSED = {b"\x1f\x8b": "gzip", b"BZ": "bzip2", b"\xfd7": "xz", b"\x28\xb5": "zstd"}
LINKS_AND_DEVICES = {
    b"1": "a hard link",
    b"2": "a symbolic link",
    b"3": "a device",
    b"4": "a device",
    b"6": "a pipe",
    b"S": "a sparse file",
}


class TarMember(NamedTuple):
    """A regular file: its name, and where its bytes start and how many they are."""

    name: str
    offset: int
    size: int


def index_tar(path: str | Path) -> list[TarMember]:
    """The regular files of the plain tar ``path``, in its order.

    Raises UserError, naming file, member and offset, for a tar that is compressed, truncated or
    damaged, and for a member that is a link or a device, whose name is absolute, climbs with ``..``
    or occurs twice (also when only the writing of an accent differs).
    """
    file = Path(path)
    try:
        descriptor = os.open(file, os.O_RDONLY)
    except OSError as error:
        raise UserError(f"{file}: cannot be opened ({error.strerror})") from None
    try:
        read = functools.partial(os.pread, descriptor)
        return walk_tar(str(file), read, os.fstat(descriptor).st_size)
    finally:
        os.close(descriptor)


def walk_tar(file: str, read: Callable[[int, int], bytes], total: int) -> list[TarMember]:
    """``index_tar`` of the ``total`` bytes that ``read(size, offset)`` reads."""
    members = _walk(file, read, total)
    check_distinct((member.name for member in members), file, "member")
    return members


def _walk(file: str, read: Callable[[int, int], bytes], total: int) -> list[TarMember]:
    members: list[TarMember] = []
    offset = 0
    override: dict[str, str] = {}  # what a pax header or long name says of the member after it
    while True:
        where = f"{file}: at byte {offset}"
        block = read(BLOCK, offset)
        if block == END:
            if override:
                raise UserError(f"{where}: truncated tar, a name without its file")
            return members
        if offset == 0 and block[:2] in COMPRESSED:
            by = COMPRESSED[block[:2]]
            raise UserError(f"{file}: compressed by {by}, cannot be read at random: decompress it")
        if len(block) < BLOCK:
            raise UserError(f"{where}: truncated tar, its end mark is missing: copy it again")
        _check_sum(block, where)
        kind = block[156:157]
        size = _size(block, override, where)
        start = offset + BLOCK
        offset = start + (size + BLOCK - 1) // BLOCK * BLOCK
        if offset > total:
            raise UserError(f"{where}: truncated tar, a member of {size} bytes runs past the end")
        if kind in (b"x", b"g", b"L", b"K"):
            if size > MAX_NAME_BYTES:
                raise UserError(f"{where}: damaged tar, a name of {size} bytes")
            if kind in (b"x", b"L"):
                override |= _override(kind, read(size, start), where)
            continue
        name = _checked_name(override.get("path") or _plain_name(block, where), where)
        override = {}
        if kind in LINKS_AND_DEVICES:
            raise UserError(
                f"{where}: {name!r} is {LINKS_AND_DEVICES[kind]}: pack plain files only"
            )
        if kind in (b"0", b"\0", b"7"):
            members.append(TarMember(name, start, size))
        elif kind != b"5":
            raise UserError(f"{where}: {name!r} is of the unknown kind {kind!r}")


def _check_sum(block: bytes, where: str) -> None:
    """The header's checksum: the sum of its bytes with its own field read as blanks."""
    try:
        stated = int(block[148:156].strip(b" \0") or b"-1", 8)
    except ValueError:
        stated = -1
    if stated != sum(block) - sum(block[148:156]) + 8 * ord(" "):
        raise UserError(f"{where}: not a tar, or a damaged one: its header does not add up")


def _size(block: bytes, override: dict[str, str], where: str) -> int:
    field = block[124:136]
    try:
        if "size" in override:
            size = int(override["size"])
        elif field[0] == 0x80:  # GNU: a big-endian number where octal digits do not suffice
            size = int.from_bytes(field[1:], "big")
        else:
            size = int(field.strip(b" \0") or b"0", 8)
    except ValueError:
        size = -1
    if size < 0:
        raise UserError(f"{where}: damaged tar, the size of a member is not a number")
    return size


def _override(kind: bytes, body: bytes, where: str) -> dict[str, str]:
    """What a GNU long name (L) or a pax header (x, lines ``length key=value``) says."""
    try:
        if kind == b"L":
            return {"path": body.rstrip(b"\0").decode()}
        said: dict[str, str] = {}
        while body:
            length = int(body.split(b" ", 1)[0])
            if not 5 <= length <= len(body):
                raise ValueError
            key, _, value = body[:length].split(b" ", 1)[1].rstrip(b"\n").decode().partition("=")
            body = body[length:]
            if key.startswith("GNU.sparse"):
                raise UserError(f"{where}: a sparse file: pack plain files only")
            if key in ("path", "size"):
                said[key] = value
        return said
    except (ValueError, IndexError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"{where}: damaged tar, an extended header is not readable") from None


def _plain_name(block: bytes, where: str) -> str:
    raw = block[:100].split(b"\0", 1)[0]
    prefix = block[345:500].split(b"\0", 1)[0] if block[257:263] == b"ustar\0" else b""
    try:
        return (prefix + b"/" + raw if prefix else raw).decode()
    except UnicodeDecodeError:
        raise UserError(f"{where}: the member name {raw!r} is not UTF-8") from None


def _checked_name(name: str, where: str) -> str:
    """``name`` without the ``./`` that tar writes when it packs a folder from within."""
    plain = name.removeprefix("./").rstrip("/")
    parts = plain.split("/")
    if name.startswith("/") or ".." in parts:
        raise UserError(f"{where}: the member name {name!r} leads out of the tar")
    if plain not in ("", ".") and ("\0" in plain or "" in parts or "." in parts):
        raise UserError(f"{where}: the member name {name!r} is not a plain path")
    return plain
