"""Claims about figure 1."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from urface.figures.confidence import EXAMPLES, confidence_figure, extremes

from .layout import assert_readable, texts

N, K = 200, 16


@pytest.fixture(scope="module")
def samples() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    confidence = np.exp(random.normal(3, 0.3, (N, K)))
    images = np.broadcast_to(np.arange(N, dtype=np.uint8)[:, None, None, None], (N, 8, 8, 3))
    return confidence, np.arange(N) >= N // 2, np.arange(N) % 40, images


@pytest.fixture(scope="module")
def figure(samples: tuple[np.ndarray, ...]) -> Figure:
    return confidence_figure(*samples)


def histograms(figure: Figure) -> list[Axes]:
    return [axes for axes in figure.axes if not axes.images]


def test_each_sub_embedding_has_a_histogram_and_six_faces(figure: Figure) -> None:
    assert len(histograms(figure)) == K
    assert sum(bool(axes.images) for axes in figure.axes) == K * 2 * EXAMPLES
    assert [axes.get_title() for axes in histograms(figure)] == [f"$k$ = {k + 1}" for k in range(K)]


def test_extremes_are_those_of_a_plain_loop(samples: tuple[np.ndarray, ...]) -> None:
    confidence, _, people, _ = samples
    low, high = extremes(confidence, people)
    for k in range(K):
        ranked = sorted(range(N), key=lambda n: confidence[n, k])
        for found, order in ((low[k], ranked), (high[k], ranked[::-1])):
            wanted: list[int] = []
            for place in order:
                if len(wanted) < EXAMPLES and people[place] not in people[wanted]:
                    wanted.append(place)
            assert found.tolist() == wanted


def test_the_faces_shown_are_the_extremes(figure: Figure, samples: tuple[np.ndarray, ...]) -> None:
    low, high = extremes(samples[0], samples[2])
    shown = [int(np.asarray(a.images[0].get_array()).ravel()[0]) for a in figure.axes if a.images]
    wanted = np.stack([low, high], 2).ravel()
    assert shown == wanted.tolist()


def test_all_panels_share_both_axes_and_hold_all_samples(
    figure: Figure, samples: tuple[np.ndarray, ...]
) -> None:
    panels = histograms(figure)
    assert len({axes.get_xlim() for axes in panels}) == 1
    assert len({axes.get_ylim() for axes in panels}) == 1
    low, high = panels[0].get_xlim()
    assert low < np.quantile(samples[0], 0.001)
    assert high > np.quantile(samples[0], 0.999)
    tallest = max(patch.get_extents().height for axes in panels for patch in axes.patches)
    assert tallest <= panels[0].bbox.height + 1e-6


def test_too_few_people_are_refused(samples: tuple[np.ndarray, ...]) -> None:
    with pytest.raises(ValueError, match="3 people are needed, got 1"):
        extremes(samples[0], np.zeros(N))


def test_without_augmented_samples_it_still_draws(samples: tuple[np.ndarray, ...]) -> None:
    confidence, _, people, images = samples
    figure = confidence_figure(confidence[:, :5], np.zeros(N, bool), people, images)
    assert len(histograms(figure)) == 5
    assert_readable(figure)


def test_labels_say_what_is_what_and_none_is_covered(figure: Figure) -> None:
    assert {"original samples", "augmented samples", "confidence $s$ (larger is surer)"} <= set(
        texts(figure)
    )
    assert_readable(figure)
