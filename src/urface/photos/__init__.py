"""Photos and videos to aligned faces: detectors behind one small interface, alignment, tracks.

Coordinates are pixels of the photo as `urface.data.decode` gives it (its EXIF orientation applied), x to
the right and y down, the centre of the first pixel at (0, 0).
"""

from urface.photos.faces import AlignedFace, NoFace, aligned_face, find_faces
from urface.photos.found import Detector, FoundFace
from urface.photos.open import open_detector

__all__ = [
    "AlignedFace",
    "Detector",
    "FoundFace",
    "NoFace",
    "aligned_face",
    "find_faces",
    "open_detector",
]
