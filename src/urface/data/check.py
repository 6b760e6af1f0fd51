"""Decode every image of a data set once, before a training run meets the bad ones."""

from __future__ import annotations

from typing import NamedTuple

from tqdm import tqdm

from urface.data.decode import DecodeError
from urface.data.source import FaceSource


class CheckResult(NamedTuple):
    """Images looked at; key and reason of each that cannot be decoded, in the source's order."""

    total: int
    corrupt: list[tuple[str, str]]


def check_images(source: FaceSource, progress: bool = True) -> CheckResult:
    """Decode all images of ``source`` and list those that fail; the bar goes to standard error."""
    corrupt: list[tuple[str, str]] = []
    for index in tqdm(range(len(source)), desc="decoding", unit=" images", disable=not progress):
        try:
            source.image(index)
        except DecodeError as error:
            key = source.keys[index]
            corrupt.append((key, str(error).removeprefix(f"{key}: ")))
    return CheckResult(len(source), corrupt)
