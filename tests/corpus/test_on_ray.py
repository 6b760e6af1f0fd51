"""What a worker raised reaches the user as it was; runs without a cluster."""

from __future__ import annotations

from urface.corpus.on_ray import _ours
from urface.types import UserError


class Wrapped(UserError):
    """As Ray wraps an error: it passes for the error's own class, and has a traceback for its words."""

    def __init__(self, cause: BaseException) -> None:
        super().__init__("a traceback of twenty lines")
        self.cause = cause


def test_an_error_of_ours_is_found_within_what_ray_wraps_around_it():
    ours, full = UserError("too many failures"), OSError(28, "No space left on device")
    assert _ours(Wrapped(ours)) is ours
    outer = RuntimeError("user code failed")
    outer.__cause__ = Wrapped(full)
    assert _ours(outer) is full


def test_other_errors_stay_what_they_are():
    bug = RuntimeError("x")
    bug.__cause__ = KeyError("y")
    assert _ours(bug) is None
