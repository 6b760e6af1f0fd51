"""Whether the outputs that a notebook shows are those of its code."""

from __future__ import annotations

import hashlib
from typing import Any


def digest(notebook: dict[str, Any]) -> str:
    """SHA-256 of the code of all cells; `make_notebooks.py` keeps it when it has run them."""
    code = "\0".join("".join(c["source"]) for c in notebook["cells"] if c["cell_type"] == "code")
    return hashlib.sha256(code.encode()).hexdigest()
