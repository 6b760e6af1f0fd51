"""Claims about scores of a protocol, against brute-force loops."""

from __future__ import annotations

import json

import numpy as np
import pytest

from urface.evaluation import judge
from urface.evaluation.embedding import TestFaces
from urface.evaluation.judge import identify, pair_scores, verify
from urface.evaluation.protocol import PairProtocol, search_protocol
from urface.scoring.score import Method, score
from urface.types import FaceEmbedding

LABELS = np.repeat(np.arange(30), 4)
FAILED = [0, 5, 42, 100]  # 0: enrolled; 5 and 42: mated; 100: a stranger


def made_up(seed: int = 0, failed: list[int] = FAILED) -> TestFaces:
    random = np.random.default_rng(seed)
    centres = np.random.default_rng(9).normal(size=(30, 4, 8))
    mean = centres[LABELS] + 0.9 * random.normal(size=(120, 4, 8))
    row = np.full(120, -1)
    there = np.setdiff1d(np.arange(120), failed)
    row[there] = random.permutation(len(there))
    order = there[np.argsort(row[there])]
    mean = mean[order] / np.linalg.norm(mean[order], axis=2, keepdims=True)
    variance = random.uniform(0.5, 2, mean.shape[:2])
    faces = FaceEmbedding(*(x.astype(np.float32) for x in (mean, 1 / variance, variance)))
    return TestFaces(faces, row)


@pytest.mark.parametrize("method", ["likelihood", "cosine"])
@pytest.mark.parametrize("block", [7, 512])
def test_identification_is_what_a_plain_loop_counts(
    method: Method, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judge, "PROBES_AT_ONCE", block)
    gallery, probes = made_up(0), made_up(1)
    protocol = search_protocol(LABELS, np.arange(30) >= 20)
    result = identify(gallery, probes, LABELS, protocol, method)

    def scores_of(probe: int) -> dict[int, float]:
        mine: dict[int, float] = {}
        for enrolled in protocol.gallery.tolist():
            a, b = probes.row[probe], gallery.row[enrolled]
            if a >= 0 and b >= 0:
                value = score(probes.faces[int(a)], gallery.faces[int(b)], method)
                mine[int(LABELS[enrolled])] = float(value[0])
        return mine

    hits = dict.fromkeys((1, 5, 10), 0)
    failures = 0
    for probe in protocol.mated.tolist():
        mine = scores_of(probe)
        if LABELS[probe] not in mine:
            failures += 1
            continue
        rank = sum(value >= mine[LABELS[probe]] for value in mine.values())
        for limit in hits:
            hits[limit] += rank <= limit
    assert {rank: rate.events for rank, rate in result.closed.items()} == hits
    assert {rate.trials for rate in result.closed.values()} == {60}
    assert {rate.failures for rate in result.closed.values()} == {failures}
    assert failures == 5  # the three probes of the person not enrolled, two of them and one more

    # 40 non-mated probes allow 4 alarms at 10 %: too few to state a rate, so it is withheld.
    assert not result.open[0.1].supported
    assert result.open[0.1].fpir.trials == 40
    assert result.open[0.1].fpir.failures == 1
    json.dumps(result.to_dict(), allow_nan=False)


def test_a_missing_image_stays_in_the_denominators_as_a_failure() -> None:
    faces = made_up()
    left = np.array([-1, 0, 1, 1, 8, 9, -1, 12])
    right = np.array([1, 1, 2, 9, 9, 20, 9, 24])
    same = np.array([True, True, True, False, True, False, False, False])
    protocol = PairProtocol(left, right, same, np.arange(8) // 4)
    scores = pair_scores(faces, faces, protocol, "cosine")
    assert np.isnan(scores).tolist() == [True, True] + [False] * 4 + [True, False]
    for place in (2, 3, 4, 5, 7):
        a, b = (faces.faces[int(faces.row[side[place]])] for side in (left, right))
        assert scores[place] == pytest.approx(float(score(a, b, "cosine")[0]), abs=1e-6)
    judged = verify(faces, faces, protocol, "cosine")
    pooled = judged.accuracy.pooled
    assert (pooled.trials, pooled.failures) == (8, 3)
    assert judged.accuracy.failed_genuine == 2
    assert not judged.accuracy.correct[[0, 1]].any()
    assert judged.accuracy.correct[6]
    assert not any(at.supported for at in judged.tar)
    json.dumps(judged.to_dict(), allow_nan=False)


def test_a_gallery_without_any_embedding_makes_every_probe_a_miss() -> None:
    gallery, probes = made_up(0, failed=list(range(0, 120, 4))), made_up(1)
    protocol = search_protocol(LABELS, np.arange(30) >= 20)
    result = identify(gallery, probes, LABELS, protocol, "likelihood")
    assert [(r.events, r.trials, r.failures) for r in result.closed.values()] == [(0, 60, 60)] * 3
