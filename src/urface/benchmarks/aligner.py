"""Who aligned the images of a benchmark that comes unaligned: a line of ``aligner.txt``, for the notes."""

from __future__ import annotations

from pathlib import Path

from urface.data.decode import read_capped
from urface.types import UserError

ALIGNER = "aligner.txt"
LONGEST = 200  # bytes of the aligner's name


def as_they_lie(folder: Path) -> str:
    """A note: images are embedded as they lie in ``folder``, and who aligned them.

    Raises UserError for an ``aligner.txt`` that is not one printable line.
    """
    return f"images as they lie, aligner: {_aligner(folder)}"


def only_resized(folder: Path) -> str:
    """``as_they_lie`` for a benchmark whose images, as its authors give them, are not aligned."""
    return f"{as_they_lie(folder)}; images that were not aligned are only resized, which lowers every number"


def _aligner(folder: Path) -> str:
    try:
        text = read_capped(folder / ALIGNER, LONGEST).decode()
    except FileNotFoundError:
        return f"not recorded (write its name into {ALIGNER})"
    except (OSError, UnicodeDecodeError):
        raise UserError(f"{folder / ALIGNER}: not readable as a line of text") from None
    line = text.strip()
    if len(text) > LONGEST or not line or not line.isprintable():
        raise UserError(f"{folder / ALIGNER}: expected one line of up to {LONGEST} letters")
    return line
