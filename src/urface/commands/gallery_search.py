"""`urface gallery search`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Literal

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

SUMMARY = """\
The most alike people of each photo, best first, whether it shows any of them or not: `identify` says
that. The percentage is the probability that both are one person, by the model's calibration."""
EXAMPLES = """\
  urface gallery search people visitor.jpg --key people.key
  urface gallery search people visitors/ -k 3 --method cosine --key people.key --json"""


def run(arguments: list[str]) -> int:
    parser = gallery_parser("search", SUMMARY, EXAMPLES)
    add_face_options(parser)
    parser.add_argument("-k", type=int, default=5, help="how many people")
    parser.add("--method", Literal["likelihood", "cosine"], "likelihood", help="which score")
    given = parser.read(arguments)
    with open_gallery(given) as gallery:
        found = faces_given(given, load_for(gallery, given))
        answers = gallery.search(found.faces, given.k, given.method)
        pairs = list(zip(found.keys, answers, strict=True))
        if given.json:
            probes = [{"photo": key, "matches": [asdict(m) for m in row]} for key, row in pairs]
            print(told(gallery, method=given.method, probes=probes, failures=found.failures))
            return 0
        for key, row in pairs:
            print(key)
            rows = [
                ["", str(place), match.person, f"{match.score:.4g}", percent(match.probability)]
                for place, match in enumerate(row, 1)
            ]
            print(table(rows) if rows else "  nobody is enrolled")
    return 0
