"""Claims about the miniatures of the template benchmarks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from urface.benchmarks.miniatures.faces import people
from urface.benchmarks.miniatures.pictures import HEIGHT, WIDTH, picture_of, points_in
from urface.benchmarks.registry import BENCHMARKS, read_benchmark, write_miniature
from urface.data.decode import decode_image

FAMILIES = {
    "ijba": ("ijba_1n",),
    "ijbb": ("ijbb_1n",),
    "ijbc": ("ijbc_1n",),
    "ijbs": tuple(name for name in BENCHMARKS if name.startswith("ijbs_")),
    "tinyface": (),
    "megaface": (),
}


def contents(root: Path) -> dict[str, bytes]:
    return {
        str(p.relative_to(root)): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()
    }


@pytest.mark.parametrize("name", FAMILIES)
def test_a_miniature_is_the_same_every_time_and_serves_all_names_of_its_family(
    tmp_path: Path, name: str
) -> None:
    write_miniature(name, tmp_path / "first")
    write_miniature((name, *FAMILIES[name])[-1], tmp_path / "second")
    assert contents(tmp_path / "first") == contents(tmp_path / "second")
    for other in (name, *FAMILIES[name]):
        found = read_benchmark(other, tmp_path / "first")
        assert found.name == other
        for place in (0, len(found.images) - 1):
            assert found.images.read(place).ndim == 3


def test_searches_have_enough_strangers_for_the_loosest_rate_or_are_known_not_to(
    tmp_path: Path,
) -> None:
    """Thirty false alarms at a FPIR of 0.1 need 300 probes without a mate; IJB-S is too small."""
    for name, enough in (("ijba_1n", True), ("ijbb_1n", True), ("ijbs", False)):
        write_miniature(name, tmp_path / name)
        found = read_benchmark(name, tmp_path / name)
        subjects = found.templates.subjects
        for task in found.searches:
            if "tpir@0.1" in task.measures:
                alone = ~np.isin(subjects[task.probes], subjects[task.gallery])
                assert (alone.sum() >= 300) == enough


def test_faces_in_a_picture_are_where_it_says() -> None:
    rng = np.random.default_rng(4)
    faces = [shots[0] for shots in people(2, 1)]
    data, placed = picture_of(faces, rng)
    image = decode_image(data).astype(float)
    assert image.shape == (HEIGHT, 2 * WIDTH, 3)
    spots = rng.uniform(10, 100, (50, 2)).round()
    for face, row in zip(faces, placed, strict=True):
        pixels = decode_image(face).astype(float)
        where = points_in(row, spots).round().astype(int)
        there = image[where[:, 1], where[:, 0]]
        truth = pixels[spots[:, 1].astype(int), spots[:, 0].astype(int)]
        assert np.abs(there - truth).mean() < 12
