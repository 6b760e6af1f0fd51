"""Groups of people from a column of a .csv or .parquet, by keys of images or names of templates."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from urface.benchmarks.benchmark import Benchmark
from urface.types import UserError

KEYS = ("key", "path", "image", "name", "template")  # columns that may name the rows
MOST_GROUPS = 50
MOST_ROWS = 20_000_000


@dataclass(frozen=True, eq=False)
class GroupLabels:
    """``groups``, rising, and for each key its place in them; ``column`` names them, ``file`` is where."""

    file: str
    column: str
    groups: tuple[str, ...]
    place: dict[str, int]

    def of(self, benchmark: Benchmark) -> GroupCodes:
        """The groups of a benchmark's images and templates.

        Keys name images or, where more of them do, templates. A template is of the group of its images where
        these agree. Raises UserError where no key is known to the benchmark.
        """
        images = self._places(benchmark.images.keys)
        templates = self._places(benchmark.templates.names)
        members = benchmark.templates
        if not (images >= 0).any() and not (templates >= 0).any():
            raise UserError(
                f"{self.file}: none of its keys is an image or a template of {benchmark.name}, whose images "
                f"are called like {benchmark.images.keys[0]!r}"
            )
        entry = members.image >= 0
        image, template = members.image[entry], members.template[entry]
        if np.mean(templates >= 0) > np.mean(images >= 0):
            by_images = _agreed(templates[template], image, len(images))
            return GroupCodes(by_images, templates)
        return GroupCodes(images, _agreed(images[image], template, len(templates)))

    def _places(self, names: Sequence[str]) -> np.ndarray:
        return np.fromiter((self.place.get(name, -1) for name in names), np.int32, len(names))


@dataclass(frozen=True, eq=False)
class GroupCodes:
    """Places of groups: images [N], templates [T]; -1 is not known."""

    images: np.ndarray
    templates: np.ndarray


def _agreed(codes: np.ndarray, owner: np.ndarray, count: int) -> np.ndarray:
    """[count] the code on which all known ones of an owner agree, -1 where there is none."""
    known = codes >= 0
    lowest = np.full(count, np.iinfo(np.int32).max, np.int32)
    highest = np.full(count, -1, np.int32)
    np.minimum.at(lowest, owner[known], codes[known])
    np.maximum.at(highest, owner[known], codes[known])
    return np.where(lowest == highest, highest, -1).astype(np.int32)


def read_groups(text: str) -> GroupLabels:
    """``FILE:COLUMN`` as users write it. An empty cell is a group that is not known.

    The rows are named by the column key, path, image, name or template, else by the first. Raises UserError
    where a file or column is not there, a key has two groups, or there are more than MOST_GROUPS groups.
    """
    file, _, column = text.rpartition(":")
    if not file or not column:
        raise UserError(f"--groups is FILE.csv:COLUMN or FILE.parquet:COLUMN, got {text!r}")
    path = Path(file)
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    read = _parquet if path.suffix == ".parquet" else _csv
    keys, values = read(path, column)
    groups = tuple(sorted(set(values) - {""}))
    if not 1 <= len(groups) <= MOST_GROUPS:
        raise UserError(
            f"{path}: {column} has {len(groups):,} different values; groups are from 1 to {MOST_GROUPS}"
        )
    number = {name: place for place, name in enumerate(groups)}
    place: dict[str, int] = {}
    for row, (key, value) in enumerate(zip(keys, values, strict=True)):
        if not value:
            continue
        if place.setdefault(key, number[value]) != number[value]:
            raise UserError(f"{path}, row {row + 1}: {key!r} is in two groups")
    return GroupLabels(str(path.name), column, groups, place)


def _columns(path: Path, names: Sequence[str], column: str) -> str:
    if column not in names:
        raise UserError(f"{path}: no column {column!r}; it has {', '.join(names)}")
    return next((name for name in KEYS if name in names and name != column), names[0])


def _csv(path: Path, column: str) -> tuple[list[str], list[str]]:
    keys, values = [], []
    try:
        with path.open(newline="", encoding="utf-8-sig") as lines:
            rows = csv.reader(lines, strict=True)
            head = next(rows, [])
            key_at, value_at = head.index(_columns(path, head, column)), head.index(column)
            for row in rows:
                if not row:
                    continue
                if len(row) != len(head):
                    raise UserError(
                        f"{path}, line {rows.line_num}: {len(row)} cells under {len(head)} heads"
                    )
                keys.append(row[key_at])
                values.append(row[value_at].strip())
                if len(keys) > MOST_ROWS:
                    raise UserError(f"{path}: more than {MOST_ROWS:,} rows")
    except (csv.Error, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not a table in UTF-8 ({error})") from None
    return keys, values


def _parquet(path: Path, column: str) -> tuple[list[str], list[str]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            if file.metadata.num_rows > MOST_ROWS:
                raise UserError(f"{path}: more than {MOST_ROWS:,} rows")
            key = _columns(path, file.schema_arrow.names, column)
            table = file.read([key, column])
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{path}: not a Parquet file ({error})") from None
    found = [table.column(name).to_pylist() for name in (key, column)]
    texts = [["" if x is None or x != x else str(x) for x in values] for values in found]
    return texts[0], texts[1]
