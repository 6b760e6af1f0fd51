"""What a verification ``.bin`` may hold, told opcode by opcode before anything is unpickled (G26).

A pickle is a program. The files of the field use some thirty of its instructions, none of which can do
more than build lists, tuples and byte strings and name a global; the rest are refused here, and so are
lengths that the file does not have and numbers that would make an unpickler allocate for them.
"""

from __future__ import annotations

from urface.data.decode import DEFAULT_LIMITS
from urface.types import UserError

MAX_OPCODES = 5_000_000  # 30 for each image stored as an array: 80,000 pairs
MAX_MEMO = 5_000_000
MAX_TEXT = 64  # names and type codes; longer texts only as image bytes under Python 3's protocol 2
MAX_BYTES = DEFAULT_LIMITS.max_bytes + 1

# Opcode: how many bytes of argument follow; a negative number is the width of a length before it.
FIXED = {
    "]": 0, "(": 0, "a": 0, "e": 0, "t": 0, ")": 0, "\x85": 0, "\x86": 0, "\x87": 0,  # lists, tuples
    "N": 0, "\x88": 0, "\x89": 0, "J": 4, "K": 1, "M": 2,  # None, bools, small numbers
    "T": -4, "U": -1, "B": -4, "C": -1, "\x8e": -8, "\x96": -8,  # bytes
    "X": -4, "\x8c": -1,  # text
    "q": 1, "r": 4, "h": 1, "j": 4, "\x94": 0,  # memo
    "\x93": 0, "R": 0, "b": 0, "c": 0,  # a global by name, its call, its state
}  # fmt: skip
ARGUMENTS = {ord(code): width for code, width in FIXED.items()}
PROTO, FRAME, STOP, GLOBAL = 0x80, 0x95, ord("."), ord("c")
TEXTS = frozenset(b"X\x8c")
MEMO_PUT = frozenset(b"qr")


def scan_pickle(data: bytes, name: str, allowed: frozenset[tuple[str, str]]) -> None:
    """Walk the instructions of ``data``; ``allowed`` are the (module, name) of globals it may name.

    Raises UserError, naming file and byte, at the first that the field's files do not use, whose
    argument is cut off or too large, or that stands after the end.
    """
    place, count, end = 0, 0, len(data)
    while place < end:
        code, at = data[place], place
        place += 1
        count += 1
        if count > MAX_OPCODES:
            raise UserError(f"{name}: more than {MAX_OPCODES:,} instructions: not a set of pairs")
        if code == STOP:
            if place != end:
                raise UserError(f"{name}: {end - place:,} bytes after the end at byte {at}")
            return
        if code == PROTO:
            if at != 0 or not 2 <= int.from_bytes(data[place : place + 1]) <= 5:
                raise UserError(f"{name}: at byte {at}: not a pickle of protocol 2 to 5")
            place += 1
            continue
        if at == 0:
            break
        if code == FRAME:
            if int.from_bytes(data[place : place + 8], "little") > end - place - 8:
                raise UserError(f"{name}: at byte {at}: truncated, a frame runs past the end")
            place += 8
            continue
        if code == GLOBAL:
            place = _check_global(data, place, name, allowed)
            continue
        width = ARGUMENTS.get(code)
        if width is None:
            raise UserError(
                f"{name}: at byte {at}: instruction {code:#04x}, which no set of pairs uses"
            )
        if width >= 0:
            if (
                code in MEMO_PUT
                and int.from_bytes(data[place : place + width], "little") > MAX_MEMO
            ):
                raise UserError(f"{name}: at byte {at}: a memo number beyond {MAX_MEMO:,}")
            place += width
            continue
        length = int.from_bytes(data[place : place - width], "little")
        place -= width
        if length > end - place:
            raise UserError(f"{name}: at byte {at}: truncated, {length:,} bytes promised")
        # Text spells bytes only under protocol 2 of Python 3: a byte above 127 takes two.
        if length > (2 * MAX_BYTES if code in TEXTS else MAX_BYTES):
            raise UserError(f"{name}: at byte {at}: {length:,} bytes are too many for an image")
        place += length
    raise UserError(f"{name}: not a whole pickle of protocol 2 to 5: copy it again")


def _check_global(data: bytes, place: int, name: str, allowed: frozenset[tuple[str, str]]) -> int:
    """Where the two lines of a GLOBAL end, if the global is one of those allowed."""
    lines = []
    for _ in range(2):
        stop = data.find(b"\n", place, place + MAX_TEXT)
        if stop < 0:
            raise UserError(f"{name}: at byte {place}: a global without a name")
        lines.append(data[place:stop].decode("latin-1"))
        place = stop + 1
    if (lines[0], lines[1]) not in allowed:
        raise UserError(
            f"{name}: it names {lines[0]}.{lines[1]}: refused, no set of pairs needs it"
        )
    return place
