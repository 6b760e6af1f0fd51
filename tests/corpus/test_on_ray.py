"""What a worker raised reaches the user as it was; runs without a cluster."""

from __future__ import annotations

import pytest

from urface.corpus.on_ray import _ours, workers_for
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


def test_as_many_workers_as_fit_and_a_cluster_without_room_for_one_is_refused():
    assert workers_for({"CPU": 8.0}, 0, 0) == 8
    assert workers_for({"CPU": 8.0, "GPU": 2.0}, 0, 0.5) == 4
    assert workers_for({"CPU": 8.0, "GPU": 2.0}, 3, 1) == 3
    for cluster, gpus in (
        ({"CPU": 8.0}, 1.0),
        ({"CPU": 8.0, "GPU": 1.0}, 2.0),
        ({"GPU": 1.0}, 1.0),
    ):
        for asked in (0, 2):
            with pytest.raises(UserError, match="no room for a worker"):
                workers_for(cluster, asked, gpus)
