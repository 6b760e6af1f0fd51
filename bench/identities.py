"""Verification of unseen synthetic people against the number of people trained on.

    python bench/identities.py 100 300 1000

CosFace without augmentation on the tiny network, 12 images a person, 48,000 images seen whatever
the number of people, so that what differs is who was seen and not for how long. Prints a Markdown
table; models are kept in runs/identities, so that an interrupted run goes on.
"""

from __future__ import annotations

import sys
from pathlib import Path

from urface import load
from urface.config import (
    DataSettings,
    ModelSettings,
    ObjectiveSettings,
    OptimSettings,
    RunSettings,
    TrainSettings,
    UncertaintySettings,
    VariationSettings,
)
from urface.data.open import open_faces
from urface.data.source import first_identities
from urface.data.synthetic import write_synthetic
from urface.evaluation.embedding import embed_test_set
from urface.evaluation.judge import verify
from urface.evaluation.protocol import drawn_pairs
from urface.training.train import train

OUT, SHOTS, SEEN = Path("runs/identities"), 12, 48_000
UNSEEN = range(1_000_000, 1_000_300)


def settings(people: int) -> TrainSettings:
    """The same run for each number of people but for its epochs."""
    return TrainSettings(
        data=DataSettings("synthetic"),
        variations=VariationSettings(low_resolution=0.0, occlusion=0.0),
        model=ModelSettings(
            "tiny", 64, 70, sub_embeddings=1, initial_confidence=30.0, confidence_range=(1, 100)
        ),
        objective=ObjectiveSettings("cosface", 0.3, 0.0),
        optim=OptimSettings(batch_size=64, epochs=SEEN / (people * SHOTS)),
        uncertainty=UncertaintySettings(steps=0),
        run=RunSettings(str(OUT / f"people_{people}")),
    )


def main(counts: list[int]) -> None:
    test = open_faces(write_synthetic(OUT / "test", seed=0, identities=UNSEEN, shots=10, workers=2))
    faces = open_faces(
        write_synthetic(
            OUT / f"train_{max(counts)}",
            seed=0,
            identities=range(max(counts)),
            shots=SHOTS,
            workers=2,
        )
    )
    pairs = drawn_pairs(test.labels)
    print("| people | images | 10-fold accuracy | TAR at FAR 1% |\n|---|---|---|---|")
    for people in counts:
        path = train(settings(people), first_identities(faces, people))
        tested = embed_test_set(load(path), test, "clean")
        judged = verify(tested, tested, pairs, "cosine", fars=(0.01,))
        accuracy, tar = judged.accuracy.pooled.format(), judged.tar[0].tar.format()
        print(f"| {people:,} | {people * SHOTS:,} | {accuracy} | {tar} |", flush=True)


if __name__ == "__main__":
    main([int(count) for count in sys.argv[1:]] or [100, 300, 1000])
