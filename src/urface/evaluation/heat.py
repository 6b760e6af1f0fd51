"""A colour scale that everybody can read, and the K uncertainties of one face drawn with it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

SIGMA = "\N{GREEK SMALL LETTER SIGMA}"
_SMALLEST_SIGMA = 1e-12


def sequential_colour(position: float) -> str:
    """Colour ``#rrggbb`` at ``position`` 0..1: dark violet, blue, green, light yellow.

    Lightness rises evenly in OKLab, so the order also reads in grey and with any colour blindness;
    hue and chroma only help. Chroma is lowered where sRGB cannot show the colour. OKLab: B.
    Ottosson, "A perceptual color space for image processing" (2020).
    """
    t = min(max(position, 0.0), 1.0)
    lightness = 0.24 + 0.70 * t
    hue = math.radians(305 - 200 * t)
    chroma = 0.16
    while True:
        linear = _oklab_to_linear(lightness, chroma * math.cos(hue), chroma * math.sin(hue))
        if all(-1e-4 <= c <= 1 + 1e-4 for c in linear) or chroma < 1e-3:
            return "#" + "".join(f"{round(255 * _gamma(c)):02x}" for c in linear)
        chroma *= 0.97


def _oklab_to_linear(lightness: float, a: float, b: float) -> tuple[float, float, float]:
    """OKLab to linear sRGB, which lies outside 0..1 for colours a screen cannot show."""
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    medium = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    return (
        4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short,
        -1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short,
        -0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short,
    )


def _gamma(linear: float) -> float:
    clipped = min(max(linear, 0.0), 1.0)
    return 12.92 * clipped if clipped <= 0.0031308 else 1.055 * clipped ** (1 / 2.4) - 0.055


def sigma_range(sigmas: Sequence[Sequence[float]]) -> tuple[float, float]:
    """The smallest and largest sigma of all faces: the ends of the scale they share."""
    values = [max(float(value), _SMALLEST_SIGMA) for row in sigmas for value in row]
    return (min(values), max(values)) if values else (1.0, 1.0)


def position_on_scale(sigma: float, low: float, high: float) -> float:
    """Where ``sigma`` lies between ``low`` (0) and ``high`` (1) on a logarithmic scale."""
    if high <= low:
        return 0.5  # all alike: neither sure nor unsure
    return math.log(max(sigma, _SMALLEST_SIGMA) / low) / math.log(high / low)


def heat_cells(sigma: Sequence[float], low: float, high: float) -> str:
    """SVG of the K uncertainties as a square of cells, row by row; each cell says its number."""
    side = max(math.ceil(math.sqrt(len(sigma))), 1)
    rows = max(math.ceil(len(sigma) / side), 1)
    cells = []
    for k, value in enumerate(sigma):
        colour = sequential_colour(position_on_scale(value, low, high))
        cells.append(
            f'<rect x="{k % side * 10}" y="{k // side * 10}" width="10" height="10"'
            f' fill="{colour}"><title>sub-embedding {k}: {SIGMA} {value:.3g}</title></rect>'
        )
    label = f"{len(sigma)} uncertainties {SIGMA}: " + ", ".join(f"{value:.3g}" for value in sigma)
    return (
        f'<svg class="heat" shape-rendering="crispEdges" viewBox="0 0 {side * 10} {rows * 10}" role="img"'
        f' aria-label="{escape(label)}">{"".join(cells)}</svg>'
    )


def heat_legend(low: float, high: float) -> str:
    """SVG bar of the colour scale with its two ends and its middle in numbers."""
    steps = 40
    bar = "".join(
        f'<rect x="{i * 6}" y="0" width="6" height="12" shape-rendering="crispEdges"'
        f' fill="{sequential_colour(i / (steps - 1))}"/>'
        for i in range(steps)
    )
    marks = ((0, "start", low), (120, "middle", math.sqrt(low * high)), (240, "end", high))
    texts = "".join(
        f'<text x="{x}" y="27" text-anchor="{anchor}">{value:.3g}</text>'
        for x, anchor, value in marks
    )
    label = f"Logarithmic scale of {SIGMA}: dark {low:.3g} (sure) to light {high:.3g} (unsure)"
    return (
        f'<svg class="legend" viewBox="0 0 240 32" role="img" aria-label="{escape(label)}">'
        f"{bar}{texts}</svg>"
    )
