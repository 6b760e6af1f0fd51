"""Synthetic faces with known truth: a parametric head, rendered as a pure function of its address."""

from urface.data.synthetic.face import (
    RENDERER_VERSION,
    VARIATION_LABELS,
    SyntheticFace,
    render_face,
)
from urface.data.synthetic.shot import ShotStyle
from urface.data.synthetic.write import write_synthetic

__all__ = [
    "RENDERER_VERSION",
    "VARIATION_LABELS",
    "ShotStyle",
    "SyntheticFace",
    "render_face",
    "write_synthetic",
]
