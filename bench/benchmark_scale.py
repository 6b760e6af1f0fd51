"""Benchmarks at their true size, on made features: time and memory from features on disk to the table.

    python bench/benchmark_scale.py                  # all, each in a process of its own
    python bench/benchmark_scale.py ijbc-cosine      # one

IJB-C: 469,375 images of 512 dimensions in 23,124 templates, 15,658,489 pairs, every measure of its
protocol. TinyFace: 3,728 probes in 157,871 faces, ranks and mAP. MegaFace: 3,530 probes in a million
distractors, rank-1, rank-10 and TAR at FAR 1e-6. Features are written once, as the cache of `urface
evaluate` writes them, to runs/benchmark_scale (4 GB); that time is not counted. Prints a Markdown table.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from urface.benchmarks.benchmark import (
    NOBODY,
    Benchmark,
    ImageSet,
    PairTask,
    SearchTask,
    Templates,
)
from urface.benchmarks.evaluate import Options, evaluate
from urface.benchmarks.feature_cache import SHARD, FeatureCache, Shard, cache_key
from urface.benchmarks.pool import Pooling
from urface.benchmarks.report import results_table
from urface.evaluation.table_text import markdown
from urface.recognisers.recogniser import Features, Preprocessing

OUT = Path("runs/benchmark_scale")
PARTS, DIM = 16, 512
PAIR_MEASURES = (*(f"tar@1e-{power}" for power in range(6, 0, -1)), "eer", "auc")
CASES = ("ijbc-cosine", "ijbc-likelihood", "tinyface-cosine", "megaface-cosine")
FACE = np.zeros((1, 1, 3), np.uint8)


class Made:
    """A model whose features are all in the cache."""

    name, digest, parts, has_variance, needs_images = "made", "0" * 64, PARTS, True, True
    preprocessing = Preprocessing()

    def features(self, images: object, keys: object) -> Features:
        raise AssertionError("every feature should be in the cache")


def images(count: int) -> ImageSet:
    return ImageSet([f"{place}.jpg" for place in range(count)], lambda place: FACE)


def ijbc(random: np.random.Generator) -> Benchmark:
    count, templates, people, genuine, pairs = 469_375, 23_124, 3_531, 19_557, 15_658_489
    subjects = np.sort(random.integers(0, people, templates))
    template = np.sort(
        np.append(np.arange(templates), random.integers(0, templates, count - templates))
    )
    media = np.cumsum(random.random(count) < 0.3)
    left = np.empty(pairs, np.int64)
    right = np.empty(pairs, np.int64)
    first = np.searchsorted(subjects, subjects)  # of the templates of one person
    several = np.flatnonzero(first < np.arange(templates))
    left[:genuine] = random.choice(several, genuine)
    right[:genuine] = first[left[:genuine]]
    left[genuine:] = np.sort(random.integers(0, templates, pairs - genuine))
    right[genuine:] = random.integers(0, templates, pairs - genuine)
    clash = subjects[left] == subjects[right]
    clash[:genuine] = False
    right[clash] = (right[clash] + templates // 2) % templates
    task = PairTask(
        "1:1", left, right, np.arange(pairs) < genuine, np.zeros(pairs, np.int64), PAIR_MEASURES
    )
    names = [str(place) for place in range(templates)]
    made = Templates(names, subjects, np.arange(count), template, media)
    return Benchmark("ijbc", "made", images(count), made, (task,), pooling="media")


def tinyface(random: np.random.Generator) -> Benchmark:
    probes, matches, strangers = 3_728, 4_443, 153_428
    people = np.append(np.arange(2_569), random.integers(0, 2_569, matches - 2_569))
    subjects = np.concatenate(
        [random.integers(0, 2_569, probes), people, np.full(strangers, NOBODY)]
    )
    task = SearchTask(
        "identification",
        np.arange(probes, len(subjects)),
        np.arange(probes),
        ("map", "rank1", "rank5", "rank10", "rank20"),
    )
    source = images(len(subjects))
    templates = Templates.of_images(source.keys, subjects)
    return Benchmark("tinyface", "made", source, templates, searches=(task,))


def megaface(random: np.random.Generator) -> Benchmark:
    probes, strangers, each = 3_530, 1_000_000, 44
    people = np.arange(probes) // each
    subjects = np.concatenate([people, np.full(strangers, NOBODY)])
    mates = np.argwhere(people[:, None] == people)
    task = SearchTask(
        "1,000,000 distractors",
        np.arange(probes, len(subjects)),
        np.arange(probes),
        ("rank1", "rank10", "tar@1e-6"),
        mates=mates[mates[:, 0] != mates[:, 1]],
    )
    source = images(len(subjects))
    templates = Templates.of_images(source.keys, subjects)
    return Benchmark("megaface", "made", source, templates, searches=(task,))


MAKERS = {"ijbc": ijbc, "tinyface": tinyface, "megaface": megaface}


def write_features(benchmark: Benchmark, cache: Path) -> None:
    """A direction for each person and noise for each image, of the cache's form."""
    random = np.random.default_rng(1)
    count = len(benchmark.images)
    key = cache_key(Made(), benchmark.images, "none")
    store = FeatureCache(cache, key, count, {})
    templates = benchmark.templates
    person = np.full(count, NOBODY)
    person[templates.image] = templates.subjects[templates.template]
    centres = random.normal(size=(person.max() + 1, DIM)).astype(np.float32)
    for number in range(-(-count // SHARD)):
        if store.path(number).is_file():
            continue
        size = store.size(number)
        vectors = 2.5 * random.standard_normal((size, DIM), np.float32)
        who = person[number * SHARD : number * SHARD + size]
        vectors[who != NOBODY] += centres[who[who != NOBODY]]
        variance = np.exp(random.normal(-3, 1, (size, PARTS))).astype(np.float32)
        features = Features(vectors, PARTS, 1 / variance, variance)
        store.save(
            number, Shard(features, np.ones((size, 32), np.uint8), np.zeros((size, 16), np.uint8))
        )


def write(case: str) -> None:
    """The features of one case."""
    name = case.partition("-")[0]
    write_features(MAKERS[name](np.random.default_rng(0)), OUT / name)


def judge(case: str) -> None:
    """One case in this process, its figures as a line of JSON."""
    name, score = case.split("-")
    benchmark = MAKERS[name](np.random.default_rng(0))
    clock, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
    pooling = Pooling("inverse_variance" if score == "likelihood" else benchmark.pooling)  # type: ignore[arg-type]
    options = Options(score=score, pooling=pooling)  # type: ignore[arg-type]
    result = evaluate(benchmark, Made(), options, cache=OUT / name, progress=False)
    text = markdown(results_table([result]))
    wall, after = time.perf_counter() - clock, resource.getrusage(resource.RUSAGE_SELF)
    print(text, file=sys.stderr)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(json.dumps({"wall": wall, "cpu": cpu, "gib": after.ru_maxrss / (1 << 20)}))


def main(cases: list[str]) -> None:
    print("| case | wall s | CPU s | peak GiB |\n|---|---|---|---|")
    for case in cases:
        for turn in ("write", "judge"):  # the peak of writing is not that of judging
            done = subprocess.run(
                [sys.executable, __file__, turn, case],
                check=True,
                stdout=subprocess.PIPE,
                text=True,
            )
        found = json.loads(done.stdout)
        print(f"| {case} | {found['wall']:.1f} | {found['cpu']:.1f} | {found['gib']:.2f} |")


if __name__ == "__main__":
    if sys.argv[1:2] == ["judge"]:
        judge(sys.argv[2])
    elif sys.argv[1:2] == ["write"]:
        write(sys.argv[2])
    else:
        main(sys.argv[1:] or list(CASES))
