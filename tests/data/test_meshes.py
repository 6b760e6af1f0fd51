"""Claims about the file of face meshes: what is written is read, and what does not fit is told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from urface.config import VariationSettings
from urface.data.decode import encode_png
from urface.data.frames import Frames
from urface.data.landmarks import NO_FACE, NOTHING, OK, TURNED, UNDECODABLE, Found
from urface.data.loader import make_batch
from urface.data.meshes import SCHEMA, Meshes, open_meshes, table_of, write_meshes
from urface.data.sampler import Draw
from urface.data.source import FaceSource, build_source, select
from urface.types import UserError
from urface.variations.head_pose import HeadPose, mean_face

COUNT, SIZE = 6, 32
STATUS = (OK, NO_FACE, OK, TURNED, UNDECODABLE, OK)


def source(count: int = COUNT) -> FaceSource:
    keys = [f"p{i // 2}/{i % 2}.png" for i in range(count)]

    def read(index: int) -> bytes:
        noise = np.random.default_rng(index).integers(1, 256, (SIZE, SIZE, 3))
        return encode_png(noise.astype(np.uint8))

    return build_source("faces", keys, [key[:2] for key in keys], read)


def found(index: int) -> Found:
    if STATUS[index] in (NO_FACE, UNDECODABLE):
        return Found(STATUS[index], None, NOTHING)
    mesh = mean_face() * [0.7, -0.7, -0.7] + [0.5, 0.55, 0.01 * index]
    return Found(STATUS[index], mesh.astype(np.float32), HeadPose(index, 1.0, -1.0))


def written(path: Path, count: int = COUNT, height: int = SIZE) -> Path:
    sizes = [(SIZE, height)] * count
    write_meshes(path, table_of(source().keys[:count], [found(i) for i in range(count)], sizes))
    return path


def test_only_the_near_frontal_can_be_turned_and_come_back_in_frame_pixels(tmp_path: Path) -> None:
    meshes = open_meshes(str(written(tmp_path / "m.parquet", height=48)), source())
    assert meshes.ok.tolist() == [status == OK for status in STATUS]
    for index in range(COUNT):
        head = meshes.head(index, 100)
        if STATUS[index] != OK:
            assert head is None
            continue
        assert head is not None
        assert head.mesh.dtype == np.float32
        expected = found(index).mesh
        assert expected is not None
        np.testing.assert_allclose(head.mesh, expected * 100, atol=0.06)  # float16: 0.05 pixels
        assert head.pose == HeadPose(index, 1.0, -1.0)
        assert head.aspect == 1.5


def test_meshes_follow_their_keys_in_any_order_and_selection(tmp_path: Path) -> None:
    path = written(tmp_path / "m.parquet")
    backwards = select(source(), [5, 3, 2])
    meshes = open_meshes(str(path), backwards)
    assert meshes.ok.tolist() == [True, False, True]
    head = meshes.head(0, 10)
    assert head is not None
    assert head.pose.yaw == 5


def test_several_files_make_one(tmp_path: Path) -> None:
    sizes = [(SIZE, SIZE)] * 3
    keys = source().keys
    write_meshes(tmp_path / "a.parquet", table_of(keys[:3], [found(i) for i in range(3)], sizes))
    write_meshes(tmp_path / "b.parquet", table_of(keys[3:], [found(i) for i in range(3, 6)], sizes))
    meshes = open_meshes(f"{tmp_path}/a.parquet, {tmp_path}/b.parquet", source())
    assert meshes.ok.tolist() == [status == OK for status in STATUS]


def test_an_image_without_a_row_or_with_two_is_told_by_its_name(tmp_path: Path) -> None:
    path = written(tmp_path / "m.parquet", count=5)
    with pytest.raises(
        UserError, match=r"no row for 1 of the 6 images .* p2/1.png.*data landmarks"
    ):
        open_meshes(str(path), source())
    with pytest.raises(UserError, match="two rows for 5 of the 5"):
        open_meshes(f"{path},{path}", select(source(), np.arange(5)))


def test_what_is_no_file_of_meshes_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no such file.*data landmarks"):
        open_meshes(str(tmp_path / "none.parquet"), source())
    (tmp_path / "text.parquet").write_text("hello")
    with pytest.raises(UserError, match="not a readable Parquet file"):
        open_meshes(str(tmp_path / "text.parquet"), source())
    pq.write_table(pa.table({"path": ["a"], "identity": ["b"]}), tmp_path / "manifest.parquet")
    with pytest.raises(UserError, match="not a file of face meshes"):
        open_meshes(str(tmp_path / "manifest.parquet"), source())
    short = SCHEMA.set(7, pa.field("mesh", pa.list_(pa.float16(), 468 * 3)))
    pq.write_table(short.empty_table(), tmp_path / "short.parquet")
    with pytest.raises(UserError, match="not a file of face meshes"):
        open_meshes(str(tmp_path / "short.parquet"), source())


def test_a_mesh_that_is_not_finite_or_missing_is_refused(tmp_path: Path) -> None:
    rows = [found(i) for i in range(COUNT)]
    broken = rows[0].mesh
    assert broken is not None
    broken[7] = np.nan
    sizes = [(SIZE, SIZE)] * COUNT
    path = tmp_path / "m.parquet"
    write_meshes(path, table_of(source().keys, rows, sizes))
    with pytest.raises(UserError, match="not finite"):
        open_meshes(str(path), source())
    rows[0] = Found(OK, None, NOTHING)
    write_meshes(path, table_of(source().keys, rows, sizes))
    with pytest.raises(UserError, match="has no mesh"):
        open_meshes(str(path), source())


def batch_of(meshes: Meshes | None, pose: float) -> tuple[np.ndarray, np.ndarray]:
    settings = VariationSettings(pose=pose)
    frames = Frames(source(), SIZE, 0.0, progress=False, meshes=meshes)
    batch = make_batch(frames, Draw(np.arange(COUNT), 3), settings, 28, 0, slice(None))
    return batch.images, batch.variations


def test_without_poses_batches_are_what_they_were(tmp_path: Path) -> None:
    meshes = open_meshes(str(written(tmp_path / "m.parquet")), source())
    images, variations = batch_of(meshes, 0.0)
    plain, labels = batch_of(None, 0.0)
    np.testing.assert_array_equal(images, plain)
    np.testing.assert_array_equal(variations, labels)
    assert (labels[:, 2] == 0).all()


def test_with_poses_only_the_turned_images_change_and_are_labelled(tmp_path: Path) -> None:
    meshes = open_meshes(str(written(tmp_path / "m.parquet")), source())
    plain, labels = batch_of(None, 0.0)
    images, variations = batch_of(meshes, 1.0)
    np.testing.assert_array_equal(variations[:, :2], labels[:, :2])
    np.testing.assert_array_equal(variations[:, 2], meshes.ok.astype(np.float32))
    changed = (images != plain).any((1, 2, 3))
    np.testing.assert_array_equal(changed, meshes.ok)


def test_names_that_are_not_text_are_refused_in_a_line(tmp_path: Path) -> None:
    path = written(tmp_path / "m.parquet")
    table = pq.read_table(path)
    damaged = pa.array([b"\xa7" * (1 + n) for n in range(COUNT)]).cast(pa.string(), safe=False)
    assert damaged.type == pa.string()
    write_meshes(path, table.set_column(0, SCHEMA.field("path"), damaged))
    with pytest.raises(UserError, match="not a readable Parquet file"):
        open_meshes(str(path), source())
