"""An index by its URL."""

from __future__ import annotations

from pathlib import Path

from urface.search.compact import LikelihoodIndex
from urface.search.exact import ExactIndex
from urface.search.flat import FlatIndex
from urface.search.index import Index
from urface.types import UserError

SCHEMES = ("faiss:", "faiss-flat:", "exact:", "milvus:/path/file.db", "milvus+http://host:port")


def index_path(folder: str | Path) -> Path:
    """The file in ``folder`` that an embedded index is saved to and opened from."""
    return Path(folder) / "search.index"


def open_index(
    url: str, folder: str | Path, *, key: bytes | None = None, fresh: bool = False
) -> Index:
    """The index that ``url`` names, with the templates it was last saved with.

        faiss:                          FAISS, codes of 4 bits: the default, up to millions
        faiss-flat:                     FAISS, every template's whole vector in memory
        exact:                          every template is scored
        milvus:/path/file.db            Milvus Lite, embedded
        milvus+http://host:port         a Milvus server or cluster (milvus+https: likewise)

    The first three live in ``folder``; ``key`` (32 bytes) encrypts them there. ``fresh`` starts with an
    empty index. Raises UserError where the URL is none of these, a package is missing, or the saved file is
    damaged or of another key: the owner then opens a fresh one and adds everything again. An engine's
    contents outlive a crash of the owner; ``reconcile`` brings them back to the truth.
    """
    if url.startswith("milvus"):
        from urface.search.milvus import MilvusIndex

        return MilvusIndex(url, fresh=fresh)
    kinds = {"exact:": ExactIndex, "faiss-flat:": FlatIndex, "faiss:": LikelihoodIndex}
    if url not in kinds:
        raise UserError(f"{url!r} is no index; there are {', '.join(SCHEMES)}")
    index: ExactIndex = kinds[url](key)
    if not fresh and index_path(folder).exists():
        index.load(index_path(folder))
    return index
