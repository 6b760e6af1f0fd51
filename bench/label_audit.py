"""How many planted duplicates and wrong labels `urface data check` finds (goal G28).

    python bench/label_audit.py MODEL DATA [--share 0.02] [--rounds 5]

MODEL is a model.safetensors, DATA any set of faces that it was not trained on, such as one of
`urface data synthesize`. Every round renames another share of the images at random and audits them;
the duplicates are every tenth image as another JPEG, at half the size, and brighter. Prints a Markdown
table. Embedding DATA, once, takes most of the time.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from urface import load
from urface.data.centres import centres
from urface.data.decode import decode_image, encode_jpeg, resize_image
from urface.data.duplicates import LIKE, NEAR_BITS
from urface.data.fingerprints import likeness, look_of
from urface.data.label_audit import audit_labels
from urface.data.near_hashes import near_pairs
from urface.data.open import open_faces
from urface.data.source import FaceSource
from urface.data.within import fit_within
from urface.evaluation.data_audit import embed_to_file
from urface.types import to_numpy


def duplicates(source: FaceSource) -> None:
    """Found of the planted, and pairs of different images taken for one."""
    ways = {
        "JPEG, quality 50": lambda face: decode_image(encode_jpeg(face, 50)),
        "half the size": lambda face: resize_image(face, face.shape[0] // 2),
        "brighter by 15 %": lambda face: np.clip(face * 1.15, 0, 255).astype(np.uint8),
    }
    for name, way in ways.items():
        faces = [source.image(place) for place in range(0, len(source), 10)]
        hits = [
            int(np.bitwise_count(look_of(face) ^ look_of(way(face)))) <= NEAR_BITS
            and likeness(face, way(face)) >= LIKE
            for face in faces
        ]
        print(f"| duplicates, {name} | {sum(hits)} of {len(hits)} | |")
    looks = np.array([look_of(source.image(place)) for place in range(len(source))])
    values, first = np.unique(looks, return_index=True)
    pairs, _ = near_pairs(values, NEAR_BITS)
    alike = [likeness(*(source.image(int(first[p])) for p in pair)) >= LIKE for pair in pairs]
    print(f"| different images taken for one | | {sum(alike)} of {len(source):,} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("model")
    parser.add_argument("data")
    parser.add_argument("--share", type=float, default=0.02)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    embedder, source = load(given.model), open_faces(given.data)
    with TemporaryDirectory() as room:
        embedded = embed_to_file(
            lambda faces: to_numpy(embedder.embed(faces).mean).reshape(len(faces), -1),
            source,
            Path(room) / "features",
        )
        features, truth = np.array(embedded.features), embedded.source.labels
    people = len(embedded.source.identities)
    print("| planted | found | false flags |\n|---|---|---|")
    duplicates(source)
    for round_ in range(given.rounds):
        rng = np.random.default_rng(round_)
        bad = rng.choice(len(truth), round(given.share * len(truth)), replace=False)
        labels = truth.copy()
        labels[bad] = (truth[bad] + rng.integers(1, people, len(bad))) % people
        within = fit_within(features, labels).apply(features)
        audit = audit_labels(within, labels, centres(within, labels, people), progress=False)
        hit = np.isin(audit.place, bad)
        right = len(truth) - len(bad)
        found = f"{hit.sum()} of {len(bad)} ({100 * hit.sum() / len(bad):.1f} %)"
        false = f"{(~hit).sum()} of {right:,} ({100 * (~hit).sum() / right:.2f} %)"
        print(f"| wrong labels, round {round_} | {found} | {false} |")


if __name__ == "__main__":
    main()
