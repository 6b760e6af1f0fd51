"""Fit a calibration of a model's scores on one benchmark, for use on others."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from urface.benchmarks.benchmark import Benchmark
from urface.benchmarks.calibrated import Calibrated, Point, key_hashes
from urface.benchmarks.evaluate import Options, pooled_templates
from urface.benchmarks.score import pair_scores
from urface.metrics.calibration import Fit, fit_calibration
from urface.metrics.verification import tar_at_far
from urface.recognisers.recogniser import Recogniser
from urface.types import UserError

FMRS = (1e-4, 1e-3, 1e-2)


def fit_on(
    benchmark: Benchmark,
    recogniser: Recogniser,
    options: Options,
    method: Fit = "logistic",
    prior: float = 0.5,
    fmrs: Sequence[float] = FMRS,
    *,
    cache: Path | None = None,
    progress: bool = True,
) -> Calibrated:
    """A calibration on all 1:1 tasks of ``benchmark`` together, at ``prior``, and a threshold for each of
    ``fmrs``, withheld where the pairs are too few for it.

    Raises UserError where the benchmark has no pairs, and as ``fit_calibration`` and ``evaluate``.
    """
    if not benchmark.pairs:
        raise UserError(
            f"{benchmark.name} has no pairs to calibrate on: name a 1:1 benchmark, such as lfw"
        )
    embedded, pooled = pooled_templates(benchmark, recogniser, options, cache, progress)
    tasks = benchmark.pairs
    scores = [pair_scores(pooled, task.left, task.right, options.score) for task in tasks]
    all_scores, same = np.concatenate(scores), np.concatenate([task.same for task in tasks])
    fit = fit_calibration(all_scores, same, method, prior)
    if method == "logistic" and not fit.slope > 0:
        raise UserError(
            f"{benchmark.name}: scores of one person are not larger than those of two: nothing to calibrate"
        )
    points = []
    for fmr in fmrs:
        at = tar_at_far(all_scores, same, fmr)
        points.append(Point(fmr, at.threshold, at.far))
    return Calibrated(
        fit=fit,
        thresholds=tuple(points),
        benchmark=benchmark.name,
        version=benchmark.version,
        tasks=tuple(task.name for task in tasks),
        data=embedded.data,
        keys=key_hashes(benchmark.images.keys),
        model=recogniser.digest,
        score=options.score,
        flip=options.flip,
        pooling=options.pooling.to_dict(),
    )


def fit_for(
    found: Sequence[Calibrated], recogniser: Recogniser, options: Options, source: str
) -> Calibrated:
    """The one of ``found`` that was fitted for this model and these options.

    Raises UserError where there is none.
    """
    for one in found:
        same = (one.model, one.score, one.flip) == (recogniser.digest, options.score, options.flip)
        # A set without a detector's scores is calibrated on without them.
        pooling = options.pooling.to_dict() | {"detector_weights": one.pooling["detector_weights"]}
        if same and one.pooling == pooling:
            return one
    raise UserError(
        f"{source}: no calibration of {recogniser.name} for {options.score} scores, "
        f"{'mirrored image added' if options.flip == 'sum' else 'without --flip'}, pooled as here"
    )
