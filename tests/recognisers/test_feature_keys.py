"""A feature is found by its key whatever the image's ending, and never another's in its place."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from urface.recognisers.feature_keys import RowsByKey
from urface.recognisers.open import open_recogniser


def test_a_key_without_its_ending_or_with_another_finds_its_row() -> None:
    rows = RowsByKey(["A/A_0001.jpg", "A/A_0002.PNG", "B/B_0001", "v.1.2"])
    assert [rows[key] for key in ("A/A_0001", "A/A_0002", "A/A_0001.png")] == [0, 1, 0]
    assert (rows["B/B_0001.jpeg"], rows["v.1.2"]) == (2, 3)
    assert len(rows) == 4
    for other in ("v.1", "v.1.3", "A/A_000", "A"):
        assert rows.get(other) == -1
        with pytest.raises(KeyError, match=other):
            rows[other]


def test_keys_that_differ_in_their_ending_alone_are_found_by_the_whole_key() -> None:
    rows = RowsByKey(["a.jpg", "a.png", "a"])
    assert [rows[key] for key in ("a.jpg", "a.png", "a")] == [0, 1, 2]
    assert rows.get("a.webp") == -1
    assert RowsByKey(["a.jpg", "a.png", "a.jpeg"]).get("a") == -1


def test_what_urface_embed_names_with_an_ending_serves_lfws_keys(tmp_path: Path) -> None:
    vectors = np.eye(4, dtype=np.float32)[:2]
    keys = np.array(["A/A_0001.jpg", "B/B_0001.jpg"])
    np.savez(tmp_path / "f.npz", features=vectors, keys=keys)
    found = open_recogniser(tmp_path / "f.npz").features([], ["B/B_0001", "A/A_0001"])
    assert np.array_equal(found.vectors, vectors[::-1])
