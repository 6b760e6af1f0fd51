"""The manifest of photos: a row for each face that was looked for, and for each photo without one.

Parquet whose metadata say ``urface: photos-1``. As a manifest of faces it lists the aligned crops alone:
photos without a face are in it to be counted, not to be read.
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

FORMAT = "photos-1"
ALIGNED = "aligned"
SCHEMA = pa.schema(
    {
        "path": pa.string(),  # of the crop, relative to the manifest's folder; null where there is none
        "identity": pa.string(),
        "photo": pa.string(),
        "face": pa.int32(),  # 1 for the largest; 0 where there is none
        "faces": pa.int32(),  # in the photo, those of other rows and those not taken included
        "small": pa.int32(),  # faces too small to align
        "outcome": pa.string(),
        "reason": pa.string(),  # empty for an aligned face
        "rotation": pa.int16(),  # degrees clockwise that the photo had to be turned by
        "score": pa.float32(),
        "box": pa.list_(pa.float32(), 4),  # x0, y0, x1, y1 in pixels of the photo
        "points": pa.list_(pa.float32(), 10),  # x, y of five points
        "width": pa.int32(),  # of the photo
        "height": pa.int32(),
        "stamp": pa.string(),  # what tells that the photo has changed
    }
)


def is_photo_table(table: pa.Table) -> bool:
    """Whether ``table`` is such a manifest."""
    return bool((table.schema.metadata or {}).get(b"urface") == FORMAT.encode())


def aligned_rows(table: pa.Table) -> pa.Table:
    """Paths and identities of the crops, as a manifest of faces has them: no column is a label."""
    if not {"path", "identity", "outcome"} <= set(table.column_names):
        return table
    return table.filter(pc.equal(table["outcome"], ALIGNED)).select(["path", "identity"])
