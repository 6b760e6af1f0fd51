"""Mutations of the text files of a layout: whatever they hold, a reader ends with UserError or reads."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path

from urface.types import UserError

QUICK, LONG = 300, 10_000  # rounds in CI and behind the slow marker
ODD = (
    *(
        "",
        "0",
        "-1",
        "1",
        "00",
        "1.5",
        "nan",
        "inf",
        "1e400",
        "9" * 25,
        "9" * 5000,
        "0x10",
        "٣",
        "²",
    ),
    *("..", ".", "/", "//", "../../a.jpg", "/etc/a", "a\0b", "é", "e\u0301", "\u2028", "x" * 300),
    *(" ", "\t", ",", ";", "\r", '"', '"""', "\ufeff", "True", "None", "#", "\x1c", "\x85"),
)


def mutate(data: bytes, rng: random.Random) -> bytes:
    """``data`` with one to three random changes of its bytes, fields or lines."""
    for _ in range(rng.randint(1, 3)):
        data = rng.choice((_bytes, _cut, _lines, _fields, _fields))(data, rng)
    return data


def _bytes(data: bytes, rng: random.Random) -> bytes:
    place = rng.randrange(len(data) + 1)
    new = bytes(rng.randrange(256) for _ in range(rng.randint(0, 4)))
    return data[:place] + new + data[place + rng.randint(0, 4) :]


def _cut(data: bytes, rng: random.Random) -> bytes:
    places = sorted(rng.randrange(len(data) + 1) for _ in range(2))
    return rng.choice((data[: places[0]], data[places[0] :], data[: places[0]] + data[places[1] :]))


def _lines(data: bytes, rng: random.Random) -> bytes:
    lines = data.split(b"\n")
    a, b = rng.randrange(len(lines)), rng.randrange(len(lines))
    kind = rng.randrange(5)
    if kind == 0:
        lines[a], lines[b] = lines[b], lines[a]
    elif kind == 1:
        lines.insert(a, lines[b])
    elif kind == 2:
        del lines[a]
    elif kind == 3:
        lines.insert(a, rng.choice(ODD).encode())
    else:
        lines[a] = lines[a] + lines[b]
    return rng.choice((b"\n", b"\n", b"\n", b"\r\n")).join(lines)


def _fields(data: bytes, rng: random.Random) -> bytes:
    lines = data.split(b"\n")
    row = rng.randrange(len(lines))
    mark = rng.choice([m for m in (b"\t", b",", b" ", b"/", b".") if m in lines[row]] or [b" "])
    cells = lines[row].split(mark)
    cell = rng.randrange(len(cells))
    kind = rng.randrange(4)
    if kind == 0:
        cells[cell] = rng.choice(ODD).encode()
    elif kind == 1:
        del cells[cell]
    elif kind == 2:
        cells.insert(cell, cells[rng.randrange(len(cells))])
    else:
        other = lines[rng.randrange(len(lines))].split(mark)
        cells[cell] = other[rng.randrange(len(other))]
    lines[row] = mark.join(cells)
    return b"\n".join(lines)


def fuzz(files: Sequence[Path], read: Callable[[], object], rounds: int, seed: int = 0) -> int:
    """Call ``read`` with one of ``files`` mutated, ``rounds`` times; how often it was refused.

    Every file is put back afterwards. Fails with the file's bytes where anything but UserError is
    raised, and where not one mutation was refused: then the reader does not look at the file.
    """
    rng, refused = random.Random(seed), 0
    whole = {file: file.read_bytes() for file in files}
    for number in range(rounds):
        file = rng.choice(list(files))
        data = mutate(whole[file], rng)
        file.write_bytes(data)
        try:
            read()
        except UserError as error:
            refused += 1
            _check_message(str(error), number)
        except BaseException as error:
            raise AssertionError(f"round {number}, {file.name}: {error!r} of {data!r}") from error
        finally:
            file.write_bytes(whole[file])
    assert refused > 0, f"none of {rounds} mutations was refused"
    return refused


def _check_message(message: str, number: int) -> None:
    assert message.strip(), f"round {number}: an empty message"
