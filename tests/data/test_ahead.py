"""Claims about work done ahead: order, bounds, errors, ends."""

from __future__ import annotations

import threading
import time

import pytest

from urface.data.ahead import SPARE, made_ahead, worker_count


@pytest.mark.parametrize("workers", [0, 1, 2, 3])
def test_results_come_in_order_whatever_the_number_of_workers(workers: int) -> None:
    def make(step: int) -> int:
        time.sleep(0.002 if step % 3 else 0.01)
        return step * step

    assert list(made_ahead(make, range(20), workers)) == [step * step for step in range(20)]


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_an_error_comes_where_its_result_would_have_come(workers: int) -> None:
    def make(step: int) -> int:
        if step == 4:
            raise RuntimeError("step 4")
        return step

    stream = made_ahead(make, range(10), workers)
    assert [next(stream) for _ in range(4)] == [0, 1, 2, 3]
    with pytest.raises(RuntimeError, match="step 4"):
        next(stream)
    assert not [t for t in threading.enumerate() if t.name.startswith("data")]


@pytest.mark.parametrize("workers", [1, 3])
def test_no_more_than_its_bound_is_made_ahead(workers: int) -> None:
    made = []

    def make(step: int) -> int:
        made.append(step)
        return step

    stream = made_ahead(make, range(1000), workers)
    next(stream)
    time.sleep(0.05)
    assert len(made) <= workers + SPARE
    stream.close()  # type: ignore[attr-defined]
    assert not [t for t in threading.enumerate() if t.name.startswith("data")]


def test_auto_leaves_a_core_to_the_step_and_shares_the_rest_among_ranks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert worker_count(0) == 0
    assert worker_count(5) == 5
    for cores, ranks, expected in ((1, 1, 1), (2, 1, 1), (4, 1, 3), (64, 1, 8), (64, 8, 7)):
        monkeypatch.setattr("os.sched_getaffinity", lambda _, n=cores: set(range(n)), raising=False)
        monkeypatch.setenv("LOCAL_WORLD_SIZE", str(ranks))
        assert worker_count(-1) == expected
