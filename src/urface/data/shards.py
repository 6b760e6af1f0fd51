"""Numbered tars, ``faces-{000..012}.tar``: how webdataset splits a set."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from pathlib import Path

from urface.types import UserError

PATTERN = re.compile(r"(?P<before>.*)\{(?P<first>\d+)\.\.(?P<last>\d+|N)\}(?P<after>.*\.tar)")


class ShardPattern:
    """``before{000..012}after.tar``: as many digits as the first number has; ``N``: as many as there are."""

    def __init__(self, text: str) -> None:
        found = PATTERN.fullmatch(text)
        if found is None:
            raise UserError(f"{text}: expected a pattern such as faces-{{000..N}}.tar")
        self.text = text
        self.first, self.width = int(found["first"]), len(found["first"])
        self.last = None if found["last"] == "N" else int(found["last"])
        self.before, self.after = found["before"], found["after"]
        if self.last is not None and self.last < self.first:
            raise UserError(f"{text}: its last number is below its first")

    def path(self, number: int) -> Path:
        """The file of a shard's number."""
        return Path(f"{self.before}{number:0{self.width}d}{self.after}")

    def to_write(self) -> Iterator[Path]:
        """The files to write, in order. Raises UserError after the last."""
        for number in itertools.count(self.first):
            if self.last is not None and number > self.last:
                raise UserError(
                    f"{self.text}: the images fill more shards than that: write {{...N}}, or let "
                    "shards be larger"
                )
            yield self.path(number)

    def to_read(self) -> list[Path]:
        """The files that are there: all of the range, or up to the first that is missing for ``N``."""
        if self.last is not None:
            return [self.path(number) for number in range(self.first, self.last + 1)]
        found = itertools.takewhile(Path.exists, map(self.path, itertools.count(self.first)))
        paths = list(found)
        if not paths:
            raise UserError(f"{self.path(self.first)}: not there: no shard of {self.text}")
        return paths


def is_pattern(path: str | Path) -> bool:
    """Whether ``path`` names shards."""
    return PATTERN.fullmatch(str(path)) is not None
