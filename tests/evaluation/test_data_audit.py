"""Claims about what an embedding finds in a data set, from images on disk to lines (goal G28)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from urface.cli import main
from urface.data.decode import encode_png
from urface.data.open import open_faces
from urface.evaluation.data_audit import audit_identities, embed_to_file, name_findings
from urface.recognisers.recogniser import Features
from urface.types import UserError

PEOPLE, IMAGES = 60, 8


def embed(faces: Sequence[np.ndarray], keys: Sequence[str]) -> np.ndarray:
    """A face is a picture of its features: 4 x 4 pixels of three colours around 128."""
    return np.stack([face.ravel() - 128.0 for face in faces])


def features(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """[N, 48] whole numbers, and who they are of."""
    persons = np.random.default_rng(0).normal(size=(PEOPLE, 48))
    labels = np.repeat(np.arange(PEOPLE), IMAGES)
    own = np.random.default_rng(seed).normal(size=(len(labels), 48))
    return np.clip(np.round(128 + 25 * (persons[labels] + 0.8 * own)), 0, 255), labels


def write(folder: Path, values: np.ndarray, names: Sequence[str]) -> Path:
    for number, (row, name) in enumerate(zip(values, names, strict=True)):
        (folder / name).mkdir(parents=True, exist_ok=True)
        picture = row.reshape(4, 4, 3).astype(np.uint8)
        (folder / name / f"{number:03}.png").write_bytes(encode_png(picture))
    return folder


def test_shared_people_two_names_and_wrong_labels_are_listed(tmp_path: Path) -> None:
    values, labels = features(seed=1)
    names = [f"person{label:02}" for label in labels]
    for place in range(0, 8, 2):  # person 0 has a second name
        names[place] = "alias"
    wrong = {100: "person03", 200: "person11", 300: "person45"}
    for place, name in wrong.items():
        names[place] = name
    train = open_faces(write(tmp_path / "train", values, names))
    other_values, _ = features(seed=2)
    shared = labels < 10
    others = [f"unnamed {label}" for label in labels[shared]]
    test = open_faces(write(tmp_path / "test", other_values[shared], others))
    (tmp_path / "train" / "person50" / "400.png").write_bytes(b"damaged")

    audit = audit_identities(embed, train, test, false_flags=0.02, batch=50, progress=False)
    kinds = {kind: [f for f in audit.findings if f.kind == kind] for kind in ("person", "label")}
    twice = [f for f in kinds["person"] if not f.other_set]
    assert (twice[0].identity, twice[0].other_identity) == ("alias", "person00")
    assert len(twice) <= 2
    across = {(f.identity, f.other_identity) for f in kinds["person"] if f.other_set}
    assert across >= {(f"person{n:02}", f"unnamed {n}") for n in range(1, 10)}
    assert len(across) <= 12
    flagged = {f.key: f for f in kinds["label"]}
    for place, name in wrong.items():
        finding = flagged[f"{name}/{place:03}.png"]
        assert finding.other_identity == f"person{labels[place]:02}"
        assert f"rather than {name}" in finding.line()
    assert len(flagged) <= 0.02 * len(labels)
    assert len(audit.notes) == 3


def test_names_that_two_sets_share_are_listed(tmp_path: Path) -> None:
    values, _ = features(seed=1)
    one = open_faces(write(tmp_path / "one", values[:3], ["Ana_Li", "bo", "x1"]))
    two = open_faces(write(tmp_path / "two", values[:2], ["ana li", "cy"]))
    (finding,) = name_findings(one, two)
    assert finding.line() == f"Ana_Li: an identity of this name is in {tmp_path / 'two'}: ana li"


def test_a_set_of_damaged_images_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "0.png").write_bytes(b"x")
    with pytest.raises(UserError, match="none of its images"):
        audit_identities(embed, open_faces(tmp_path), progress=False)


def test_check_with_a_model_lists_candidates_and_still_ends_with_0(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    values, labels = features(seed=1)
    names = [f"person{label:02}" for label in labels]
    names[100] = "person03"
    write(tmp_path / "faces", values, names)
    monkeypatch.setattr("urface.commands.check.open_given", lambda given: Pixels())
    found = tmp_path / "found.parquet"
    arguments = [str(tmp_path / "faces"), "--near", "0", "--model", "any", "-o", str(found)]
    assert main(["data", "check", *arguments]) == 0
    captured = capsys.readouterr()
    assert "person03/100.png: looks like person12 (cosine" in captured.out
    assert "labels flagged as likely wrong" in captured.err
    assert pq.read_table(found)["kind"].to_pylist().count("label") == captured.out.count(
        "looks like"
    )


class Pixels:
    """In place of a model: a face's pixels are its features."""

    name, digest, preprocessing, parts, has_variance = "pixels", "0" * 64, None, 1, False
    needs_images = True

    def features(self, faces: Sequence[np.ndarray], keys: Sequence[str]) -> Features:
        assert all(key.count("/") == 1 for key in keys)
        return Features(embed(faces, keys).astype(np.float32))


def test_images_without_a_feature_are_left_out(tmp_path: Path) -> None:
    values, labels = features(seed=1)
    source = open_faces(write(tmp_path / "faces", values, [f"person{n:02}" for n in labels]))

    def partly(faces: Sequence[np.ndarray], keys: Sequence[str]) -> np.ndarray:
        found = embed(faces, keys)
        found[[key in ("person00/000.png", "person02/020.png") for key in keys], 3] = np.nan
        return found

    found = embed_to_file(partly, source, tmp_path / "features", 7, progress=False)
    kept = [n for n in range(len(source)) if n not in (0, 20)]
    assert found.source.keys == [source.keys[n] for n in kept]
    np.testing.assert_array_equal(found.features, values[kept] - 128)
    with pytest.raises(UserError, match="none of its images"):
        embed_to_file(
            lambda faces, keys: np.full((len(faces), 2), np.nan),
            source,
            tmp_path / "none",
            progress=False,
        )
