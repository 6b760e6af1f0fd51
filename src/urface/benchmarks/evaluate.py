"""Any recogniser on any benchmark: embed, pool, score, judge, and say what was done."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from urface.benchmarks.benchmark import Benchmark
from urface.benchmarks.beside import Beside
from urface.benchmarks.calibrated import Calibrated
from urface.benchmarks.embed import BATCH, embed_images
from urface.benchmarks.embedded import Embedded
from urface.benchmarks.extra_measures import with_measures
from urface.benchmarks.group_labels import GroupLabels
from urface.benchmarks.judge import judge
from urface.benchmarks.judge_calibration import Calibration
from urface.benchmarks.judge_conventions import Conventions
from urface.benchmarks.judge_discard import Discard
from urface.benchmarks.judge_groups import Groups
from urface.benchmarks.official_sizes import compared_with_official
from urface.benchmarks.pool import Pooled, Pooling, pool
from urface.benchmarks.result import Result, software
from urface.benchmarks.score import Score
from urface.recognisers.recogniser import Flip, Recogniser
from urface.types import UserError


@dataclass(frozen=True)
class Options:
    """How a model is judged.

    score       likelihood needs a model with variances
    flip        sum: the feature of the mirrored image is added
    pooling     how templates are made of images
    bootstrap   draws of subjects for the intervals; 0: Clopper-Pearson
    seed        of those draws
    batch_size  images that pass through the network at a time; it changes nothing but the last digits
    measures    beside those of the protocol, such as fnmr@1e-3
    conventions whether InsightFace's variants stand beside ours
    calibrated  a calibration to judge, fitted on another benchmark
    groups      groups of people, for rates by group
    """

    score: Score = "cosine"
    flip: Flip = "none"
    pooling: Pooling = field(default_factory=Pooling)
    bootstrap: int = 0
    seed: int = 0
    batch_size: int = BATCH
    measures: tuple[str, ...] = ()
    conventions: bool = False
    calibrated: Calibrated | None = None
    groups: GroupLabels | None = None

    def to_dict(self) -> dict[str, Any]:
        """What can change a number, as JSON values."""
        intervals = f"bootstrap by subject, {self.bootstrap} draws" if self.bootstrap else "exact"
        return {
            "score": self.score,
            "flip": self.flip,
            "pooling": self.pooling.to_dict(),
            "intervals": intervals,
            "seed": self.seed,
        }


def evaluate(
    benchmark: Benchmark,
    recogniser: Recogniser,
    options: Options = Options(),
    *,
    cache: Path | None = None,
    progress: bool = True,
) -> Result:
    """The numbers of ``recogniser`` on ``benchmark``, with everything they depend on.

    ``cache`` is a folder of features: see ``embed_images``. Raises UserError where the model lacks what the
    options need, and where counts do not add up to the protocol's.
    """
    benchmark = with_measures(benchmark, options.measures)
    embedded, pooled = pooled_templates(benchmark, recogniser, options, cache, progress)
    beside = _beside(benchmark, recogniser, options, embedded, pooled)
    cells = judge(
        benchmark,
        pooled,
        options.score,
        resamples=options.bootstrap,
        seed=options.seed,
        progress=progress,
        beside=beside,
    )
    keys = benchmark.images.keys
    preprocessing = recogniser.preprocessing
    part = compared_with_official(benchmark)
    return Result(
        benchmark=benchmark.name,
        version=benchmark.version,
        notes=(*benchmark.notes, *([part] if part else [])),
        model={
            "name": recogniser.name,
            "digest": recogniser.digest,
            "parts": recogniser.parts,
            "has_variance": recogniser.has_variance,
            "precision": getattr(recogniser, "precision", "as the file has it"),
            "preprocessing": preprocessing.to_dict() if preprocessing else None,
        },
        data={
            "digest": embedded.data,
            "covers": embedded.covers,
            "images": len(embedded),
            "failed_images": len(embedded.failures),
            "templates": len(pooled),
            "failed_templates": int((~pooled.there).sum()),
        },
        options=options.to_dict(),
        software=software(),
        cells=tuple(cells),
        failures={keys[place]: why for place, why in embedded.failures.items()},
        lost=_names(benchmark, pooled),
        beside={watcher.name: watcher.rows(cells) for watcher in beside},
    )


def pooled_templates(
    benchmark: Benchmark,
    recogniser: Recogniser,
    options: Options,
    cache: Path | None = None,
    progress: bool = True,
) -> tuple[Embedded, Pooled]:
    """The images of ``benchmark`` embedded, and its templates; with variances where the model gives them.

    Raises UserError where the model lacks what the options need.
    """
    wants_variance = options.score == "likelihood"
    if (wants_variance or options.pooling.method == "inverse_variance") and (
        not recogniser.has_variance
    ):
        raise UserError(
            f"{recogniser.name}: it gives no variance: score by cosine and pool by mean or media"
        )
    embedded = embed_images(
        benchmark,
        recogniser,
        flip=options.flip,
        cache=cache,
        batch_size=options.batch_size,
        progress=progress,
    )
    if not embedded.ok.any():
        raise UserError(
            f"{benchmark.name}: not one of its {len(embedded):,} images gave a feature, so there is "
            f"nothing to judge; the first: {embedded.failures[0]}"
        )
    pooled = pool(
        embedded,
        benchmark.templates,
        options.pooling,
        benchmark.images.quality,
        with_variance=wants_variance,
        spread=recogniser.has_variance,
    )
    return embedded, pooled


def _beside(
    benchmark: Benchmark,
    recogniser: Recogniser,
    options: Options,
    embedded: Embedded,
    pooled: Pooled,
) -> list[Beside]:
    """What is judged beside the measures: what was asked for, and discard where there are variances."""
    subjects, calibrated = benchmark.templates.subjects, options.calibrated
    draws = (options.bootstrap, options.seed)
    found: list[Beside] = []
    if options.conventions and options.score == "cosine":  # theirs are of cosines
        found.append(Conventions(benchmark, pooled, options.flip))
    if recogniser.has_variance:
        found.append(Discard(pooled, subjects, *draws))
    relation = ("", 0)
    if calibrated is not None:
        relation = calibrated.relation(embedded.data, benchmark.images.keys)
        found.append(Calibration(calibrated, relation, subjects, *draws))
    if options.groups is not None:
        found.append(Groups(benchmark, options.groups, embedded.ok, calibrated, relation[0]))
    return found


def _names(benchmark: Benchmark, pooled: Pooled) -> tuple[str, ...]:
    return tuple(benchmark.templates.names[place] for place in pooled.lost.tolist())
