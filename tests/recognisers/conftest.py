"""One thread for every test of this folder."""

from __future__ import annotations

from small_model import one_thread

__all__ = ["one_thread"]
