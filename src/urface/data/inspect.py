"""What is in a data set, told from the headers of its images: nothing is decoded."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
from tqdm import tqdm

from urface.data.decode import DEFAULT_LIMITS, DecodeError
from urface.data.image_header import read_header
from urface.data.source import FaceSource

QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
SHOWN = 5  # sizes, and broken images, that are named


@dataclass(frozen=True)
class Column:
    """A variation column: its mean where it is known, and for how many images that is."""

    name: str
    mean: float | None
    known: int


@dataclass(frozen=True)
class Contents:
    """Of a data set.

    per_person  images a person at QUANTILES
    looked_at   images whose headers were read: all, or a sample evenly spread
    formats     of those that could be read;  sizes: (width, height) likewise, the most frequent first
    broken      (key, why), of those looked at: the header is damaged, or over the limits of decoding
    file_bytes  of all images looked at
    """

    name: str
    images: int
    people: int
    per_person: tuple[float, ...]
    people_with_one: int
    looked_at: int
    formats: dict[str, int]
    sizes: dict[tuple[int, int], int]
    broken: tuple[tuple[str, str], ...]
    file_bytes: int
    columns: tuple[Column, ...]

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            **vars(self),
            "per_person": dict(zip(map(str, QUANTILES), self.per_person, strict=True)),
            "sizes": {f"{width}x{height}": n for (width, height), n in self.sizes.items()},
            "broken": [list(one) for one in self.broken],
            "columns": [vars(column) for column in self.columns],
        }


def inspect_source(source: FaceSource, sample: int = 0, progress: bool = True) -> Contents:
    """Read the headers of all images, or of ``sample`` of them evenly spread (0: all)."""
    counts = np.bincount(source.labels, minlength=len(source.identities))
    places = np.arange(len(source))
    if 0 < sample < len(source):
        places = np.unique(np.linspace(0, len(source) - 1, sample).astype(np.int64))
    formats: Counter[str] = Counter()
    sizes: Counter[tuple[int, int]] = Counter()
    broken: list[tuple[str, str]] = []
    total = 0
    for place in tqdm(
        places.tolist(), desc="headers", unit=" images", disable=not progress, leave=False
    ):
        key = source.keys[place]
        try:
            data = source.read(place)
            total += len(data)
            header = read_header(data)
        except DecodeError as error:
            broken.append((key, str(error).removeprefix(f"{key}: ")))
            continue
        if (
            max(header.width, header.height) > DEFAULT_LIMITS.max_side
            or header.width * header.height * header.sample_bytes > DEFAULT_LIMITS.max_pixels
            or min(header.width, header.height) < 1
        ):
            broken.append((key, f"{header.width} x {header.height} pixels: over what is decoded"))
            continue
        formats[header.format] += 1
        sizes[header.width, header.height] += 1
    return Contents(
        name=source.name,
        images=len(source),
        people=len(source.identities),
        per_person=tuple(np.quantile(counts, QUANTILES).tolist()),
        people_with_one=int((counts == 1).sum()),
        looked_at=len(places),
        formats=dict(formats.most_common()),
        sizes=dict(sizes.most_common()),
        broken=tuple(broken),
        file_bytes=total,
        columns=tuple(
            _column(name, values)
            for name, values in zip(source.variation_names, source.variations.T, strict=True)
        ),
    )


def _column(name: str, values: np.ndarray) -> Column:
    known = values[~np.isnan(values)]
    return Column(name, float(known.mean()) if len(known) else None, len(known))


def contents_text(contents: Contents) -> str:
    """The contents as aligned lines."""
    marks = "  ".join(
        f"{label} {mark:g}"
        for label, mark in zip(
            ("least", "5%", "25%", "median", "75%", "95%", "most"), contents.per_person, strict=True
        )
    )
    sizes = list(contents.sizes.items())
    shown = ", ".join(f"{w}x{h} ({n:,})" for (w, h), n in sizes[:SHOWN])
    rest = sum(n for _, n in sizes[SHOWN:])
    looked = "all" if contents.looked_at == contents.images else f"{contents.looked_at:,}"
    mean = contents.file_bytes / max(contents.looked_at, 1) / 1000
    lines = [
        f"images             {contents.images:,}",
        f"people             {contents.people:,}, with one image {contents.people_with_one:,}",
        f"images per person  {marks}",
        f"headers read       {looked}, {mean:.1f} kB an image",
        "formats            " + ", ".join(f"{n:,} {name}" for name, n in contents.formats.items()),
        f"sizes              {shown}" + (f", {len(sizes) - SHOWN} more ({rest:,})" if rest else ""),
        f"broken             {len(contents.broken):,}",
    ]
    lines += [f"  {' '.join(f'{key}: {why}'.split())}" for key, why in contents.broken[:SHOWN]]
    if contents.columns:
        lines.append("variation          mean   known for")
    for column in contents.columns:
        known = "-" if column.mean is None else f"{column.mean:.3f}"
        lines.append(f"  {column.name:16} {known:<6} {column.known:,} images")
    return "\n".join(lines)
