"""What the confidences of a trained model say: the pull of the loss on them, and how they sort images.

    python bench/confidence.py RUN FACES [IMAGES]

RUN is a folder of `urface train` with its checkpoints, FACES what it was trained on; IMAGES (600) are
drawn of them. By eq. 24 the derivative of the loss by s_i^k is -g / K with
g = (1 - p_iy) cos_iy - sum_{j != y} p_ij cos_ij, and that of the regulariser 2 lambda s_i^k / K, so that
a confidence comes to rest at g / (2 lambda). Prints that beside the confidences there are, and for
clean and degraded images the mean and spread of log s and of log variance, and their correlation with the
cosine to the image's own prototype: a confidence that is worth its name has one well above 0.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file

from urface import load
from urface.data.open import open_faces
from urface.data.source import FaceSource, select
from urface.evaluation.conditions import condition
from urface.models.files import load_model
from urface.types import FaceEmbedding, to_numpy

CONDITIONS = ("clean", "16px", "degraded", "8px", "all")


def prototypes(run: Path) -> NDArray[np.float64]:
    """[C, K, D] of the newest checkpoint, of unit length per sub-embedding."""
    newest = sorted((run / "checkpoints").glob("step_*"))[-1]
    parts = [load_file(path)["prototypes"] for path in sorted(newest.glob("rank_*.safetensors"))]
    weights = np.concatenate(parts).astype(np.float64)
    return weights / np.linalg.norm(weights, axis=2, keepdims=True)


def pull(
    faces: FaceEmbedding, labels: np.ndarray, weights: NDArray[np.float64], margin: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """g [B, K], and 1 - p_iy [B], of the loss with its margin."""
    rows = np.arange(len(labels))
    cosines = np.einsum("bkd,ckd->bck", to_numpy(faces.mean).astype(np.float64), weights)
    logits = (cosines * to_numpy(faces.confidence)[:, None]).mean(2)
    logits[rows, labels] -= margin
    p = np.exp(logits - logits.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    return cosines[rows, labels] - np.einsum("bc,bck->bk", p, cosines), 1.0 - p[rows, labels]


def main(run: Path, source: FaceSource, images: int) -> None:
    weights = prototypes(run)
    facts = load_model(run)[2]["settings"]
    margin = facts["objective"]["margin"]
    weight = facts["objective"]["regularizer"]
    known = np.flatnonzero(source.labels < len(weights))
    part = np.random.default_rng(0).choice(known, min(images, len(known)), replace=False)
    chosen = select(source, np.sort(part))
    labels = source.labels[np.sort(part)]
    embedder = load(run)
    print(
        "| faces | top-1 | g | g / (2 lambda) | mean s | log s | log variance | r(s) | r(variance) |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for key in CONDITIONS:
        put_in = condition(key)
        pictures = [put_in.apply(chosen.image(i), chosen.keys[i], 0) for i in range(len(chosen))]
        faces = embedder.embed(pictures)
        g, _ = pull(faces, labels, weights, margin)
        cosines = np.einsum("bkd,ckd->bc", to_numpy(faces.mean), weights) / faces.num_sub_embeddings
        own = cosines[np.arange(len(labels)), labels]
        s = np.log(to_numpy(faces.confidence)).mean(1)
        unsure = to_numpy(faces.uncertainty)
        print(
            f"| {key} | {100 * (cosines.argmax(1) == labels).mean():.1f} | {g.mean():.3f} | "
            f"{g.mean() / (2 * weight):.1f} | {to_numpy(faces.confidence).mean():.1f} | "
            f"{s.mean():.3f} +- {s.std():.3f} | {unsure.mean():.3f} +- {unsure.std():.3f} | "
            f"{np.corrcoef(s, own)[0, 1]:+.2f} | {np.corrcoef(unsure, own)[0, 1]:+.2f} |",
            flush=True,
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]), open_faces(sys.argv[2]), int((sys.argv[3:] or ["600"])[0]))
