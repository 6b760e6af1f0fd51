"""Whether training is robust and not lucky: 20 seeds, and a tenfold range of learning rates.

    python bench/robustness.py [SEEDS]

All losses (confidence-aware, regulariser, decorrelation of two applied and three labelled variations)
on 60 made-up people with 10 images each, the tiny network at 32 pixels, 100 steps of 64: SEEDS (20)
seeds at each of three peak learning rates. A run fails where a value is not finite (training then
stops with a diagnosis), where the mean confidence leaves the middle 80 % of the logarithm of its
range, or where a confidence in the last tenth of the steps stands at an end of it. Prints a Markdown
table; the log of every run is kept in runs/robustness, and finished ones are not run again.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

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
from urface.data.synthetic import write_synthetic
from urface.metrics.intervals import rate
from urface.training.train import train
from urface.types import UserError

OUT = Path("runs/robustness")
PEOPLE, SHOTS, BATCH, STEPS = 60, 10, 64, 100
RATES = (0.03, 0.1, 0.3)
RANGE = (1.0, 100.0)
MIDDLE = (RANGE[1] ** 0.1, RANGE[1] ** 0.9)  # 80 % of the logarithm of the range
LATE = 0.9


def settings(rate: float, seed: int) -> TrainSettings:
    """One run; only the peak rate and the seed differ."""
    return TrainSettings(
        data=DataSettings("synthetic"),
        variations=VariationSettings(shrink_pixels=(8, 24)),
        model=ModelSettings("tiny", 32, 36, initial_confidence=30.0, confidence_range=RANGE),
        objective=ObjectiveSettings(
            margin=9.0,
            decorrelate=("low_resolution", "occlusion", "male", "young", "smiling"),
            classification=0.1,
            adversarial=0.1,
        ),
        optim=OptimSettings(
            batch_size=BATCH,
            epochs=STEPS * BATCH / (PEOPLE * SHOTS),
            learning_rate=rate,
            confidence_start=0.3,
        ),
        uncertainty=UncertaintySettings(steps=20, identities=16),
        run=RunSettings(str(OUT / f"rate{rate:g}_seed{seed}"), seed=seed, log_every=1, threads=1),
    )


def main(seeds: int) -> None:
    faces = open_faces(
        write_synthetic(OUT / "faces", seed=0, identities=range(PEOPLE), shots=SHOTS, workers=2)
    )
    print(
        "| peak rate | runs without a failure | last L_idt | mean confidence | smallest, largest |"
    )
    print("|---|---|---|---|---|")
    for peak in RATES:
        good, losses, means, ends, why = 0, [], [], [], []
        for seed in range(seeds):
            try:
                path = train(settings(peak, seed), faces, progress=False)
            except UserError as error:
                why.append(f"seed {seed}: {error}")
                continue
            lines = (path.parent / "log.jsonl").read_text().splitlines()
            log = [json.loads(line) for line in lines]
            log = [line for line in log if line.get("stage") == "embedding" and "L_idt" in line]
            late = log[int(LATE * len(log)) :]
            low = min(line["confidence_smallest"] for line in late)
            high = max(line["confidence_largest"] for line in late)
            mean = float(np.mean([line["confidence_mean"] for line in late]))
            losses.append(float(np.mean([line["L_idt"] for line in late])))
            means.append(mean)
            ends += [low, high]
            if MIDDLE[0] < mean < MIDDLE[1] and RANGE[0] * 1.001 < low and high < RANGE[1] / 1.001:
                good += 1
            else:
                why.append(f"seed {seed}: confidences {low:.3g} to {high:.3g}, mean {mean:.3g}")
        print(
            f"| {peak:g} | {rate(good, seeds).format()} | {span(losses)} | {span(means)} | {span(ends)} |",
            flush=True,
        )
        for line in why:
            print(f"  {line}", file=sys.stderr, flush=True)


def span(values: list[float]) -> str:
    """Smallest to largest."""
    return f"{min(values):.1f} to {max(values):.1f}" if values else "-"


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20)
