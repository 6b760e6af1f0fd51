"""Training and test faces of a reproduction: the user's, or synthetic ones made here."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from urface.config_reproduce import ReproduceSettings
from urface.data.join import JoinedReader
from urface.data.open import open_faces
from urface.data.source import FaceSource, select
from urface.data.synthetic import write_synthetic
from urface.evaluation.lfw import lfw_search
from urface.evaluation.outcomes import TestProtocol
from urface.evaluation.protocol import (
    PairProtocol,
    SearchProtocol,
    drawn_pairs,
    lfw_pairs,
    search_protocol,
)
from urface.training.train import training_faces

# Unseen people are numbered from here on, far from any training set.
FIRST_ENROLLED, FIRST_STRANGER = 1_000_000, 2_000_000


@dataclass(frozen=True, eq=False)
class ReproductionFaces:
    """``train`` to learn from; ``test`` with what is compared in it, and its name for reports."""

    train: FaceSource
    test: FaceSource
    protocol: TestProtocol
    train_name: str
    test_name: str
    synthetic: bool

    @property
    def pairs(self) -> PairProtocol:
        return self.protocol.pairs

    @property
    def search(self) -> SearchProtocol:
        """That of one gallery image a person."""
        return self.protocol.searches["single"]


def galleries(
    images: int, search: Callable[[int, int], SearchProtocol]
) -> dict[str, SearchProtocol]:
    """A gallery of one image a person and, for ``images`` above 1, one of several, for the same probes.

    ``search(images, reserved)`` as ``search_protocol`` takes them.
    """
    if images == 1:
        return {"single": search(1, 1)}
    return {"single": search(1, images), "several": search(images, images)}


def reproduction_faces(settings: ReproduceSettings, progress: bool) -> ReproductionFaces:
    """Open the named faces, or make synthetic ones in <out>/faces. Raises UserError where they lack."""
    if settings.train:
        settings.settings.data.train = settings.train
        test = open_faces(settings.test_lfw)
        return ReproductionFaces(
            train=training_faces(settings.settings),
            test=test,
            protocol=TestProtocol(
                test.labels,
                lfw_pairs(Path(settings.pairs), test),
                galleries(settings.gallery_images, partial(lfw_search, test)),
            ),
            train_name=Path(settings.train).name,
            test_name=Path(settings.test_lfw).name,
            synthetic=False,
        )
    return _synthetic_faces(settings, progress)


def _synthetic_faces(settings: ReproduceSettings, progress: bool) -> ReproductionFaces:
    plan = settings.synthetic
    folder = Path(settings.out) / "faces"

    def make(name: str, first: int, people: int, shots: int) -> FaceSource:
        path = write_synthetic(
            folder / name,
            seed=plan.seed,
            identities=range(first, first + people),
            shots=shots,
            size=plan.size,
            progress=progress,
            workers=os.cpu_count() or 1,
        )
        return open_faces(path)

    settings.settings.data.train = str(folder / "train")
    make("train", 0, plan.train_identities, plan.train_shots)
    train = training_faces(settings.settings)  # as each training by itself opens them
    enrolled = make("test/enrolled", FIRST_ENROLLED, plan.enrolled, plan.enrolled_shots)
    strangers = make("test/strangers", FIRST_STRANGER, plan.strangers, plan.stranger_shots)
    test = join_sources("synthetic test faces", enrolled, strangers)
    is_stranger = np.arange(len(test.identities)) >= len(enrolled.identities)
    return ReproductionFaces(
        train=train,
        test=test,
        protocol=TestProtocol(
            test.labels,
            drawn_pairs(test.labels, seed=plan.seed),
            galleries(settings.gallery_images, partial(search_protocol, test.labels, is_stranger)),
        ),
        train_name="synthetic faces",
        test_name="synthetic faces of other people",
        synthetic=True,
    )


def join_sources(name: str, first: FaceSource, second: FaceSource) -> FaceSource:
    """Two sources of different people as one, the first's people and images before the second's."""
    assert not set(first.identities) & set(second.identities)
    joined = FaceSource(
        name=name,
        keys=first.keys + second.keys,
        labels=np.concatenate([first.labels, second.labels + len(first.identities)]),
        identities=first.identities + second.identities,
        variation_names=first.variation_names,
        variations=np.concatenate([first.variations, second.variations]),
        read_bytes=JoinedReader(
            [first.read_bytes, second.read_bytes], np.array([0, len(first)], np.int64)
        ),
    )
    return select(joined, np.arange(len(joined)))
