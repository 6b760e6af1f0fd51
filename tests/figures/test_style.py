"""Claims about the looks of all figures and about how they reach the disk."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import cv2
import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure

from urface.figures.style import (
    DPI,
    HEAT,
    PALETTE,
    axes_at,
    house_style,
    line_style,
    new_figure,
    save_figure,
    to_jpeg,
)

MODULES = ("style", "confidence", "uncertainty", "tsne", "sheets", "robustness", "page")


@pytest.fixture
def figure() -> Figure:
    with house_style():
        made = new_figure(3.0, 2.0)
        axes_at(made, 0.5, 0.25, 2.0, 1.25).plot([0, 1], [0, 1], label="line")
    return made


@pytest.mark.parametrize("module", MODULES)
def test_figures_load_without_torch_or_a_window(module: str) -> None:
    code = (
        f"import sys, urface.figures.{module}; "
        "sys.exit(any(m in sys.modules for m in ('torch', 'sklearn', 'matplotlib.pyplot')))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_figure_is_saved_as_vectors_and_at_300_dpi(figure: Figure, tmp_path: Path) -> None:
    pdf, png = save_figure(figure, tmp_path / "new", "one")
    assert pdf.read_bytes().startswith(b"%PDF")
    image = cv2.imread(str(png))
    assert image is not None
    assert image.shape[:2] == (2 * DPI, 3 * DPI)


def test_the_same_figure_gives_the_same_bytes(figure: Figure, tmp_path: Path) -> None:
    first = [path.read_bytes() for path in save_figure(figure, tmp_path, "a")]
    assert first == [path.read_bytes() for path in save_figure(figure, tmp_path, "b")]


def test_an_interrupted_save_leaves_the_old_file_and_no_rest(
    figure: Figure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_figure(figure, tmp_path, "one")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def broken(self: Figure, path: Path, **more: object) -> None:
        Path(path).write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(Figure, "savefig", broken)
    with pytest.raises(KeyboardInterrupt):
        save_figure(figure, tmp_path, "one")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_light_jpeg_stays_under_its_limit() -> None:
    with house_style():
        noisy = new_figure(6.9, 6.9)
        noise = np.random.default_rng(0).integers(0, 256, (700, 700, 3)).astype(np.uint8)
        axes_at(noisy, 0, 0, 6.9, 6.9).imshow(noise)
    plain = len(to_jpeg(noisy, most_bytes=10**9))
    assert len(to_jpeg(noisy, most_bytes=plain - 1)) < plain


def test_our_settings_do_not_leak_into_the_callers() -> None:
    before = dict(matplotlib.rcParams)
    with house_style():
        assert matplotlib.rcParams["font.size"] == 7.0
    assert dict(matplotlib.rcParams) == before


def test_the_callers_settings_do_not_leak_into_ours() -> None:
    with matplotlib.rc_context({"lines.markersize": 99, "axes.grid": True}), house_style():
        assert matplotlib.rcParams["lines.markersize"] < 10
        assert not matplotlib.rcParams["axes.grid"]


def test_no_two_of_eight_lines_agree_in_colour_dash_or_marker() -> None:
    styles = [line_style(number) for number in range(len(PALETTE))]
    for key in ("color", "linestyle", "marker"):
        assert len({str(style[key]) for style in styles}) == len(PALETTE)


def test_the_heat_scale_rises_in_grey() -> None:
    rgb = HEAT(np.linspace(0, 1, 32))[:, :3]
    grey = rgb @ np.array([0.2126, 0.7152, 0.0722])
    assert (np.diff(grey) > 0).all()
    assert grey[0] < 0.1
    assert grey[-1] > 0.75
