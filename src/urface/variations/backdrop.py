"""What would be behind a head: the picture with the head taken out."""

from __future__ import annotations

import cv2
import numpy as np

SHRUNK = 4  # what is filled in is smooth: a quarter of the pixels a side is enough
SIDES = 0.02  # weight of the picture's left and right edges where the head reaches them
COARSEST = 3  # pixels a side at which even a mask over all but an edge leaves none empty


def without_head(image: np.ndarray, outline: np.ndarray, margin: float) -> np.ndarray:
    """``image`` [H, W, 3] uint8 with the polygon ``outline`` [N, 2] (pixels) filled from around it.

    ``margin`` pixels more are filled. Each hole is filled by the mean colour around it at the finest
    scale that has one (pull-push, Gortler et al., SIGGRAPH 1996). A crop may show nothing but head:
    then its left and right edges are the likeliest to resemble what is behind.
    """
    height, width = image.shape[:2]
    shape = (max(2, width // SHRUNK), max(2, height // SHRUNK))
    scale = np.array(shape) / (width, height)
    hole = np.zeros(shape[::-1], np.uint8)
    # fillPoly takes whole pixels with a fraction of 4 bits, measured from their centres.
    points = np.clip(outline * scale - 0.5, -1000, 1000) * 16
    cv2.fillPoly(hole, [np.rint(points).astype(np.int32)], 255, shift=4)
    reach = max(1, round(margin / SHRUNK))
    hole = cv2.dilate(hole, np.ones((2 * reach + 1, 2 * reach + 1), np.uint8))
    small = cv2.resize(image, shape, interpolation=cv2.INTER_AREA)
    weight = (hole == 0).astype(np.float32)
    weight[:, [0, -1]] = np.maximum(weight[:, [0, -1]], SIDES)
    behind = fill(small, weight).astype(np.uint8)
    filled = cv2.resize(behind, (width, height), interpolation=cv2.INTER_LINEAR)
    soft = cv2.resize(hole, (width, height), interpolation=cv2.INTER_LINEAR)
    share = soft.astype(np.float32) * np.float32(1 / 255)
    return cv2.blendLinear(filled, image, share, 1 - share)


def fill(image: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """``image`` [H, W, 3] as float32, smooth where ``weight`` [H, W] float32, 0..1, says it is not known.

    Something must be known.
    """
    levels = [np.dstack([image.astype(np.float32) * weight[..., None], weight])]
    while max(levels[-1].shape[:2]) > COARSEST:
        levels.append(cv2.pyrDown(levels[-1]))
    coarse: np.ndarray | None = None
    for level in reversed(levels):
        known = level[..., 3:]
        colour = level[..., :3] / np.maximum(known, 1e-6)
        if coarse is not None:
            under = cv2.pyrUp(coarse, dstsize=(level.shape[1], level.shape[0]))
            sure = np.minimum(known * 4.0, 1.0)
            colour = sure * colour + (1.0 - sure) * under
        coarse = colour
    assert coarse is not None
    return coarse
