"""The claims to be tested, as data, and what the measurements say of each: holds, does not hold, not decided.

A claim about two rows is tested on the mean of a metric over a group of conditions (clean faces, or
all degraded conditions together), over seeds and people, by ``metrics/paired.py``; the same in each
condition alone is given beside it. It holds where the 95% interval lies on the side it names, does not
hold where the interval lies on the other, and is not decided where the interval holds 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from urface.metrics.paired import Difference, difference
from urface.reproduce.measured import ACCURACY, RANK1, TPIR10, Measured, Metric
from urface.reproduce.quality import NORM, POOLED

HOLDS, FAILS, OPEN, MISSING = "holds", "does not hold", "not decided", "not measured"
CLEAN, DEGRADED = "clean", "degraded"
ONE_TRAINING = (
    "**One training of each row.** The verdicts are of these trainings: the chance in training is not in the "
    "intervals, so nothing here says that one method beats another.",
    "",
)


@dataclass(frozen=True)
class Claim:
    """``more`` does better than ``less`` by ``metric`` on a group of conditions.

    part   of the issue's list, 1 to 5, or ``aim``
    than   a second metric: the gain in ``metric`` exceeds that in ``than``
    """

    part: str
    text: str
    more: str
    less: str
    group: str
    metric: Metric
    than: Metric | None = None


def _both(part: str, text: str, more: str, less: str, group: str) -> list[Claim]:
    return [
        Claim(part, f"{text}, {metric.title.lower()}", more, less, group, metric)
        for metric in (ACCURACY, RANK1)
    ]


VA, CI, DE3, ALL, PA = "cosface_va", "confidence", "decorrelated_3_pa", "all", "all_pa"
CLAIMS: tuple[Claim, ...] = (
    *_both("1", "Augmentation (VA) helps degraded faces", VA, "cosface", DEGRADED),
    *_both("1", "VA alone costs on clean faces", "cosface", VA, CLEAN),
    *_both("2", "Confidence-aware sub-embeddings recover it on clean faces", CI, VA, CLEAN),
    *_both("2", "They gain on degraded faces", CI, VA, DEGRADED),
    *_both("3", "Decorrelation adds on degraded faces", ALL, CI, DEGRADED),
    *_both("3", "It adds more with mined variations", PA, DE3, DEGRADED),
    *_both("4", "Probabilistic aggregation (PA) adds", PA, ALL, DEGRADED),
    Claim("4", "PA adds to TPIR at FPIR 10%", PA, ALL, DEGRADED, TPIR10),
    Claim("4", "PA adds more to TPIR than to rank-1", PA, ALL, DEGRADED, TPIR10, RANK1),
    Claim("aim", "All + PA is above baseline + VA, rank-1", PA, VA, DEGRADED, RANK1),
    Claim("aim", "All + PA is above baseline + VA, TPIR at FPIR 10%", PA, VA, DEGRADED, TPIR10),
)


def judge_claims(
    measured: Measured,
    growth: list[dict[str, Any]],
    rankings: list[dict[str, Any]],
    correlation: dict[str, list[float]],
) -> list[dict[str, Any]]:
    """Every claim with its verdict and numbers.

    growth, rankings  of ``quality``, of the row whose variance is judged; empty where there is none
    correlation       row -> mean absolute correlation between sub-embeddings of each seed
    """
    found = [
        _judge(claim, measured, gallery)
        for claim in CLAIMS
        for gallery in _galleries(claim, measured)
    ]
    found.append(_correlation(correlation))
    found += _growth(growth) + _rankings(rankings)
    return sorted(found, key=lambda claim: str(claim["part"]))


def _galleries(claim: Claim, measured: Measured) -> list[str]:
    """A claim of 1:N is tested in each gallery."""
    return ["single"] if claim.metric.kind == "accuracy" else measured.galleries


def _judge(claim: Claim, measured: Measured, gallery: str) -> dict[str, Any]:
    text = claim.text if gallery == "single" else f"{claim.text}, {gallery} images in the gallery"
    entry: dict[str, Any] = {
        "part": claim.part,
        "claim": text,
        "more": claim.more,
        "less": claim.less,
        "group": claim.group,
        "metric": claim.metric.title,
    }
    missing = [row for row in (claim.more, claim.less) if row not in measured.rows]
    degraded = [c for c in measured.conditions if c != "clean"]
    conditions = ["clean"] if claim.group == CLEAN else degraded
    if missing or not conditions:
        what = f"rows {', '.join(missing)}" if missing else "a degraded condition"
        return entry | {"verdict": MISSING, "why": f"needs {what}"}
    metric = claim.metric._replace(gallery=gallery)
    than = claim.than._replace(gallery=gallery) if claim.than else None
    parts = []
    for condition in conditions:
        part = _advantage(measured, claim, condition, metric, than)
        if isinstance(part, str):
            return entry | {"verdict": MISSING, "why": f"{condition}: withheld, {part}"}
        parts.append(part)
    seeds = np.mean([seeds for seeds, _ in parts], axis=0)
    whole = difference(float(seeds.mean()), np.mean([draws for _, draws in parts], axis=0))
    return entry | {
        "verdict": verdict(whole),
        "seeds": measured.seeds,
        **whole.to_dict(),
        "per_seed": seeds.tolist(),
        "conditions": {
            condition: difference(float(seeds.mean()), draws).to_dict()
            for condition, (seeds, draws) in zip(conditions, parts, strict=True)
        },
    }


def _advantage(
    measured: Measured, claim: Claim, condition: str, metric: Metric, than: Metric | None
) -> tuple[np.ndarray, np.ndarray] | str:
    """The difference for each seed and under each resample, or why it is withheld."""
    seeds, draws = np.zeros(measured.seeds), np.zeros(measured.draws.resamples)
    for sign, what in ((1.0, metric), (-1.0, than)):
        if what is None:
            continue
        for side, row in ((1.0, claim.more), (-1.0, claim.less)):
            values = measured.per_seed(row, condition, what)
            if isinstance(values, str):
                return values
            seeds = seeds + sign * side * np.array(values)
            draws = draws + sign * side * measured.resampled(row, condition, what)
    return seeds, draws


def verdict(found: Difference) -> str:
    """By the interval of a difference that the claim says is above 0."""
    if found.low > 0:
        return HOLDS
    return FAILS if found.high < 0 else OPEN


def _correlation(by_row: dict[str, list[float]]) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "part": "3",
        "claim": "Decorrelation lowers the correlation between sub-embeddings",
        "more": CI,
        "less": ALL,
        "metric": "mean absolute correlation",
    }
    if CI not in by_row or ALL not in by_row:
        return entry | {"verdict": MISSING, "why": f"needs rows {CI} and {ALL}"}
    lower = np.array(by_row[CI]) - np.array(by_row[ALL])
    # One number a model: only trainings vary, so every seed has to agree, and three are the least.
    agree = HOLDS if (lower > 0).all() else FAILS if (lower < 0).all() else OPEN
    return entry | {
        "verdict": agree if len(lower) >= 3 else OPEN,
        "why": "in every seed" if len(lower) >= 3 else "needs three seeds or more",
        "seeds": len(lower),
        "difference": float(lower.mean()),
        "per_seed": lower.tolist(),
        "of_rows": by_row,
    }


def _growth(growth: list[dict[str, Any]]) -> list[dict[str, Any]]:
    entry: dict[str, Any] = {
        "part": "5",
        "claim": "Uncertainty grows with every degradation",
        "metric": "mean log variance above that of the same clean faces",
    }
    grown = {part["condition"]: part["above_clean"] for part in growth if "above_clean" in part}
    if not grown:
        return [entry | {"verdict": MISSING, "why": "needs a row with PA and a degraded condition"}]
    verdicts = {name: verdict(Difference(**value)) for name, value in grown.items()}
    worst = next((v for v in (FAILS, OPEN) if v in verdicts.values()), HOLDS)
    return [entry | {"verdict": worst, "conditions": grown}]


def _rankings(rankings: list[dict[str, Any]]) -> list[dict[str, Any]]:
    found = []
    for part in rankings:
        for name, value in part["variance_better_by"].items():
            kind = (
                "the embedding norm of the baseline" if name == NORM else f"{name} of the picture"
            )
            entry: dict[str, Any] = {
                "part": "5",
                "claim": f"Uncertainty ranks errors better than {kind}, {part['condition']}",
                "metric": "mean error against discard, lower by",
                "verdict": verdict(Difference(**value)),
                **value,
            }
            found.append(entry)
    if not rankings:
        entry = {
            "part": "5",
            "claim": "Uncertainty ranks errors",
            "metric": "error against discard",
        }
        found.append(entry | {"verdict": MISSING, "why": "needs a row with PA"})
    # All conditions together is what the claim is about; each one alone is the detail.
    return [f for f in found if POOLED in str(f["claim"])] + [
        f for f in found if POOLED not in str(f["claim"])
    ]


def claims_markdown(claims: list[dict[str, Any]], seeds: int, resamples: int) -> str:
    """A table of the claims with the numbers behind each verdict."""
    lines = [
        "# Claims",
        "",
        f"Differences in percentage points (of log variance, correlation and area as they are), mean over "
        f"{seeds} seed{'s' if seeds > 1 else ''}, with 95% intervals and two-sided p from {resamples:,} "
        "resamples of the test people, the same for both sides. Holds: the interval lies above 0. Does "
        "not hold: it lies below. Not decided: it holds 0. The degraded conditions are averaged; "
        "claims.json has each one. No correction for the number of claims.",
        "",
        *(ONE_TRAINING if seeds == 1 else ()),
        "| | claim | verdict | difference [95%] | p | by seed |",
        "|---|---|---|---|---|---|",
    ]
    for claim in claims:
        if "difference" not in claim:
            detail = claim.get("why") or "; ".join(
                f"{name} {_number(value, 1)}" for name, value in claim["conditions"].items()
            )
            lines.append(
                f"| {claim['part']} | {claim['claim']} | {claim['verdict']} | {detail} | | |"
            )
            continue
        scale = 100 if "group" in claim else 1
        p = f"{claim['p']:.4f}" if "p" in claim else ""
        digits = 2 if scale == 100 else 4
        each = ", ".join(f"{scale * value:+.{digits}f}" for value in claim.get("per_seed", ()))
        lines.append(
            f"| {claim['part']} | {claim['claim']} | {claim['verdict']} | {_number(claim, scale)} | {p} "
            f"| {each} |"
        )
    return "\n".join(lines) + "\n"


def _number(value: dict[str, Any], scale: float) -> str:
    digits = 2 if scale == 100 else 4
    text = f"{scale * value['difference']:+.{digits}f}"
    if "low" not in value:
        return text
    return f"{text} [{scale * value['low']:+.{digits}f}, {scale * value['high']:+.{digits}f}]"
