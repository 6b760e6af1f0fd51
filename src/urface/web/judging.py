"""Scores in words: the verdict, how probable it is, and what that means at a stated false-match rate."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import numpy as np

from urface.data.decode import encode_png, resize_image
from urface.scoring import score
from urface.types import FaceEmbedding
from urface.web.answers import (
    CompareAnswer,
    FaceAnswer,
    ModelNote,
    RatePoint,
    Verdict,
    digits,
    numbers,
    rounded,
)
from urface.web.engine import Seen

if TYPE_CHECKING:
    from urface.decision import Decision, Point

SHOWN = 112  # pixels of an aligned face in an answer


def face_answer(
    seen: Seen, faces: FaceEmbedding, place: int, decision: Decision | None
) -> FaceAnswer:
    """Face ``place`` of ``faces`` beside the picture it was taken from."""
    uncertainty = float(faces.uncertainty[place])
    return FaceAnswer(
        image=base64.b64encode(encode_png(resize_image(seen.image, SHOWN))).decode(),
        others=seen.others,
        uncertainty=rounded(uncertainty),
        unsure=decision is not None and bool(decision.unsure(uncertainty)),
        variance=numbers(np.asarray(faces.sub_variance)[place]),
    )


def compare_answer(
    seen: list[Seen], faces: FaceEmbedding, decision: Decision | None, model: ModelNote
) -> CompareAnswer:
    """The whole answer for two faces."""
    likelihood, cosine = (
        float(score(faces[0], faces[1], method)[0]) for method in ("likelihood", "cosine")
    )
    method = decision.method if decision else "likelihood"
    value = likelihood if method == "likelihood" else cosine
    told = [face_answer(face, faces, place, decision) for place, face in enumerate(seen)]
    points = sorted(decision.thresholds, key=lambda point: point.fmr) if decision else []
    point = decision.usual_point() if decision else None
    verdict = verdict_of(value, point, any(face.unsure for face in told))
    probability = None
    if decision is not None and decision.has_probability and verdict != "unsure":
        probability = float(decision.probability(value))
    return CompareAnswer(
        verdict=verdict,
        sentence=sentence(verdict, probability, [face.unsure for face in told]),
        meaning=meaning(value, verdict, point, decision),
        probability=None if probability is None else rounded(probability),
        likelihood=digits(likelihood),
        cosine=rounded(cosine),
        method=method,
        rates=[
            RatePoint(
                false_match_rate=point.fmr,
                threshold=digits(point.threshold),
                match=value >= point.threshold,
                false_matches=point.false_matches,
                impostor_pairs=point.impostor_pairs,
            )
            for point in points
        ],
        faces=told,
        model=model,
    )


def verdict_of(value: float, point: Point | None, unsure: bool) -> Verdict:
    """A face that is too unsure has no verdict, whatever its score."""
    if unsure:
        return "unsure"
    if point is None:
        return "not calibrated"
    return "match" if value >= point.threshold else "no match"


def sentence(verdict: Verdict, probability: float | None, unsure: list[bool]) -> str:
    """The verdict for a reader in a hurry."""
    if verdict == "unsure":
        which = "both photos" if all(unsure) else ("the first", "the second")[unsure[1]] + " photo"
        return f"Too unsure to say: {which} shows too little of the face.".replace(
            "photos shows", "photos show"
        )
    if verdict == "not calibrated":
        return "No verdict: this model was not calibrated, so its score has no known meaning."
    share = "" if probability is None else f" ({percent(probability)})"
    if verdict == "match":
        return f"Probably the same person{share}."
    if probability is not None and probability >= 0.5:
        return f"Perhaps the same person{share}, but too little to call it a match."
    share = "" if probability is None else f" ({percent(1 - probability)})"
    return f"Probably two different people{share}."


def percent(probability: float) -> str:
    """``97.3 %``; never 0 or 100, which no measurement supports."""
    if probability > 0.999:
        return "over 99.9 %"
    return "under 0.1 %" if probability < 0.001 else f"{100 * probability:.1f} %"


def one_in(rate: float) -> str:
    """``1 in 1,000``."""
    return f"1 in {round(1 / rate):,}"


def meaning(value: float, verdict: Verdict, point: Point | None, decision: Decision | None) -> str:
    """What the numbers of an answer mean, and on which data that was measured."""
    if decision is None or point is None:
        return "Calibrate the model with `urface evaluate MODEL --people FACES --calibrate` to have verdicts."
    if verdict == "unsure":
        return (
            f"No answer is given for a face whose uncertainty is above {decision.unsure_above:.2f}: "
            f"{decision.unsure_rule}."
        )
    side = "reaches" if value >= point.threshold else "stays below"
    words = (
        f"The score {side} the threshold at which at most {one_in(point.fmr)} pairs of two different "
        f"people would be called a match (measured on {decision.data}: "
        f"{point.false_matches:,} of {point.impostor_pairs:,} pairs)."
    )
    if decision.has_probability:
        words += f" The probability holds {decision.meaning()}."
    return words
