"""How large the published protocols are, so that a part of one is never taken for the whole."""

from __future__ import annotations

from typing import NamedTuple

from urface.benchmarks.benchmark import Benchmark


class Size(NamedTuple):
    """Counts of a protocol; None where it is not known to us."""

    images: int | None = None
    templates: int | None = None
    pairs: int | None = None
    probes: int | None = None
    gallery: int | None = None


SIZES = {
    "lfw": Size(pairs=6_000),
    "cfp_ff": Size(pairs=7_000),
    "cfp_fp": Size(pairs=7_000),
    "ytf": Size(pairs=5_000),
    "ijbb": Size(images=227_630, templates=12_115, pairs=8_010_270),
    "ijbc": Size(images=469_375, templates=23_124, pairs=15_658_489),
    "tinyface": Size(probes=3_728, gallery=4_443 + 153_428),
}


def compared_with_official(benchmark: Benchmark) -> str:
    """A sentence for a report where the data are not the whole published protocol; "" where they are, or
    its size is not known."""
    wanted = SIZES.get(benchmark.name)
    if wanted is None:
        return ""
    found = Size(
        len(benchmark.images),
        len(benchmark.templates),
        sum(len(task.left) for task in benchmark.pairs),
        max((len(task.probes) for task in benchmark.searches), default=0),
        max((len(task.gallery) for task in benchmark.searches), default=0),
    )
    differ = []
    for name in Size._fields:
        official, here = getattr(wanted, name), getattr(found, name)
        # A protocol of pairs alone, or of searches alone, is judged on what it has.
        if official is not None and here and here != official:
            differ.append(f"{here:,} {name} of {official:,}")
    if not differ:
        return ""
    return (
        f"These data are not the published {benchmark.name}: {', '.join(differ)}. Its published numbers are "
        "no measure of these."
    )
