"""Search of many templates by likelihood: exactly, with FAISS, or in any engine of inner products."""

from urface.search.compact import LikelihoodIndex
from urface.search.exact import ExactIndex
from urface.search.expansion import Expansion, expand_gallery, expand_probe, fit_expansion
from urface.search.flat import FlatIndex
from urface.search.index import Index, Repairs, reconcile
from urface.search.open import index_path, open_index

__all__ = [
    "ExactIndex",
    "Expansion",
    "FlatIndex",
    "Index",
    "LikelihoodIndex",
    "Repairs",
    "expand_gallery",
    "expand_probe",
    "fit_expansion",
    "index_path",
    "open_index",
    "reconcile",
]
