"""What is wrong with a data set, one line each, for a screen and for a table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from urface.atomic import atomic_path

KINDS = {
    "corrupt": "cannot be decoded",
    "bytes": "the same bytes as another image",
    "pixels": "the same pixels as another image",
    "near": "nearly the same picture as another image",
    "name": "an identity of the same name in the other set",
    "person": "an identity that looks like another",
    "label": "an image that looks like another identity than its own",
}


class Finding(NamedTuple):
    """One thing found.

    kind      of KINDS
    key       the image, or "" where it is about an identity
    identity  of the image
    other_set, other_key, other_identity  what it was compared with; other_set is "" for the same set
    score     as the kind has it (bits apart, cosine, ...), NaN where it has none
    words     for a reader, without the key
    """

    kind: str
    key: str
    identity: str
    words: str
    other_set: str = ""
    other_key: str = ""
    other_identity: str = ""
    score: float = float("nan")

    def line(self) -> str:
        """``key: words``, or ``identity: words``, on one line whatever a name holds."""
        return " ".join(f"{self.key or self.identity}: {self.words}".split())


def write_findings(path: str | Path, findings: Sequence[Finding]) -> None:
    """A Parquet of all findings in their order, a column for each field; whole or not at all."""
    columns = {
        name: pa.array(
            [getattr(finding, name) for finding in findings],
            pa.float64() if name == "score" else pa.string(),
        )
        for name in Finding._fields
    }
    with atomic_path(path) as temporary:
        pq.write_table(pa.table(columns), temporary)
