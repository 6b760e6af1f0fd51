"""Claims about verdicts, on outcomes whose truth is known."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from reproduce.made_up import PROTOCOL, measured, outcomes
from urface.metrics.paired import Difference, SubjectDraws, difference
from urface.reproduce.claims import CLAIMS, claims_markdown, judge_claims, verdict
from urface.reproduce.measured import ACCURACY, RANK1, TPIR1, TPIR10, Measured
from urface.reproduce.quality import NORM, POOLED, VARIANCE, growth, rankings
from urface.reproduce.rows import ROWS

SKILLS = {
    "cosface": 2.0,
    "cosface_va": 3.0,
    "confidence": 3.0,
    "decorrelated_3_pa": 3.4,
    "all": 3.6,
    "all_pa": 4.4,
}


def judged(found: Measured, **more: Any) -> dict[str, dict[str, Any]]:
    claims = judge_claims(
        found, more.get("growth", []), more.get("rankings", []), more.get("c", {})
    )
    return {claim["claim"]: claim for claim in claims}


def test_every_claim_is_about_rows_that_exist() -> None:
    for claim in CLAIMS:
        assert {claim.more, claim.less} <= set(ROWS)
        assert claim.part in {"1", "2", "3", "4", "5", "aim"}


def test_a_true_advantage_holds_and_its_contrary_does_not() -> None:
    found = judged(measured(SKILLS))
    helps = found["Augmentation (VA) helps degraded faces, accuracy"]
    assert helps["verdict"] == "holds"
    assert helps["low"] > 0
    assert helps["p"] < 0.01
    assert len(helps["per_seed"]) == 3
    assert list(helps["conditions"]) == ["degraded"]
    # Here VA helps clean faces too, so that it costs there is false.
    assert found["VA alone costs on clean faces, accuracy"]["verdict"] == "does not hold"
    assert found["All + PA is above baseline + VA, TPIR at FPIR 10%"]["verdict"] == "holds"
    assert "All + PA is above baseline + VA, rank-1, several images in the gallery" in found


def test_no_advantage_is_not_decided_and_missing_rows_are_named() -> None:
    found = judged(measured({"cosface": 2.5, "cosface_va": 2.5}, seeds=2))
    undecided = [claim["verdict"] for claim in found.values() if "VA" in claim["claim"][:20]]
    assert undecided.count("not decided") >= 3
    missing = found["Probabilistic aggregation (PA) adds, rank-1"]
    assert missing["verdict"] == "not measured"
    assert missing["why"] == "needs rows all_pa, all"


def test_the_same_row_twice_differs_by_nothing() -> None:
    found = measured({"cosface": 2.0, "cosface_va": 2.0})
    for seed in range(3):
        for condition in ("clean", "degraded"):
            twin = found.outcomes["cosface", seed, condition]
            found.outcomes["cosface_va", seed, condition] = twin
    claim = judged(found)["Augmentation (VA) helps degraded faces, rank-1"]
    assert (claim["difference"], claim["p"], claim["verdict"]) == (0, 1, "not decided")


def test_a_claim_equals_the_paired_test_by_hand() -> None:
    found = measured(SKILLS)
    claim = judged(found)["Augmentation (VA) helps degraded faces, rank-1"]
    people = PROTOCOL.probe_people("single")
    advantage = []
    for seed in range(3):
        right = []
        for row in ("cosface_va", "cosface"):
            search = found.outcomes[row, seed, "degraded"].searches["single"]
            right.append((search.better < 1)[search.mated])
        advantage.append(right[0].astype(float) - right[1])
    mean = np.mean(advantage, axis=0)
    mated = found.outcomes["cosface", 0, "degraded"].searches["single"].mated
    draws = SubjectDraws(160, 300).means(mean, people[mated])
    by_hand = difference(float(mean.mean()), draws)
    assert claim["difference"] == pytest.approx(by_hand.difference)
    assert (claim["low"], claim["high"]) == pytest.approx((by_hand.low, by_hand.high))
    assert claim["p"] == by_hand.p


def test_verdicts_follow_the_interval() -> None:
    for low, high, expected in (
        (0.1, 0.3, "holds"),
        (-0.3, -0.1, "does not hold"),
        (-0.1, 0.3, "not decided"),
        (0.0, 0.0, "not decided"),
    ):
        assert verdict(Difference(0.0, low, high, 1.0)) == expected


def test_correlation_needs_three_seeds_that_agree() -> None:
    def of(before: list[float], after: list[float]) -> str:
        claims = judge_claims(
            measured({"cosface": 2.0}, 1), [], [], {"confidence": before, "all": after}
        )
        name = "Decorrelation lowers the correlation between sub-embeddings"
        return next(str(c["verdict"]) for c in claims if c["claim"] == name)

    assert of([0.5, 0.6, 0.5], [0.3, 0.3, 0.4]) == "holds"
    assert of([0.5, 0.6, 0.5], [0.3, 0.7, 0.4]) == "not decided"
    assert of([0.3, 0.3, 0.3], [0.4, 0.4, 0.4]) == "does not hold"
    assert of([0.5, 0.6], [0.3, 0.3]) == "not decided"


def test_variance_that_grows_and_ranks_is_told_from_one_that_does_neither() -> None:
    found = measured(SKILLS, worse=4.0)
    grown = growth(found, "all_pa")
    assert [part["condition"] for part in grown] == ["clean", "degraded"]
    assert grown[1]["above_clean"]["difference"] == pytest.approx(1.0, abs=0.05)
    signs = {
        c: np.random.default_rng(1).random((len(PROTOCOL.labels), 3)) for c in found.conditions
    }
    ranked = rankings(found, "all_pa", signs)
    assert [part["condition"] for part in ranked] == ["clean", "degraded", POOLED]
    for part in ranked:
        assert set(part["areas"]) == {VARIANCE, NORM, "sharpness", "contrast", "brightness"}
        assert part["areas"][VARIANCE] < part["error"]
        assert part["variance_better_by"]["contrast"]["low"] > 0
    claims = judged(found, growth=grown, rankings=ranked)
    assert claims["Uncertainty grows with every degradation"]["verdict"] == "holds"
    name = f"Uncertainty ranks errors better than contrast of the picture, {POOLED}"
    assert claims[name]["verdict"] == "holds"
    shrinking = [
        grown[0],
        {"condition": "degraded", "above_clean": Difference(-1, -2, -0.5, 0.01).to_dict()},
    ]
    assert judged(found, growth=shrinking)["Uncertainty grows with every degradation"][
        "verdict"
    ] == ("does not hold")


def test_a_withheld_rate_is_not_measured_and_says_why() -> None:
    found = measured({"cosface": 2.0, "cosface_va": 3.0})
    assert isinstance(found.per_seed("cosface", "clean", TPIR1), str)
    assert "not supported" in found.value("cosface", "clean", TPIR1).reason
    value = found.value("cosface", "clean", TPIR10)
    assert value.mean is not None
    assert value.low is not None
    assert value.low < value.mean
    assert found.value("cosface", "clean", ACCURACY).over_seeds is not None


def test_metrics_are_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    found = measured({"cosface": 2.0}, 1)
    first = found.resampled("cosface", "clean", RANK1)
    assert found.resampled("cosface", "clean", RANK1) is first
    found.outcomes["cosface", 0, "clean"] = outcomes(9.0, 5)
    assert found.resampled("cosface", "clean", RANK1) is first


def test_the_text_has_every_claim_with_its_verdict_and_survives_json() -> None:
    found = measured(SKILLS)
    claims = judge_claims(found, growth(found, "all_pa"), [], {})
    json.dumps(claims, allow_nan=False)
    text = claims_markdown(claims, 3, 300)
    assert all(str(claim["claim"]) in text for claim in claims)
    assert text.count("\n| ") == len(claims) + 1
