"""Where the five points of a face lie in an aligned crop: the field's template (InsightFace's, 112 x 112)."""

from __future__ import annotations

import numpy as np

TEMPLATE_SIZE = 112
# Eye at the image's left, eye at its right, tip of the nose, corner of the mouth left, right; in pixels.
TEMPLATE = np.array(
    [
        [38.2946, 51.6963],
        [73.5318, 51.5014],
        [56.0252, 71.7366],
        [41.5493, 92.3655],
        [70.7299, 92.2041],
    ]
)
