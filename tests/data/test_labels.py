"""Label files: rows find their images, whatever the order, and what is missing is said."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from urface.config import DataSettings, TrainSettings
from urface.data.labels import attach_labels
from urface.data.source import FaceSource, build_source
from urface.training.train import training_faces
from urface.types import UserError

KEYS = ["a/1.jpg", "a/2.jpg", "b/1.jpg"]


@pytest.fixture
def source() -> FaceSource:
    values = np.array([[0.1, 0.2], [0.3, 0.4], [0.5, 0.6]])
    names = ("occlusion", "smiling")
    return build_source("faces", KEYS, ["a", "a", "b"], lambda i: b"", names, values)


def test_rows_reach_their_images_and_replace_a_column_of_the_same_name(
    tmp_path: Path, source: FaceSource
) -> None:
    file = tmp_path / "labels.csv"
    file.write_text("smiling,path,male\n0.75,b/1.jpg,\n0.25,a/1.jpg,1\n0.5,c/1.jpg,0\n")
    labelled, without_row, without_image = attach_labels(source, file)
    assert (without_row, without_image) == (1, 1)
    assert labelled.variation_names == ("occlusion", "smiling", "male")
    expected = [[0.1, 0.25, 1], [0.3, np.nan, np.nan], [0.5, 0.75, np.nan]]
    np.testing.assert_array_equal(labelled.variations, np.array(expected, np.float32))
    np.testing.assert_array_equal(source.variations[:, 1], np.float32([0.2, 0.4, 0.6]))


def test_parquet_without_identities_is_read(tmp_path: Path, source: FaceSource) -> None:
    pq.write_table(pa.table({"path": KEYS[::-1], "male": [1.0, None, 0.0]}), tmp_path / "l.parquet")
    labelled = attach_labels(source, tmp_path / "l.parquet").source
    np.testing.assert_array_equal(labelled.variations[:, -1], [0, np.nan, 1])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,male\nx/1.jpg,1\n", "none of its paths is an image of faces.*'x/1.jpg'.*'a/1.jpg'"),
        ("path\na/1.jpg\n", "no column of labels"),
        ("image,male\na/1.jpg,1\n", "no column 'path'"),
        ("path,male\na/1.jpg,2\n", "l.csv:2: male is 2"),
        ("path,male\na/1.jpg,1\na/1.jpg,0\n", "l.csv:3: .* is on line 2 already"),
    ],
)
def test_a_wrong_file_is_refused(
    tmp_path: Path, source: FaceSource, text: str, message: str
) -> None:
    (tmp_path / "l.csv").write_text(text)
    with pytest.raises(UserError, match=message):
        attach_labels(source, tmp_path / "l.csv")


def test_a_missing_file_and_another_kind_are_refused(tmp_path: Path, source: FaceSource) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        attach_labels(source, tmp_path / "no.csv")
    with pytest.raises(UserError, match=r"csv or \.parquet"):
        attach_labels(source, tmp_path / "labels.json")


def test_training_takes_the_labels_that_its_settings_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for key in KEYS:
        (tmp_path / "faces" / key).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "faces" / key).write_bytes(b"")
    (tmp_path / "l.csv").write_text("path,male\na/2.jpg,1\nb/1.jpg,0\n")
    data = DataSettings(str(tmp_path / "faces"), labels=str(tmp_path / "l.csv"), min_images=2)
    faces = training_faces(TrainSettings(data=data))
    assert faces.variation_names == ("male",)
    np.testing.assert_array_equal(faces.variations, [[np.nan], [1]])
    assert "no row for 1 of 3 images" in capsys.readouterr().err
