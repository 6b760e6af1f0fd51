"""How many pairs the published lists have, so that a part of one is never taken for the whole.

The readers of templates (IJB, TinyFace) say it of theirs themselves.
"""

from __future__ import annotations

from urface.benchmarks.benchmark import Benchmark

PAIRS = {
    "lfw": 6_000,
    "cfp_ff": 7_000,
    "cfp_fp": 7_000,
    "agedb_30": 6_000,
    "calfw": 6_000,
    "cplfw": 6_000,
    "xqlfw": 6_000,
    "ytf": 5_000,
}


def compared_with_official(benchmark: Benchmark) -> str:
    """A sentence for a report where these are not all pairs of the published list; "" where they are, or
    the list's size is not known."""
    wanted = PAIRS.get(benchmark.name)
    # Parts of a group, such as CFP's ten splits, hold the pairs of the whole once more.
    found = sum(len(task.left) for task in benchmark.pairs if not task.group)
    if wanted is None or found == wanted:
        return ""
    return (
        f"{found:,} pairs, the published {benchmark.name} has {wanted:,}: its published numbers do not "
        "compare"
    )
