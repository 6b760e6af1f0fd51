"""Which part of a picture each vertex of a turned head shows, and where the mirrored half fills in."""

from __future__ import annotations

import numpy as np
from numba import njit

from urface.variations.head_mesh import Topology
from urface.variations.head_pose import POINTS
from urface.variations.view import GAIN, SHARE, THERE

# All lengths in distances between the ears.
INSETS = np.array(
    [0.02, 0.04, 0.06, 0.08, 0.10, 0.12]
)  # how far inside the outline colours may be taken
SKIN_INSET, LIGHT_INSET = 0.16, 0.20  # where skin is surely skin, and where its light is compared
STRANGE = 26.0  # grey levels by which hair, glasses or backdrop differ from that skin
ALIKE = 24.0  # grey levels between head and backdrop below which a ring is taken for backdrop
GAINS = (0.6, 1.7)
DARKEST = 10.0  # grey levels added to both lights before their ratio is taken


def texture(
    smooth: np.ndarray,
    backdrop: np.ndarray,
    shape: Topology,
    pixels: np.ndarray,
    front: np.ndarray,
    side: np.ndarray,
    unit: float,
    amount: float,
) -> np.ndarray:
    """[V, 7] float32 as ``view.paint`` takes it, in pixels of the image.

    smooth    [H, W, 3] uint8, the image slightly blurred: its colours are compared
    backdrop  [H, W, 3] uint8, the image without the head
    pixels    [V, 2] where each vertex lies in the image
    front     [V] cosine between its normal and the line of sight
    side      [V] how far it lies on the side that is turned away, in ear distances
    unit      pixels between the ears
    amount    0 leaves everything as it is in the image, 1 hides all that a turn would show up

    The mirrored half fills in where a vertex on the side that is turned away was seen at a slant, its
    light matched to what it had. What lies outside of a ring that is not there is not there either; the
    top of a head always is.
    """
    filled = np.empty((len(pixels), 7), np.float32)
    _fill(
        smooth, backdrop, pixels, front, side, unit, amount, shape.outline, shape.mirror, shape.outwards,
        shape.sector, shape.between, shape.squeeze, shape.across, shape.before, shape.after, filled,
    )  # fmt: skip
    return filled


@njit(cache=True, nogil=True, error_model="numpy")
def _place(at: float, size: int) -> int:
    """The pixel that holds a coordinate, the nearest one outside of the picture."""
    return min(max(int(at), 0), size - 1)


@njit(cache=True, nogil=True, error_model="numpy")
def _read_edge(
    smooth: np.ndarray,
    edge: np.ndarray,
    inward: np.ndarray,
    unit: float,
    insets: np.ndarray,
    inset: np.ndarray,
    light: np.ndarray,
) -> None:
    """Fill ``inset`` [W], how far inside the outline there is only skin, and ``light`` [W] further in.

    The mesh ends about where the face does: its edge holds backdrop, hair and arms of glasses, which
    a turn would smear over the near cheek.
    """
    height, width = smooth.shape[:2]
    for w in range(edge.shape[0]):
        x = _place(edge[w, 0] + inward[w, 0] * SKIN_INSET * unit, width)
        y = _place(edge[w, 1] + inward[w, 1] * SKIN_INSET * unit, height)
        best = 0
        for i in range(insets.shape[0]):
            u = _place(edge[w, 0] + inward[w, 0] * insets[i] * unit, width)
            v = _place(edge[w, 1] + inward[w, 1] * insets[i] * unit, height)
            strange = 0.0  # floats: numba takes a difference of uint8 for a huge one of uint64
            for c in range(3):
                strange += abs(float(smooth[v, u, c]) - float(smooth[y, x, c]))
            if strange > 3 * STRANGE:  # one step further in than the innermost that is strange
                best = min(i + 1, insets.shape[0] - 1)
        inset[w] = insets[best]
        x = _place(edge[w, 0] + inward[w, 0] * LIGHT_INSET * unit, width)
        y = _place(edge[w, 1] + inward[w, 1] * LIGHT_INSET * unit, height)
        light[w] = DARKEST
        for c in range(3):
            light[w] += smooth[y, x, c] / 3.0


@njit(cache=True, nogil=True, error_model="numpy")
def _clip(value: float, low: float, high: float) -> float:
    return min(max(value, low), high)


@njit(cache=True, nogil=True, error_model="numpy")
def _fill(
    smooth: np.ndarray,
    backdrop: np.ndarray,
    pixels: np.ndarray,
    front: np.ndarray,
    side: np.ndarray,
    unit: float,
    amount: float,
    outline: np.ndarray,
    mirror: np.ndarray,
    outwards: np.ndarray,
    sector: np.ndarray,
    between: np.ndarray,
    squeeze: np.ndarray,
    across: np.ndarray,
    before: np.ndarray,
    after: np.ndarray,
    filled: np.ndarray,
) -> None:
    """Fill ``filled`` [V, 7]: all of ``texture`` in one call, for NumPy's own calls took longest."""
    width = outline.shape[0]
    edge, inward = np.empty((width, 2)), np.empty((width, 2))
    middle = np.zeros(2)
    for w in range(width):
        for c in range(2):
            edge[w, c] = pixels[outline[w], c]
            middle[c] += edge[w, c] / width
    for w in range(width):
        x, y = middle[0] - edge[w, 0], middle[1] - edge[w, 1]
        length = np.sqrt(x * x + y * y)
        inward[w, 0], inward[w, 1] = x / length, y / length
    inset, light = np.empty(width), np.empty(width)
    _read_edge(smooth, edge, inward, unit, INSETS, inset, light)
    step, ratio, gain = np.empty((width, 2)), np.empty(width), np.empty(width)
    for w in range(width):
        far = max(inset[w], (inset[before[w]] + inset[after[w]]) / 2)
        # Not so at the top, where hair belongs, nor at the chin, where there is no room.
        at_top, at_chin = max(inward[w, 1], 0.0), max(-inward[w, 1], 0.0)
        far *= _clip(1.5 - 2.5 * at_top, 0.0, 1.0) * _clip(1.9 - 2 * at_chin, 0.1, 1.0)
        for c in range(2):
            step[w, c] = inward[w, c] * far * unit * amount
        ratio[w] = _clip(light[w] / light[across[w]], GAINS[0], GAINS[1])
    for w in range(width):
        gain[w] = (ratio[w] + ratio[before[w]] + ratio[after[w]]) / 3
    vertices = pixels.shape[0]
    for v in range(vertices):
        a, b, mix = sector[v, 0], sector[v, 1], between[v]
        for c in range(2):
            moved = step[a, c] * (1 - mix) + step[b, c] * mix
            filled[v, c] = pixels[v, c] + moved * squeeze[v]
        filled[v, GAIN] = 1 + (gain[a] * (1 - mix) + gain[b] * mix - 1) * outwards[v]
        slant = _clip((0.65 - front[v]) * 4, 0.0, 1.0)
        better = _clip((front[mirror[v]] - front[v]) * 6, 0.0, 1.0)
        filled[v, SHARE] = slant * better * _clip(side[v] * 10, 0.0, 1.0) * amount
        filled[v, THERE] = 1.0
    for v in range(vertices):
        filled[v, 2] = filled[mirror[v], 0]
        filled[v, 3] = filled[mirror[v], 1]
    for v in range(vertices - width, vertices):
        filled[v, SHARE] = 0.0
    there, differs = np.ones(width), np.empty(width)
    for first in range(POINTS, vertices, width):
        _compare(smooth, backdrop, filled[first : first + width], differs)
        for w in range(width):
            around = (differs[before[w]] + 2 * differs[w] + differs[after[w]]) / 4
            there[w] = min(there[w], _clip(around / ALIKE, 0.0, 1.0))
            shown = max(there[w], _clip(inward[w, 1] * 3 - 1, 0.0, 1.0))
            filled[first + w, THERE] = 1 - amount * (1 - shown)


@njit(cache=True, nogil=True, error_model="numpy")
def _compare(
    smooth: np.ndarray, backdrop: np.ndarray, places: np.ndarray, differs: np.ndarray
) -> None:
    """Fill ``differs`` [N]: grey levels between picture and backdrop at ``places`` [N, 2 and more]."""
    height, width = smooth.shape[:2]
    for n in range(places.shape[0]):
        x, y = _place(places[n, 0], width), _place(places[n, 1], height)
        total = 0.0
        for c in range(3):
            total += abs(float(smooth[y, x, c]) - float(backdrop[y, x, c]))
        differs[n] = total / 3.0
