"""Numbered tars, ``faces-{000..012}.tar``: how webdataset splits a set."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator
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
        return Path(self.name(number))

    def name(self, number: int) -> str:
        """The same as text, which a URL stays as."""
        return f"{self.before}{number:0{self.width}d}{self.after}"

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
        return [Path(name) for name in self.names_to_read(lambda name: Path(name).exists())]

    def names_to_read(self, exists: Callable[[str], bool]) -> list[str]:
        """The same as text, where ``exists`` tells what is there."""
        if self.last is not None:
            return [self.name(number) for number in range(self.first, self.last + 1)]
        found = itertools.takewhile(exists, map(self.name, itertools.count(self.first)))
        names = list(found)
        if not names:
            raise UserError(f"{self.name(self.first)}: not there: no shard of {self.text}")
        return names


def is_pattern(path: str | Path) -> bool:
    """Whether ``path`` names shards."""
    return PATTERN.fullmatch(str(path)) is not None
