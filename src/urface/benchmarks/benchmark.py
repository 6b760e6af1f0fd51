"""What a benchmark is: images, the templates they make, and the comparisons that its protocol asks for.

Plain columns, so that IJB-C's 15 million pairs are four arrays. A reader (one file for each layout)
fills them; the runner embeds, pools, scores and judges without knowing which benchmark it is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from urface.types import UserError

NOBODY = -1  # the subject of a distractor: it is no one's mate


@dataclass(frozen=True, eq=False)
class ImageSet:
    """N images that a protocol names.

    keys     N unique names, in the protocol's order, for messages and for features on disk
    read     place -> aligned face, RGB uint8 [H, W, 3]; raises DecodeError where it is missing or
             damaged, which is a failure to acquire and stays in every denominator
    quality  [N] float32, the detector's score of each face, or None where the layout has none
    stamp    place -> bytes that change when what ``read`` would give does, without reading the image: the
             file's size and time, the alignment. None: cannot be told, and a cache does not notice it
    """

    keys: list[str]
    read: Callable[[int], np.ndarray]
    quality: np.ndarray | None = None
    stamp: Callable[[int], bytes] | None = None

    def __len__(self) -> int:
        return len(self.keys)


@dataclass(frozen=True, eq=False)
class Templates:
    """T templates, made of E entries: entry e puts image ``image[e]`` into template ``template[e]``.

    names     T names, unique, for messages
    subjects  [T] int64, who it is of; NOBODY for a distractor
    image     [E] int64 place in the images, -1 where the data lack it
    template  [E] int64 place of the template
    media     [E] int64 medium of the entry: frames of one video share it; pooled first where asked
    """

    names: list[str]
    subjects: np.ndarray
    image: np.ndarray
    template: np.ndarray
    media: np.ndarray

    def __len__(self) -> int:
        return len(self.names)

    @staticmethod
    def of_images(keys: list[str], subjects: np.ndarray) -> Templates:
        """Every image a template of its own."""
        places = np.arange(len(keys), dtype=np.int64)
        return Templates(list(keys), np.asarray(subjects, np.int64), places, places, places)


@dataclass(frozen=True, eq=False)
class PairTask:
    """1:1: P pairs of templates.

    name      of this part, such as ``FP`` or ``split 3``
    left      [P] places of templates
    right     [P]
    same      [P] bool
    fold      [P] int64 of the accuracy's folds; all 0 where the protocol has none
    measures  what its protocol reports: accuracy, eer, auc, tar@<far> (tar@1e-4)
    group     parts of one group are also reported as mean and standard deviation
    """

    name: str
    left: np.ndarray
    right: np.ndarray
    same: np.ndarray
    fold: np.ndarray
    measures: tuple[str, ...]
    group: str = ""


@dataclass(frozen=True, eq=False)
class SearchTask:
    """1:N: Q probes searched in a gallery of G templates.

    name      of this part, such as ``gallery 1``
    gallery   [G] places of templates
    probes    [Q] places of templates; a probe is mated where its subject is in the gallery
    measures  rank<r>, tpir@<fpir>, map, tar@<far>
    group     as in PairTask
    mates     None, or [L, 2] places (probe, mate): MegaFace's protocol. The gallery then holds distractors
              alone, and each row is a trial of its own: that mate among all distractors
    """

    name: str
    gallery: np.ndarray
    probes: np.ndarray
    measures: tuple[str, ...]
    group: str = ""
    mates: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class Benchmark:
    """All of a benchmark; ``check`` holds it to its own counts.

    name      as users write it: ijbc
    version   which protocol and which revision of our reading of it, for reports
    pooling   how its authors pool a template: mean, or media (mean of each medium, then their sum)
    notes     what a report should say beside the numbers
    """

    name: str
    version: str
    images: ImageSet
    templates: Templates
    pairs: tuple[PairTask, ...] = ()
    searches: tuple[SearchTask, ...] = ()
    pooling: str = "mean"
    notes: tuple[str, ...] = ()

    def check(self) -> Benchmark:
        """The benchmark itself. Raises UserError where a place lies outside, or a list is empty."""
        templates, images = self.templates, self.images
        if not len(images) or not len(templates):
            raise UserError(f"{self.name}: no image or no template in it")
        if len(templates.subjects) != len(templates):
            raise UserError(
                f"{self.name}: {len(templates)} templates with other numbers of subjects"
            )
        _inside(self.name, "image", templates.image, len(images), missing=True)
        _inside(self.name, "template", templates.template, len(templates))
        for pair in self.pairs:
            sizes = {len(c) for c in (pair.left, pair.right, pair.same, pair.fold)}
            if len(sizes) != 1 or sizes == {0}:
                raise UserError(f"{self.name}, {pair.name}: its columns hold {sorted(sizes)} pairs")
            _inside(self.name, "template", pair.left, len(templates))
            _inside(self.name, "template", pair.right, len(templates))
        for task in self.searches:
            _inside(self.name, "template", task.gallery, len(templates))
            _inside(self.name, "template", task.probes, len(templates))
            if task.mates is not None:
                _inside(self.name, "template", task.mates, len(templates))
            if not len(task.gallery) or not len(task.probes):
                raise UserError(f"{self.name}, {task.name}: an empty gallery, or no probe")
        return self


def _inside(name: str, what: str, places: np.ndarray, count: int, missing: bool = False) -> None:
    lowest = -1 if missing else 0
    if len(places) and (places.min() < lowest or places.max() >= count):
        raise UserError(f"{name}: a row names {what} {places.max()} of {count}")
