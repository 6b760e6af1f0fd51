"""Claims about `evaluate --lfw`, on a made-up tree in its layout."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from urface.data.source import FaceSource
from urface.embedder import Embedder
from urface.evaluation.lfw import evaluate_lfw, lfw_search
from urface.types import UserError

SAME = ["Bo\t1\t2", "Cy\t1\t2", "Cy\t1\t3", "Cy\t2\t3", "Di\t1\t2"]
SAME_2 = ["Di\t1\t3", "Di\t2\t3", "Ed\t1\t2", "Ed\t1\t3", "Ed\t2\t9"]
OTHER = [f"Al\t1\tCy\t{i}" for i in (1, 2, 3)] + ["Bo\t2\tCy\t1", "Bo\t1\tCy\t1"]
OTHER_2 = [f"Al\t1\tDi\t{i}" for i in (1, 2, 3)] + ["Ed\t1\tDi\t1", "Ed\t2\tDi\t2"]


@pytest.fixture
def pairs_file(tmp_path: Path) -> Path:
    path = tmp_path / "pairs.txt"
    path.write_text("\n".join(["2\t5", *SAME, *OTHER, *SAME_2, *OTHER_2]) + "\n")
    return path


def test_people_with_two_images_are_enrolled_and_those_with_one_are_strangers(
    faces: FaceSource,
) -> None:
    search = lfw_search(faces)
    assert [faces.keys[place] for place in search.gallery] == [
        f"{name}/{name}_0001.png" for name in ("Bo", "Cy", "Di", "Ed")
    ]
    assert len(search.mated) == 7
    assert [faces.keys[place] for place in search.nonmated] == ["Al/Al_0001.png"]


@pytest.mark.parametrize("degraded", [False, True])
def test_counts_add_up_with_the_missing_and_the_corrupt_among_them(
    embedder: Embedder, faces: FaceSource, pairs_file: Path, degraded: bool
) -> None:
    result = evaluate_lfw(embedder, faces, pairs_file, degraded=degraded, progress=False)
    accuracy = result.verification.accuracy
    # Bo_0002 is truncated (two pairs), Ed_0009 is named and not there (one pair).
    assert (accuracy.pooled.trials, accuracy.pooled.failures) == (20, 3)
    assert (accuracy.failed_genuine, accuracy.failed_impostor) == (2, 1)
    assert len(accuracy.per_fold) == 2
    assert list(result.failures) == ["Bo/Bo_0002.png"]
    for rate in result.identification.closed.values():
        assert (rate.trials, rate.failures) == (7, 1)
    assert result.identification.closed[10].events == 6  # all that could be searched
    said = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert said["condition"] == ("degraded" if degraded else "clean")
    text = result.to_markdown()
    assert f"({accuracy.pooled.events}/20)" in text
    assert "TAR at FAR <= 0.001 | withheld: " in text
    assert "1 images could not be embedded" in text
    assert ("The gallery stays clean." in text) == degraded


def test_pairs_of_another_data_set_are_refused(
    embedder: Embedder, faces: FaceSource, tmp_path: Path
) -> None:
    path = tmp_path / "pairs.txt"
    path.write_text("1\t1\nXx\t1\t2\nXx\t1\tYy\t1\n")
    with pytest.raises(UserError, match="none of the pairs' images"):
        evaluate_lfw(embedder, faces, path, progress=False)
