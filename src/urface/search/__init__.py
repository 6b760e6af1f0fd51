"""Search of many templates by likelihood: exactly, with FAISS, or in any engine of inner products."""

from urface.search.exact import ExactIndex
from urface.search.index import Index, Repairs, reconcile
from urface.search.open import index_path, open_index

__all__ = [
    "ExactIndex",
    "Index",
    "Repairs",
    "index_path",
    "open_index",
    "reconcile",
]
