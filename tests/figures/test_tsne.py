"""Claims about figure 4."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from matplotlib.collections import PathCollection
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from urface.figures.style import PALETTE
from urface.figures.tsne import MOST_PEOPLE, Map, project, tsne_figure
from urface.types import UserError

from .layout import assert_readable, texts

PEOPLE, EACH = 4, 9


def embeddings(spread: float = 0.2) -> tuple[np.ndarray, np.ndarray]:
    """Unit sub-embeddings [N, 2, 8] around one direction a person, and who is who."""
    random = np.random.default_rng(0)
    centres = random.normal(size=(PEOPLE, 1, 2, 8))
    mean = centres + spread * random.normal(size=(PEOPLE, EACH, 2, 8))
    mean = mean.reshape(-1, 2, 8)
    return mean / np.linalg.norm(mean, axis=2, keepdims=True), np.repeat(np.arange(PEOPLE), EACH)


@pytest.fixture(scope="module")
def maps() -> list[Map]:
    random = np.random.default_rng(1)
    return [Map(title, random.normal(size=(PEOPLE * EACH, 2))) for title in ("baseline", "ours")]


@pytest.fixture(scope="module")
def augmented() -> np.ndarray:
    return np.arange(PEOPLE * EACH) % 3 > 0


@pytest.fixture(scope="module")
def figure(maps: list[Map], augmented: np.ndarray) -> Figure:
    faces = [np.zeros((8, 8, 3), np.uint8)] * PEOPLE
    return tsne_figure(maps, embeddings()[1], augmented, faces)


def points(figure: Figure, panel: int) -> list[PathCollection]:
    return [c for c in figure.axes[panel].collections if isinstance(c, PathCollection)]


def test_the_same_seed_gives_the_same_map() -> None:
    mean, _ = embeddings()
    first = project(mean)
    assert first.shape == (PEOPLE * EACH, 2)
    np.testing.assert_array_equal(first, project(mean))


def test_neighbours_in_the_embedding_are_neighbours_in_the_map() -> None:
    mean, people = embeddings()
    places = project(mean)
    distance = np.linalg.norm(places[:, None] - places[None], axis=2)
    np.fill_diagonal(distance, np.inf)
    assert (people[distance.argmin(1)] == people).all()


def test_a_handful_of_points_has_a_map_too() -> None:
    assert np.isfinite(project(embeddings()[0][:4])).all()


def test_without_scikit_learn_one_line_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.manifold", None)
    with pytest.raises(UserError, match="figure 4 needs scikit-learn"):
        project(embeddings()[0])


def test_every_sample_is_drawn_where_its_map_says(
    figure: Figure, maps: list[Map], augmented: np.ndarray
) -> None:
    people = embeddings()[1]
    for panel, chart in enumerate(maps):
        drawn = points(figure, panel)
        assert len(drawn) == 2 * PEOPLE
        for number, collection in enumerate(drawn):
            kind, person = number < PEOPLE, number % PEOPLE
            wanted = chart.places_N2[(people == person) & (augmented == kind)]
            np.testing.assert_array_equal(np.asarray(collection.get_offsets()), wanted)
            assert to_hex(collection.get_facecolor()[0]) == PALETTE[person].lower()


def test_triangles_are_augmented_and_circles_original(figure: Figure) -> None:
    corners = [len(collection.get_paths()[0].vertices) for collection in points(figure, 0)]
    assert corners[:PEOPLE] == [4] * PEOPLE  # three corners and back to the first
    assert min(corners[PEOPLE:]) > 8


def test_panels_are_side_by_side_and_alike(figure: Figure) -> None:
    left, right = (axes.get_position() for axes in figure.axes[:2])
    assert left.x1 < right.x0
    assert (left.y0, left.height, left.width) == pytest.approx(
        (right.y0, right.height, right.width)
    )
    titles = [axes.get_title() for axes in figure.axes[:2]]
    assert titles == ["(a) baseline", "(b) ours"]


def test_letters_and_markers_are_explained(figure: Figure) -> None:
    found = texts(figure)
    assert {"original sample", "augmented sample"} <= set(found)
    # Each letter three times: in both maps, and beside its face.
    assert [len(found[letter]) for letter in "ABCD"] == [3] * 4


def test_the_key_is_readable(maps: list[Map]) -> None:
    """Eight people far apart, so that only texts outside the maps could meet."""
    places = np.stack([np.arange(16.0), np.arange(16.0) % 4], 1)
    people = np.repeat(np.arange(8), 2)
    faces = [np.zeros((8, 8, 3), np.uint8)] * 8
    figure = tsne_figure([Map("a", places), Map("b", places)], people, np.arange(16) % 2 > 0, faces)
    assert_readable(figure)


def test_more_people_than_colours_are_refused(maps: list[Map]) -> None:
    faces = [np.zeros((8, 8, 3), np.uint8)] * (MOST_PEOPLE + 1)
    with pytest.raises(ValueError, match="8 colours can be told apart, got 9"):
        tsne_figure(maps, np.zeros(36), np.zeros(36, bool), faces)
