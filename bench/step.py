"""What the whole method costs a training step: URFace with all losses and online VA against CosFace.

    python bench/step.py [backbone] [batch]

The same backbone, batch and faces: CosFace without augmentation, then K = 16 with confidences, the
regulariser, decorrelation of six variations, and low resolution, occlusion and pose each applied online
with probability 0.3. Both through the real training loop, its loader beside it, in turns; prints the
median of the ratios. Needs mediapipe for the meshes (make setup-faces).
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from statistics import median

from figure import Figure, tell
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
from urface.data.mesh_search import find_meshes
from urface.data.open import open_faces
from urface.data.synthetic import write_synthetic
from urface.training.logs import read_log
from urface.training.train import train

OUT, STEPS, TURNS = Path("runs/step"), 30, 3
SIX = ("low_resolution", "occlusion", "pose", "smiling", "young", "male")


def settings(whole: bool, backbone: str, batch: int, images: int, faces: Path) -> TrainSettings:
    """The full method, or CosFace."""
    share = 0.3 if whole else 0.0
    small = backbone in ("tiny", "small")
    return TrainSettings(
        data=DataSettings(str(faces), meshes=str(OUT / "meshes.parquet")),
        variations=VariationSettings(low_resolution=share, occlusion=share, pose=share),
        model=ModelSettings(
            backbone,  # type: ignore[arg-type]
            64 if small else 112,
            70 if small else 112,
            sub_embeddings=16 if whole else 1,
            initial_confidence=30.0,
            confidence_range=(1.0, 100.0),
        ),
        objective=ObjectiveSettings("confidence", 9.0, decorrelate=SIX)
        if whole
        else ObjectiveSettings("cosface", 0.3, 0.0),
        optim=OptimSettings(batch_size=batch, epochs=STEPS / (images // batch)),
        uncertainty=UncertaintySettings(steps=0),
        run=RunSettings(str(OUT / ("whole" if whole else "cosface")), log_every=STEPS // 2),
    )


def seconds_a_step(plan: TrainSettings) -> float:
    """Of the second half of a run, so that compiling and filling the caches do not count."""
    shutil.rmtree(plan.run.out, ignore_errors=True)
    train(plan, progress=False)
    first, last = read_log(Path(plan.run.out) / "log.jsonl")[-2:]
    spent = [line["step"] / line["steps_per_second"] for line in (first, last)]
    return (spent[1] - spent[0]) / (last["step"] - first["step"])


def main(backbone: str = "tiny", batch: int = 128) -> None:
    faces = write_synthetic(OUT / "faces", seed=0, identities=range(100), shots=10, workers=2)
    source = open_faces(faces)
    find_meshes(source, OUT / "meshes.parquet", workers=2)
    ratios = []
    for _ in range(TURNS):
        plain, whole = (
            seconds_a_step(settings(kind, backbone, batch, len(source), faces))
            for kind in (False, True)
        )
        ratios.append(whole / plain)
        print(f"CosFace {plain:.3f} s, all {whole:.3f} s, ratio {whole / plain:.3f}", flush=True)
    what = f"whole URFace step over CosFace's, {backbone}, batch {batch}"
    tell(Figure(what, median(ratios), "x", 1.10, "most", (min(ratios), max(ratios))))


if __name__ == "__main__":
    main(*sys.argv[1:2], *map(int, sys.argv[2:3]))
