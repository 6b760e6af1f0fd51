"""The file of face meshes: one row for each image of a data set, found once, read by training.

Parquet with the columns path (the image's key), status (landmarks.STATUSES), width and height of the
image in pixels, yaw, pitch and roll in degrees, and mesh: 478 x 3 float16 in shares of the image as
``landmarks.Found`` has them, null where no face was found.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from urface.atomic import atomic_path
from urface.data.landmarks import OK, Found
from urface.data.source import FaceSource
from urface.types import UserError
from urface.variations.head_pose import MESH_POINTS, HeadPose
from urface.variations.pose import HeadView

FORMAT = {b"urface": b"face-meshes-1"}
NUMBERS = 3 * MESH_POINTS
SCHEMA = pa.schema(
    {
        "path": pa.string(),
        "status": pa.string(),
        "width": pa.int32(),
        "height": pa.int32(),
        "yaw": pa.float32(),
        "pitch": pa.float32(),
        "roll": pa.float32(),
        "mesh": pa.list_(pa.float16(), NUMBERS),
    },
    metadata=FORMAT,
)


@dataclass(frozen=True, eq=False)
class Meshes:
    """The meshes of N images of which M can be turned.

    row      [N] int64, place in the arrays below, -1 for an image that is to be left alone
    mesh     [M, 478, 3] float16, in shares of the image
    aspect   [M] float32, height / width of the image
    pose     [M, 3] float32, yaw, pitch and roll in degrees
    """

    row: np.ndarray
    mesh: np.ndarray
    aspect: np.ndarray
    pose: np.ndarray

    @property
    def ok(self) -> np.ndarray:
        """[N] bool: which images can be turned."""
        return self.row >= 0

    def head(self, place: int, size: int) -> HeadView | None:
        """The head in image ``place`` once it is a frame of ``size`` x ``size``; None: leave it alone."""
        row = int(self.row[place])
        if row < 0:
            return None
        pixels = self.mesh[row].astype(np.float32) * np.float32(size)
        yaw, pitch, roll = self.pose[row].tolist()
        return HeadView(pixels, HeadPose(yaw, pitch, roll), float(self.aspect[row]))


def table_of(
    keys: Sequence[str], found: Sequence[Found], sizes: Sequence[tuple[int, int]]
) -> pa.Table:
    """The rows for images ``keys``; ``sizes`` are (width, height), (0, 0) where undecodable."""
    meshes = [None if f.mesh is None else f.mesh.astype(np.float16).ravel() for f in found]
    columns = {
        "path": list(keys),
        "status": [f.status for f in found],
        "width": [width for width, _ in sizes],
        "height": [height for _, height in sizes],
        **{name: [getattr(f.pose, name) for f in found] for name in ("yaw", "pitch", "roll")},
        "mesh": meshes,
    }
    arrays = [pa.array(columns[field.name], field.type) for field in SCHEMA]
    return pa.Table.from_arrays(arrays, schema=SCHEMA)


def write_meshes(path: Path, table: pa.Table) -> None:
    """Write ``table``, as ``table_of`` makes it, whole or not at all."""
    with atomic_path(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")


def read_table(path: str | Path) -> pa.Table:
    """The file as it is. Raises UserError where it is missing or is no file of face meshes."""
    file = Path(path)
    if not file.is_file():
        raise UserError(f"{file}: no such file: `urface data landmarks` writes one")
    try:
        table = pq.read_table(file)
        table.validate(full=True)  # texts that are not UTF-8 come through reading as they are
    except (pa.ArrowException, OSError, ValueError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise UserError(f"{file}: not a readable Parquet file ({reason})") from None
    if not table.schema.equals(SCHEMA):
        raise UserError(
            f"{file}: not a file of face meshes (other columns): `urface data landmarks` writes one"
        )
    return table


def open_meshes(paths: str, source: FaceSource) -> Meshes:
    """The meshes for the images of ``source`` from the file ``paths``, or several with commas between.

    Rows of other images are passed over. Raises UserError where an image has no row or two, and as
    ``read_table`` does.
    """
    table = pa.concat_tables([read_table(part.strip()) for part in paths.split(",")])
    place_of = {key: place for place, key in enumerate(source.keys)}
    place = np.array([place_of.get(key, -1) for key in table["path"].to_pylist()], np.int64)
    times = np.bincount(place[place >= 0], minlength=len(source))
    for wrong, what in ((times == 0, "no row"), (times > 1, "two rows")):
        if wrong.any():
            key = source.keys[int(np.argmax(wrong))]
            raise UserError(
                f"{paths}: {what} for {int(wrong.sum()):,} of the {len(source):,} images of "
                f"{source.name}, e.g. {key}: make it with `urface data landmarks {source.name}`"
            )
    usable = (place >= 0) & (table["status"].to_numpy(zero_copy_only=False) == OK)
    chosen = table.filter(pa.array(usable))
    mesh = chosen["mesh"].combine_chunks()
    if mesh.null_count:
        raise UserError(f"{paths}: an image is marked {OK!r} but has no mesh: make the file again")
    values = mesh.flatten().to_numpy(zero_copy_only=False).astype(np.float16)
    values = values.reshape(-1, MESH_POINTS, 3)
    numbers = {
        name: chosen[name].to_numpy().astype(np.float32)
        for name in ("width", "height", "yaw", "pitch", "roll")
    }
    pose = np.stack([numbers["yaw"], numbers["pitch"], numbers["roll"]], 1)
    if not (np.isfinite(values).all() and np.isfinite(pose).all() and (numbers["width"] > 0).all()):
        raise UserError(f"{paths}: a mesh holds numbers that are not finite: make the file again")
    row = np.full(len(source), -1, np.int64)
    row[place[usable]] = np.arange(len(values))
    return Meshes(row, values, numbers["height"] / numbers["width"], pose)
