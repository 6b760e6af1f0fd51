"""Label files: what varies in the images of a data set, written apart from it.

Columns: ``path``, an image's key in the data set, and any number of columns of 0..1, an empty cell
meaning not known. A manifest is such a file too; its identities are not looked at.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from urface.data.manifest import parse_manifest
from urface.data.source import FaceSource
from urface.types import UserError


class Labelled(NamedTuple):
    """The source with the file's columns; its images without a row; rows that name no image of it."""

    source: FaceSource
    without_row: int
    without_image: int


def attach_labels(source: FaceSource, path: str | Path) -> Labelled:
    """Add the columns of the ``.csv`` or ``.parquet`` file at ``path`` to ``source`` by image key.

    A column takes the place of one of the same name. Images without a row get NaN and are counted.
    Raises UserError where the file cannot be read (see ``parse_manifest``), has no column of labels,
    or none of its rows is an image of ``source``.
    """
    file = Path(path)
    if file.suffix.lower() not in (".csv", ".parquet"):
        raise UserError(f"{file}: labels are a .csv or .parquet with a path column")
    try:
        data = file.read_bytes()
    except OSError as error:
        raise UserError(f"{file}: cannot be read ({error.strerror})") from None
    table = parse_manifest(data, str(file), needed=("path",))
    if not table.variation_names:
        raise UserError(f"{file}: no column of labels beside path")
    row_of = {key: row for row, key in enumerate(table.paths)}
    rows = np.array([row_of.get(key, -1) for key in source.keys])
    found = rows >= 0
    if not found.any():
        raise UserError(
            f"{file}: none of its paths is an image of {source.name}: it says {table.paths[0]!r} where "
            f"that says {source.keys[0]!r}"
        )
    given = np.full((len(source), len(table.variation_names)), np.nan, np.float32)
    given[found] = table.variations[rows[found]]
    kept = [n for n, name in enumerate(source.variation_names) if name not in table.variation_names]
    names = (*(source.variation_names[n] for n in kept), *table.variation_names)
    values = np.concatenate([source.variations[:, kept], given], axis=1)
    return Labelled(
        replace(source, variation_names=names, variations=values),
        without_row=int((~found).sum()),
        without_image=len(table.paths) - int(found.sum()),
    )
