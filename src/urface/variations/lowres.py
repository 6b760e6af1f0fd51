"""Low resolution: a Gaussian blur, or fewer pixels."""

from __future__ import annotations

import cv2
import numpy as np


def gaussian_blur(image: np.ndarray, kernel: int, out: np.ndarray | None = None) -> np.ndarray:
    """``image`` [H, W, 3] uint8 blurred with a kernel of ``kernel`` x ``kernel`` pixels, odd; into ``out``.

    The standard deviation is OpenCV's for that size, 0.3 ((kernel - 1) / 2 - 1) + 0.8, with its fixed
    binomial tables for the smallest kernels: the paper gives only the sizes (3 to 11, recalled).
    """
    return cv2.GaussianBlur(image, (kernel, kernel), 0, out)


def shrink(image: np.ndarray, pixels: int) -> np.ndarray:
    """``image`` [H, W, 3] uint8 as if taken with ``pixels`` pixels a side, brought back to its size.

    Averaged over areas on the way down, as a sensor does, and enlarged bilinearly, as a pipeline would
    before a network. A face that already has no more pixels comes back as it is.
    """
    height, width = image.shape[:2]
    if pixels >= min(height, width):
        return image
    small = cv2.resize(image, (pixels, pixels), interpolation=cv2.INTER_AREA)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
