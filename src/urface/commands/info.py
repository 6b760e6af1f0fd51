"""`urface data info`."""

from __future__ import annotations

import numpy as np

from urface.commands.parser import CommandParser

SUMMARY = """\
Count the images and people of a data set, its images per person, and the mean of each variation
label. Reads no pixels; `urface data check` does."""
EXAMPLES = """\
  urface data info faces.tar
  urface data info faces/manifest.parquet"""


def run(arguments: list[str]) -> int:
    parser = CommandParser("urface data info", SUMMARY, EXAMPLES)
    parser.add("path", str, help="folder identity/image, tar, manifest, or CelebA")
    given = parser.read(arguments)
    from urface.data.open import open_faces

    source = open_faces(given.path)
    people = len(source.identities)
    counts = np.bincount(source.labels, minlength=people)
    marks = np.quantile(counts, [0, 0.25, 0.5, 0.75, 1])
    least, lower, median, upper, most = (f"{mark:g}" for mark in marks)
    print(f"images             {len(source):,}")
    print(f"people             {people:,}")
    print(f"images per person  least {least}, quartiles {lower} {median} {upper}, most {most}")
    print(f"people with one    {int((counts == 1).sum()):,}")
    if source.variation_names:
        print("variation          mean   known for")
    for name, column in zip(source.variation_names, source.variations.T, strict=True):
        known = column[~np.isnan(column)]
        mean = f"{known.mean():.3f}" if len(known) else "-"
        print(f"  {name:16} {mean:<6} {len(known):,} images")
    return 0
