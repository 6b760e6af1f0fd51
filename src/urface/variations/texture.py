"""Which part of a picture each vertex of a turned head shows, and where the mirrored half fills in."""

from __future__ import annotations

import cv2
import numpy as np

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


class Look:
    """Colours of ``image`` [H, W, 3] uint8, each the mean of 3 x 3 pixels, edges continued outside."""

    def __init__(self, image: np.ndarray) -> None:
        self.smooth = cv2.blur(image, (3, 3))
        self.last = (image.shape[1] - 1, image.shape[0] - 1)

    def __call__(self, places: np.ndarray) -> np.ndarray:
        """[..., 3] int16 at ``places`` [..., 2], x and y in pixels."""
        x = places[..., 0].clip(0, self.last[0]).astype(np.int32)
        y = places[..., 1].clip(0, self.last[1]).astype(np.int32)
        colours: np.ndarray = self.smooth[y, x].astype(np.int16)
        return colours


def texture(
    look: Look,
    backdrop: np.ndarray,
    shape: Topology,
    pixels: np.ndarray,
    front: np.ndarray,
    side: np.ndarray,
    unit: float,
    amount: float,
) -> np.ndarray:
    """[V, 7] float32 as ``view.paint`` takes it, in pixels of the image.

    pixels    [V, 2] where each vertex lies in the image
    front     [V] cosine between its normal and the line of sight
    side      [V] how far it lies on the side that is turned away, in ear distances
    unit      pixels between the ears
    amount    0 leaves everything as it is in the image, 1 hides all that a turn would show up
    """
    edge = pixels[shape.outline]
    inward = edge.mean(0) - edge
    inward /= np.sqrt((inward**2).sum(1, keepdims=True))
    a, b, mix = shape.sector[:, 0], shape.sector[:, 1], shape.between

    def spread(values: np.ndarray) -> np.ndarray:
        """Values of the outline [W] at every vertex [V], by the ray that each lies on."""
        return values[a] * (1 - mix) + values[b] * mix

    step = inward * (_insets(look, edge, inward, unit) * unit * amount)[:, None]
    filled = np.ones((len(pixels), 7), np.float32)
    filled[:, 0] = pixels[:, 0] + spread(step[:, 0]) * shape.squeeze
    filled[:, 1] = pixels[:, 1] + spread(step[:, 1]) * shape.squeeze
    filled[:, 2:4] = filled[shape.mirror, :2]
    better = front[shape.mirror] - front
    hidden = (side * 10).clip(0, 1)
    filled[:, SHARE] = ((0.65 - front) * 4).clip(0, 1) * (better * 6).clip(0, 1) * hidden * amount
    filled[-len(edge) :, SHARE] = 0.0
    light = look(edge + inward * (LIGHT_INSET * unit)).mean(1) + DARKEST
    gain = (light / light[shape.across]).clip(*GAINS)
    gain = (gain + gain[shape.before] + gain[shape.after]) / 3
    filled[:, GAIN] = 1 + (spread(gain) - 1) * shape.outwards
    there = _presence(look, backdrop, filled[POINTS:, :2], inward, shape)
    filled[POINTS:, THERE] = 1 - amount * (1 - there)
    return filled


def _insets(look: Look, edge: np.ndarray, inward: np.ndarray, unit: float) -> np.ndarray:
    """[W]: how far inside the outline there is nothing but skin.

    The mesh ends about where the face does: its edge holds backdrop, hair and arms of glasses, which
    a turn would smear over the near cheek. Not so at the top, where hair belongs, nor at the chin,
    where there is no room.
    """
    steps = np.append(INSETS, SKIN_INSET) * unit
    colours = look(edge + inward * steps[:, None, None])  # [I + 1, W, 3]
    strange = np.abs(colours[:-1] - colours[-1]).sum(2) > 3 * STRANGE
    beyond = len(INSETS) - np.argmax(strange[::-1], 0)  # one step further in than the innermost
    inset = np.where(strange.any(0), INSETS[np.minimum(beyond, len(INSETS) - 1)], INSETS[0])
    inset = np.maximum(inset, (np.roll(inset, 1) + np.roll(inset, -1)) / 2)
    at_top, at_chin = inward[:, 1].clip(0, 1), (-inward[:, 1]).clip(0, 1)
    limited: np.ndarray = inset * (1.5 - 2.5 * at_top).clip(0, 1) * (1.9 - 2 * at_chin).clip(0.1, 1)
    return limited


def _presence(
    look: Look, backdrop: np.ndarray, places: np.ndarray, inward: np.ndarray, shape: Topology
) -> np.ndarray:
    """[R * W]: 1 where a ring around the face shows head or hair, 0 where it shows the backdrop.

    What lies outside of a ring that is not there is not there either; the top of a head always is.
    """
    x = places[:, 0].clip(0, look.last[0]).astype(np.int32)
    y = places[:, 1].clip(0, look.last[1]).astype(np.int32)
    differs = np.abs(look(places) - backdrop[y, x]).mean(1).reshape(-1, len(inward))
    differs = (differs[:, shape.before] + 2 * differs + differs[:, shape.after]) / 4
    there = np.minimum.accumulate((differs / ALIKE).clip(0, 1), 0)
    top = (inward[:, 1] * 3 - 1).clip(0, 1)
    present: np.ndarray = np.maximum(there, top).ravel()
    return present
