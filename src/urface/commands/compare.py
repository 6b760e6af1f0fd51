"""`urface compare`: are these two faces one person, and which sub-embeddings were unsure?"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from urface.commands.parser import CommandParser, note
from urface.commands.photo_options import HINT, add_photo_options, looks_aligned
from urface.types import FaceEmbedding, UserError

if TYPE_CHECKING:
    from urface.decision import Decision

SUMMARY = """\
Compare the faces of two photos, or with --aligned two aligned faces: both scores, a verdict at the
threshold that the model was calibrated to or at --threshold, and the uncertainty of every sub-embedding of
both faces. Of a photo with several faces the largest is taken, which is said."""
EXAMPLES = """\
  urface compare demonstration a.jpg b.jpg
  urface compare model.safetensors crop_a.png crop_b.png --aligned --json
  urface compare model.safetensors a.jpg b.jpg --method cosine --threshold 0.35"""

BAR = 16
DEMONSTRATION_NOTE = (
    "the demonstration model, trained on made-up faces alone: weak on photographs, "
    "not for decisions"
)
Method = Literal["likelihood", "cosine"]


@dataclass(frozen=True)
class Verdict:
    """same  None where there is no threshold, or a face is too unsure; basis  why, in words.

    probability    that both show one person, and ``meaning`` among what; None where the model does not say
    demonstration  whether the model is the one in the box
    """

    same: bool | None
    method: str
    threshold: float | None
    basis: str
    probability: float | None = None
    meaning: str = ""
    demonstration: bool = False


def run(arguments: list[str]) -> int:
    parser = CommandParser("urface compare", SUMMARY, EXAMPLES)
    parser.add("model", str, help="model.safetensors, the folder of a run, or demonstration")
    parser.add("a", str, help="a photo, .jpg, .png or .webp")
    parser.add("b", str, help="another")
    parser.add_flag("--aligned", help="both are aligned faces: nothing is detected")
    add_photo_options(parser, faces=False)
    parser.add("--threshold", float, None, help="judge by this instead of the model's calibration")
    parser.add("--method", Method, "likelihood", help="which score --threshold is on")
    parser.add_flag("--json", help="print JSON instead of a table")
    given = parser.read(arguments)
    if given.threshold is not None and not np.isfinite(given.threshold):
        raise UserError(f"--threshold must be a finite number, got {given.threshold}")

    from urface.decision import decision_of
    from urface.embedder import load
    from urface.scoring import score

    images = _aligned(given) if given.aligned else _found(given)
    embedder = load(given.model)
    faces = embedder.embed(images)
    scores = {m: float(score(faces[0], faces[1], m)[0]) for m in ("likelihood", "cosine")}
    unsure = float(np.max(faces.uncertainty))
    verdict = judge(scores, decision_of(embedder.facts), given.threshold, given.method, unsure)
    if given.json:
        print(json.dumps(as_json(given.a, given.b, faces, scores, verdict), indent=1))
    else:
        print(as_text(given.a, given.b, faces, scores, verdict))
    return 0


def _aligned(given: Any) -> list[np.ndarray]:
    from urface.data.decode import read_image

    images = [read_image(path) for path in (given.a, given.b)]
    for path, image in zip((given.a, given.b), images, strict=True):
        if image.shape[0] != image.shape[1]:
            note(f"note: {path} is {image.shape[1]} x {image.shape[0]}, so not an aligned face")
    return images


def _found(given: Any) -> list[np.ndarray]:
    """The largest face of both photos, with notes on what else there is."""
    from urface.data.decode import read_image
    from urface.photos import NoFace, aligned_face, open_detector

    photos = [read_image(path) for path in (given.a, given.b)]
    detector = open_detector(given.detector)
    faces = []
    for path, photo in zip((given.a, given.b), photos, strict=True):
        try:
            face = aligned_face(photo, detector, path)
        except NoFace as error:
            raise NoFace(f"{error}; {HINT}" if looks_aligned(photo) else str(error)) from None
        if looks_aligned(photo):
            note(f"note: {path} is 112 x 112 and was searched for a face: {HINT}")
        if face.of > 1:
            note(f"note: {path} has {face.of} faces: the largest is compared")
        if face.rotation:
            note(f"note: {path} was turned by {face.rotation} degrees to find a face")
        faces.append(face.image)
    return faces


def judge(
    scores: dict[str, float],
    decision: Decision | None,
    threshold: float | None,
    method: str,
    uncertainty: float,
) -> Verdict:
    """The verdict by ``threshold`` on ``method``, else by ``decision``, else none.

    ``uncertainty`` is the larger one of the two faces.
    """
    shown = decision is not None and decision.demonstration
    if threshold is not None:
        basis = "the threshold given; its false-match rate is not known"
        above = scores[method] >= threshold
        return Verdict(above, method, threshold, basis, demonstration=shown)
    if decision is None:
        basis = (
            "this model was not calibrated: run `urface evaluate MODEL --people FACES --calibrate`, or "
            "give --threshold"
        )
        return Verdict(None, method, None, basis)
    point = decision.usual_point()
    if point is None or uncertainty > decision.unsure_above:
        basis = (
            "this model's calibration holds no threshold"
            if point is None
            else f"too unsure to say: an uncertainty of {uncertainty:.2f} is above "
            f"{decision.unsure_above:.2f} ({decision.unsure_rule})"
        )
        threshold = point.threshold if point else None
        return Verdict(None, decision.method, threshold, basis, demonstration=shown)
    from urface.metrics.intervals import rate

    value = scores[decision.method]
    measured = rate(point.false_matches, point.impostor_pairs)
    basis = (
        f"a false-match rate of at most {100 * point.fmr:g} %, measured on {decision.data}: "
        f"{measured.format(2)} % of the pairs of two people match"
    )
    probability = float(decision.probability(value)) if decision.has_probability else None
    meaning = decision.meaning() if decision.has_probability else ""
    same = value >= point.threshold
    return Verdict(same, decision.method, point.threshold, basis, probability, meaning, shown)


def as_json(
    a: str, b: str, faces: FaceEmbedding, scores: dict[str, float], verdict: Verdict
) -> dict[str, Any]:
    """Everything the table says, as plain values."""
    uncertainty = np.asarray(faces.uncertainty)
    return {
        "a": a,
        "b": b,
        "likelihood": scores["likelihood"],
        "cosine": scores["cosine"],
        "same": verdict.same,
        "method": verdict.method,
        "threshold": verdict.threshold,
        "basis": verdict.basis,
        "probability": verdict.probability,
        "meaning": verdict.meaning,
        "demonstration": verdict.demonstration,
        "cosines": _cosines(faces).tolist(),
        "variance": {"a": faces.sub_variance[0].tolist(), "b": faces.sub_variance[1].tolist()},
        "uncertainty": {"a": float(uncertainty[0]), "b": float(uncertainty[1])},
    }


def as_text(
    a: str, b: str, faces: FaceEmbedding, scores: dict[str, float], verdict: Verdict
) -> str:
    """A page for a terminal. The bars share one scale, so that both faces can be compared."""
    if verdict.same is None:
        lines = [f"no verdict   {verdict.basis}"]
    else:
        what = "SAME PERSON" if verdict.same else "DIFFERENT PEOPLE"
        side = "at or above" if verdict.same else "below"
        value = scores[verdict.method]
        lines = [
            f"{what}: the {verdict.method} score {value:.4g} is {side} {verdict.threshold:.4g}",
            f"threshold    {verdict.basis}",
        ]
    if verdict.probability is not None:
        lines.append(
            f"probability  {100 * verdict.probability:.1f} % that both show one person, {verdict.meaning}"
        )
    if verdict.demonstration:
        lines.append(f"model        {DEMONSTRATION_NOTE}")
    sigma = np.sqrt(np.asarray(faces.sub_variance, np.float64))
    uncertainty = np.asarray(faces.uncertainty)
    lines += [
        f"likelihood   {scores['likelihood']:.4g}",
        f"cosine       {scores['cosine']:.4f}   mean of the {faces.num_sub_embeddings} below",
        f"A            {a}   uncertainty {uncertainty[0]:.2f} (mean log variance)",
        f"B            {b}   uncertainty {uncertainty[1]:.2f}",
        "",
        "sigma of each sub-embedding: larger is less sure",
        f"  k  cosine  {'A':<{BAR + 9}} {'B':<{BAR + 9}}".rstrip(),
    ]
    for k, cosine in enumerate(_cosines(faces)):
        cells = [f"{s:<8.3g} {_bar(s / sigma.max()):<{BAR}}" for s in sigma[:, k]]
        lines.append(f" {k:2d}  {cosine:6.2f}  {cells[0]} {cells[1]}".rstrip())
    return "\n".join(lines)


def _cosines(faces: FaceEmbedding) -> np.ndarray:
    """[K] cosine of each sub-embedding of the two faces."""
    mean = np.asarray(faces.mean)
    return np.einsum("kd,kd->k", mean[0], mean[1])


def _bar(share: float) -> str:
    return "#" * max(1, round(share * BAR))
