"""Images to templates: one feature, and where there is one a variance, for all images of a template.

Every pooling is a weighted sum of the images' features, so one pass over them with a sparse matrix of
weights does it, whatever the number of images; only the sums of templates of several images are held
in float64.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from scipy.sparse import csr_array

from urface.benchmarks.benchmark import Templates
from urface.benchmarks.embedded import Block, Embedded
from urface.types import UserError

Method = Literal["mean", "media", "inverse_variance"]
Norms = Literal["unit", "keep"]
CANCELLED = 1e-6  # of the length that faces of one direction would have: less has no direction


@dataclass(frozen=True)
class Pooling:
    """How images become templates.

    method            mean: of all images; media: the mean of each medium's images, then their sum (IJB);
                      inverse_variance: each sub-embedding weighs 1 / variance (equation PA)
    norms             unit: every sub-embedding of an image is brought to length 1 first;
                      keep: it keeps the length that the network gave it, which then weighs it
    detector_weights  times the detector's score of the image
    """

    method: Method = "mean"
    norms: Norms = "unit"
    detector_weights: bool = False

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)


@dataclass(frozen=True, eq=False)
class Pooled:
    """T templates.

    vectors   [T, K, D] float32, of unit length per sub-embedding; zeros where there is none
    variance  [T, K] or [T, K, D] float32, or None
    there     [T] bool; False: a failure, no image of it could be used
    lost      templates whose images cancel out, so that the sum has no direction; they are not there
    """

    vectors: np.ndarray
    variance: np.ndarray | None
    there: np.ndarray
    lost: np.ndarray

    def __len__(self) -> int:
        return len(self.there)


def pool(
    embedded: Embedded,
    templates: Templates,
    pooling: Pooling,
    quality: np.ndarray | None = None,
    *,
    with_variance: bool = False,
) -> Pooled:
    """The templates of a benchmark. An image that failed is left out of its template's sum; a template
    without any image stays, as a failure.

    quality [N] is the detector's score of each image, wanted for ``detector_weights``. With
    ``with_variance`` the variance of a mean with weights w is sum w^2 v / (sum w)^2, where w counts the
    length too if it is kept; with w = 1 / v and length 1 that is 1 / sum (1 / v). Raises UserError where a
    score or a variance is wanted and missing.
    """
    if pooling.method == "inverse_variance" and pooling.detector_weights:
        raise UserError(
            "inverse_variance weighs images already: leave out --detector-weights, or pool by mean or media"
        )
    weight, image, template = _entries(embedded, templates, pooling, quality)
    sums = _Sums(len(templates), np.bincount(template, minlength=len(templates)))
    by_image = np.argsort(image, kind="stable")
    weight, image, template = weight[by_image], image[by_image], template[by_image]
    wants = with_variance or pooling.method == "inverse_variance"
    for block in embedded.blocks():
        size = len(block.features)
        start, end = np.searchsorted(image, [block.first, block.first + size])
        if start == end:
            continue
        used = slice(int(start), int(end))
        faces = _faces(block, pooling, wants, embedded.parts)
        sums.add(faces, weight[used], image[used] - block.first, template[used], pooling.method)
    return sums.result(with_variance)


def _entries(
    embedded: Embedded, templates: Templates, pooling: Pooling, quality: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weight, image and template of the entries whose image has a feature."""
    usable = templates.image >= 0
    usable[usable] = embedded.ok[templates.image[usable]]
    image, template = templates.image[usable], templates.template[usable]
    weight = np.ones(len(image))
    if pooling.method == "media" and len(image):
        media = np.unique(templates.media[usable], return_inverse=True)[1]
        pairs = template * (int(media.max()) + 1) + media
        _, place, count = np.unique(pairs, return_inverse=True, return_counts=True)
        weight /= count[place]  # the sum over media of their means is linear in the images
    if pooling.detector_weights:
        if quality is None:
            raise UserError("this benchmark has no detector's scores: leave out --detector-weights")
        scores = np.asarray(quality, np.float64)[image]
        if not (np.isfinite(scores) & (scores >= 0)).all():
            raise UserError("a detector's score is negative or not finite: it cannot be a weight")
        weight *= scores
    return weight, image, template


@dataclass(frozen=True, eq=False)
class _Faces:
    """A block in float64: vectors [n, K, D] after norms, their lengths [n, K], variance [n, K, 1 or D]."""

    vectors: np.ndarray
    lengths: np.ndarray
    variance: np.ndarray | None


def _faces(block: Block, pooling: Pooling, wants_variance: bool, parts: int) -> _Faces:
    features = block.features
    vectors = features.vectors.astype(np.float64).reshape(len(features), parts, -1)
    lengths = np.sqrt(np.einsum("nkd,nkd->nk", vectors, vectors))
    if pooling.norms == "unit":
        vectors /= np.where(lengths > 0, lengths, 1.0)[:, :, None]
        lengths = (lengths > 0).astype(np.float64)
    variance = None
    if wants_variance:
        if features.variance is None:
            if (lengths > 0).any():
                raise UserError(
                    "this model gives no variance: score by cosine and pool by mean or media"
                )
            return _Faces(vectors, lengths, np.ones((len(features), parts, 1)))
        variance = features.variance.astype(np.float64).reshape(len(features), parts, -1)
        used = lengths[:, :, None] > 0
        if not ((np.isfinite(variance) & (variance > 0)) | ~used).all():
            raise UserError(f"a variance of images {block.first} and on is not finite and above 0")
        variance = np.where(used, variance, 1.0)
    return _Faces(vectors, lengths, variance)


class _Sums:
    """Templates as they grow: those of one image are written at once, the others are summed in float64."""

    def __init__(self, count: int, sizes: np.ndarray) -> None:
        self.count = count
        self.sizes = sizes
        self.several = np.flatnonzero(sizes > 1)
        self.place = np.full(count, -1, np.int64)  # of a template among ``several``
        self.place[self.several] = np.arange(len(self.several))
        self.vectors: np.ndarray | None = None  # [T, K, D] float32
        self.variance: np.ndarray | None = None
        self.sums: dict[str, np.ndarray] = {}
        self.there = np.zeros(count, bool)

    def add(
        self,
        faces: _Faces,
        weight: np.ndarray,
        row: np.ndarray,
        template: np.ndarray,
        method: Method,
    ) -> None:
        """Entries of one block: row [e] of the face, template [e]."""
        if self.vectors is None:
            self.vectors = np.zeros((self.count, *faces.vectors.shape[1:]), np.float32)
        if faces.variance is not None and self.variance is None:
            self.variance = np.ones((self.count, *faces.variance.shape[1:]), np.float32)
        lone = self.sizes[template] == 1
        self._write(faces, weight[lone], row[lone], template[lone])
        if not lone.all():
            self._sum(faces, weight[~lone], row[~lone], template[~lone], method)

    def _write(
        self, faces: _Faces, weight: np.ndarray, row: np.ndarray, template: np.ndarray
    ) -> None:
        assert self.vectors is not None
        good = weight > 0
        row, template = row[good], template[good]
        lengths = faces.lengths[row][:, :, None]
        self.vectors[template] = faces.vectors[row] / np.where(lengths > 0, lengths, 1.0)
        self.there[template] = True
        if faces.variance is not None:
            assert self.variance is not None
            self.variance[template] = faces.variance[row]

    def _sum(
        self,
        faces: _Faces,
        weight: np.ndarray,
        row: np.ndarray,
        template: np.ndarray,
        method: Method,
    ) -> None:
        groups, local = np.unique(self.place[template], return_inverse=True)
        shape = (len(groups), len(faces.vectors))
        once = csr_array((weight, (local, row)), shape=shape)
        vectors, reach = faces.vectors, faces.lengths
        weighs = faces.lengths[:, :, None]  # of a direction, beside ``weight``
        if method == "inverse_variance":
            assert faces.variance is not None
            precision = 1.0 / faces.variance
            vectors = vectors * precision
            reach = np.sqrt(np.einsum("nkd,nkd->nk", vectors, vectors))
            weighs = weighs * precision
        if faces.variance is not None:
            twice = csr_array((weight**2, (local, row)), shape=shape)
            self._add("spread", groups, twice, weighs**2 * faces.variance)
            self._add("weight", groups, once, weighs)
        self._add("vectors", groups, once, vectors)
        self._add("reach", groups, once, reach)

    def _add(self, name: str, groups: np.ndarray, matrix: csr_array, values: np.ndarray) -> None:
        flat = values.reshape(len(values), -1)
        if name not in self.sums:
            self.sums[name] = np.zeros((len(self.several), flat.shape[1]))
        self.sums[name][groups] += matrix @ flat

    def result(self, with_variance: bool) -> Pooled:
        """What was summed, brought to unit length."""
        if self.vectors is None:
            raise UserError("not one image of this benchmark could be embedded: nothing to judge")
        lost = np.empty(0, np.int64)
        if len(self.several) and self.sums:
            parts = self.vectors.shape[1]
            split = self.sums["vectors"].reshape(len(self.several), parts, -1)
            lengths = np.sqrt(np.einsum("tkd,tkd->tk", split, split))
            good = ((lengths > CANCELLED * self.sums["reach"]) & (lengths > 0)).all(1)
            lost = self.several[~good]
            at = self.several[good]
            self.vectors[at] = split[good] / lengths[good][:, :, None]
            self.there[at] = True
            if self.variance is not None:
                self.variance[at] = self._variances()[good].reshape(-1, *self.variance.shape[1:])
        variance = self.variance if with_variance else None
        if variance is not None and variance.shape[2] == 1:
            variance = variance[:, :, 0]
        return Pooled(self.vectors, variance, self.there, lost)

    def _variances(self) -> np.ndarray:
        with np.errstate(divide="ignore", invalid="ignore"):  # of templates that are lost
            parts = self.sums["reach"].shape[1]
            split = (len(self.several), parts, -1)
            weight = self.sums["weight"].reshape(split)
            spread: np.ndarray = self.sums["spread"].reshape(split) / weight**2
            return spread
