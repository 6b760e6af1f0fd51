"""`urface gallery calibrate`."""

from __future__ import annotations

from dataclasses import asdict

from urface.commands.gallery_given import (
    add_face_options,
    faces_given,
    gallery_parser,
    load_for,
    open_gallery,
    table,
    told,
)

SUMMARY = """\
Search photos of people who are NOT enrolled, one photo of each, to measure how often they are taken for
somebody. `identify` takes its threshold from them from then on. A rate is supported where it allows 30
errors: 1 % needs 3,000 strangers. Only their best scores are kept."""
EXAMPLES = """\
  urface gallery calibrate people strangers/ --key people.key"""


def run(arguments: list[str]) -> int:
    parser = gallery_parser("calibrate", SUMMARY, EXAMPLES)
    add_face_options(parser)
    given = parser.read(arguments)
    with open_gallery(given) as gallery:
        found = faces_given(given, load_for(gallery, given))
        rates = gallery.calibrate(found.faces)
        if given.json:
            print(told(gallery, rates=[asdict(one) for one in rates], failures=found.failures))
            return 0
        rows = [["FPIR at most", "threshold", "measured, % [95 % interval] (of strangers)"]]
        for one in rates:
            threshold = "" if one.threshold is None else f"{one.threshold:.4g}"
            rows.append([f"{100 * one.fpir:g} %", threshold, one.measured.format(2)])
        print(table(rows))
    return 0
