"""`urface gallery identify`."""

from __future__ import annotations

from dataclasses import asdict

from urface.commands.gallery_given import (
    add_face_options,
    faces_given,
    gallery_parser,
    load_for,
    open_gallery,
    percent,
    table,
    told,
)
from urface.gallery.answers import Identification

SUMMARY = """\
Who each photo shows: the name of somebody enrolled, "unknown", or "too unsure to say" where the photo is
too poor for an answer. --fpir is the share of strangers who may be taken for somebody. Its threshold comes
from strangers searched in this gallery (`urface gallery calibrate`), else from the model's false-match
rate as if all comparisons of a search were independent; where neither supports it, there is no answer."""
EXAMPLES = """\
  urface gallery identify people visitor.jpg --key people.key
  urface gallery identify people visitors/ --fpir 0.03 --key people.key --json"""


def run(arguments: list[str]) -> int:
    parser = gallery_parser("identify", SUMMARY, EXAMPLES)
    add_face_options(parser)
    parser.add("--fpir", float, 0.01, help="false-positive identification rate, 0 to 1")
    given = parser.read(arguments)
    with open_gallery(given) as gallery:
        embedder = load_for(gallery, given)
        basis = gallery.threshold(given.fpir).basis  # before minutes of photos
        found = faces_given(given, embedder)
        answers = gallery.identify(found.faces, given.fpir)
        pairs = list(zip(found.keys, answers, strict=True))
        if given.json:
            probes = [{"photo": key} | asdict(answer) for key, answer in pairs]
            print(
                told(gallery, fpir=given.fpir, basis=basis, probes=probes, failures=found.failures)
            )
            return 0
        print(table([[key, *_cells(answer)] for key, answer in pairs]))
        print(f"threshold {answers[0].threshold:.4g}: {basis}")
    return 0


def _cells(answer: Identification) -> list[str]:
    said = {"unknown": "unknown", "unsure": "too unsure to say"}.get(
        answer.verdict, answer.person or ""
    )
    score = "" if answer.score is None else f"{answer.score:.4g}"
    return [said, score, percent(answer.probability), f"uncertainty {answer.uncertainty:.2f}"]
