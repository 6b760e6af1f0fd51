"""Search by likelihood among many templates: time, recall of the exact first ten, memory.

    python bench/search.py [--count 100000] [--a-person 1] [--factor 10] [--flat]

Made templates: a person's mean is a random place of 64 dimensions seen through fixed random directions, on a
sphere per sub-embedding (K = 16, D = 32); a template is that place under noise of its own variance, which is
log-uniform over FACTOR up to 0.03, mostly common to a template's sub-embeddings. Probes are further images of
people in the gallery. One template a person is the hardest: nine of the first ten are strangers. Memory is
that of the index's arrays, to which a table of ids of some 150 bytes a template comes. A million takes 10
minutes and 4 GB.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator

import numpy as np

from figure import Figure, tell
from urface.search import ExactIndex, FlatIndex, LikelihoodIndex
from urface.types import FaceEmbedding

K, D, LATENT, HIGH, K_BEST = 16, 32, 64, 0.03, 10
AT_A_TIME = 16384
Make = Callable[[np.ndarray, int], FaceEmbedding]


def people(factor: float) -> Make:
    """``make(persons, seed)``: one template of each person, whose number alone decides who it is."""
    directions = np.random.default_rng(99).standard_normal((LATENT, K * D)).astype(np.float32)

    def make(persons: np.ndarray, seed: int) -> FaceEmbedding:
        random = np.random.default_rng(seed)
        places = np.empty((len(persons), LATENT), np.float32)
        for row, person in enumerate(persons.tolist()):
            places[row] = np.random.default_rng(person).standard_normal(LATENT)
        mean = (places @ directions).reshape(-1, K, D)
        mean /= np.linalg.norm(mean, axis=2, keepdims=True)
        quality = 0.7 * random.random((len(persons), 1)) + 0.3 * random.random((len(persons), K))
        variance = (HIGH * factor ** (quality - 1.0)).astype(np.float32)
        mean += np.sqrt(variance)[:, :, None] * random.standard_normal(mean.shape, np.float32)
        mean /= np.linalg.norm(mean, axis=2, keepdims=True)
        return FaceEmbedding(mean, np.ones((len(persons), K), np.float32), variance)

    return make


def milliseconds(index: ExactIndex, faces: FaceEmbedding, count: int) -> np.ndarray:
    """Of each of ``count`` searches for one face, after three to warm up."""
    spent = []
    for number in range(-3, count):
        start = time.perf_counter()
        index.search(faces[max(number, 0)], K_BEST)
        if number >= 0:
            spent.append((time.perf_counter() - start) * 1e3)
    return np.array(spent)


def recall(found: np.ndarray, truth: np.ndarray) -> float:
    """Mean share of each row of ``truth`` that is in ``found``."""
    return float(np.mean([np.isin(t, f).mean() for f, t in zip(found, truth, strict=True)]))


def measure(
    count: int = 100_000,
    a_person: int = 1,
    factor: float = 10.0,
    probes: int = 200,
    kinds: tuple[type[ExactIndex], ...] = (LikelihoodIndex, ExactIndex),
) -> Iterator[Figure]:
    """All figures, as they come; the exact scan, which gives the truth, is always among them."""
    what = f"{count:,} templates, {a_person} a person, variances over a factor {factor:g}"
    make = people(factor)
    asked = np.random.default_rng(1).permutation(count // a_person)[:probes]
    faces = make(asked, 2)
    truth = np.empty((0, K_BEST), np.int64)
    for kind in sorted(kinds, key=lambda kind: kind is not ExactIndex):
        index: ExactIndex = kind()
        built = 0.0
        for first in range(0, count, AT_A_TIME):
            ids = np.arange(first, min(first + AT_A_TIME, count))
            templates = make(ids // a_person, 10 + first)
            start = time.perf_counter()
            index.add(ids, templates)
            built += time.perf_counter() - start
        name = f"{kind.__name__}, {what}"
        if kind is ExactIndex:
            truth = index.search(faces, K_BEST)[0]
        else:
            found = index.search(faces, K_BEST)[0]
            yield Figure(
                f"{name}: recall of the exact first 10", recall(found, truth), "", 0.99, "least"
            )
        aim = 50.0 if kind is LikelihoodIndex else None
        calls = min(probes, 30 if kind is ExactIndex else probes)
        spent = milliseconds(index, faces, calls)
        yield Figure(f"{name}: p50 of a search", float(np.median(spent)), "ms", aim)
        start = time.process_time()
        for row in range(calls):
            index.search(faces[row], K_BEST)
        used = (time.process_time() - start) / calls * 1e3
        yield Figure(f"{name}: processor time of a search", used, "ms")
        yield Figure(f"{name}: p99 of a search", float(np.quantile(spent, 0.99)), "ms")
        yield Figure(f"{name}: memory", index.nbytes / 1e9, "GB")
        yield Figure(f"{name}: to add them", built, "s")
        index.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--a-person", type=int, default=1)
    parser.add_argument("--factor", type=float, default=10.0)
    parser.add_argument("--flat", action="store_true", help="whole vectors too: 6.7 KB a template")
    given = parser.parse_args()
    flat = (FlatIndex,) if given.flat else ()
    for figure in measure(
        given.count, given.a_person, given.factor, kinds=(ExactIndex, *flat, LikelihoodIndex)
    ):
        tell(figure)
