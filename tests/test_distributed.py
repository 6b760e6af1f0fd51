"""Ranks on gloo: gather's values and gradient, reductions, shards; one process without a group."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist

from apart import apart
from training.forked import together
from urface import distributed

WORLD = 2


@pytest.mark.parametrize(
    ("total", "parts", "sizes"),
    [
        (11, 4, [3, 3, 3, 2]),
        (8, 4, [2, 2, 2, 2]),
        (3, 4, [1, 1, 1, 0]),
        (0, 2, [0, 0]),
        (5, 1, [5]),
    ],
)
def test_shards_are_contiguous_with_the_remainder_on_low_ranks(
    total: int, parts: int, sizes: list[int]
) -> None:
    shards = [distributed.shard_of(total, part, parts) for part in range(parts)]
    assert [len(shard) for shard in shards] == sizes
    assert [number for shard in shards for number in shard] == list(range(total))


def test_one_process_needs_no_group(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RANK", raising=False)
    x = torch.arange(3.0, requires_grad=True)
    with distributed.process_group(torch.device("cpu")):
        assert (distributed.rank(), distributed.world_size()) == (0, 1)
        assert distributed.gather(x) is x
        assert distributed.broadcast_object({"a": 1}) == {"a": 1}
        assert torch.equal(distributed.all_reduce_sum(torch.ones(2)), torch.ones(2))
        assert torch.equal(distributed.all_reduce_max(torch.ones(2)), torch.ones(2))
        distributed.barrier()


def on_rank(rank: int) -> dict[str, Any]:
    # Data parallel: a shared weight, each rank's own images, the mean over the whole batch.
    weight = torch.tensor([1.0, -2.0], dtype=torch.float64, requires_grad=True)
    images = torch.arange(6.0, dtype=torch.float64).view(3, 2) + 10 * rank
    # Each rank differentiates its share of the loss, as it does with its own classes.
    share = torch.tensor([0.3, 0.7], dtype=torch.float64)[rank]
    gathered = distributed.gather(images * weight)
    (share * gathered.square().sum(1).mean()).backward()
    assert weight.grad is not None
    weight_grad = distributed.all_reduce_sum(weight.grad) / WORLD

    # One gradient tensor goes to gather and to its neighbour: gather must not write into it.
    x = torch.ones(2, 2, requires_grad=True)
    beside = torch.zeros(2 * WORLD, 2, requires_grad=True)
    neighbour = beside * 1.0  # made before the gather, hence differentiated after it
    ((distributed.gather(x) + neighbour) * (rank + 1)).square().sum().backward()
    assert beside.grad is not None
    assert x.grad is not None

    transposed = (torch.arange(6).view(2, 3) + 10 * rank).T
    found = {
        "weight": weight_grad.tolist(),
        "gathered": gathered.tolist(),
        "beside": beside.grad.tolist(),
        "x": x.grad.tolist(),
        "transposed": distributed.gather(transposed).tolist(),
        "sum": distributed.all_reduce_sum(torch.tensor([1.0 + rank])).tolist(),
        "max": distributed.all_reduce_max(torch.tensor([1.0 + rank, -rank])).tolist(),
        "object": distributed.broadcast_object({"step": 7} if rank == 0 else None),
        "rank": [distributed.rank(), distributed.world_size()],
    }
    distributed.barrier()
    return found


def both(folder: Path) -> list[dict[str, Any]]:
    return together(WORLD, folder, on_rank)


@pytest.mark.parametrize(
    ("shared", "restarts", "warned"),
    [("True", "3", True), ("False", "3", False), ("True", "0", False)],
)
def test_restarts_in_a_shared_store_are_warned_of(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    shared: str,
    restarts: str,
    warned: bool,
) -> None:
    monkeypatch.setattr(dist, "init_process_group", lambda *_, **__: None)
    monkeypatch.setattr(dist, "destroy_process_group", lambda: None)
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("TORCHELASTIC_USE_AGENT_STORE", shared)
    monkeypatch.setenv("TORCHELASTIC_MAX_RESTARTS", restarts)
    with distributed.process_group(torch.device("cpu")):
        pass
    assert ("TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1" in capsys.readouterr().err) == warned


@pytest.fixture(scope="module")
def ranks(tmp_path_factory: pytest.TempPathFactory) -> list[dict]:
    found: list[dict] = apart(both, tmp_path_factory.mktemp("ranks"))
    return found


def test_gather_gives_every_rank_all_rows_in_rank_order(ranks: list[dict]) -> None:
    rows = [[(v + 10 * rank) * w for v, w in zip((a, a + 1), (1, -2), strict=True)]
            for rank in range(WORLD) for a in (0.0, 2.0, 4.0)]  # fmt: skip
    transposed = [[a + 10 * rank, a + 3 + 10 * rank] for rank in range(WORLD) for a in range(3)]
    for rank, got in enumerate(ranks):
        assert got["gathered"] == rows
        assert got["transposed"] == transposed
        assert got["rank"] == [rank, WORLD]


def test_mean_of_the_ranks_gradients_through_gather_is_that_of_one_rank(ranks: list[dict]) -> None:
    # d/dw of (1/6) sum_n sum_c (x_nc w_c)^2; the shares 0.3 and 0.7 make it whole once.
    images = [[a + 10 * rank, a + 1 + 10 * rank] for rank in range(WORLD) for a in (0.0, 2.0, 4.0)]
    expected = [sum(2 * row[c] ** 2 * w for row in images) / 6 for c, w in enumerate((1.0, -2.0))]
    for got in ranks:
        assert got["weight"] == pytest.approx(expected, rel=1e-12)


def test_gather_leaves_the_gradient_of_its_neighbour_alone(ranks: list[dict]) -> None:
    # d/db of ((1 + b) r)^2 is 2 r^2 on rank r - 1; gather's: summed, times the number of ranks.
    for rank, got in enumerate(ranks):
        assert got["beside"] == [[2.0 * (rank + 1) ** 2] * 2] * 4
        assert got["x"] == [[WORLD * (2.0 + 8.0)] * 2] * 2


def test_reductions_and_broadcast_agree_on_every_rank(ranks: list[dict]) -> None:
    for got in ranks:
        assert got["sum"] == [3.0]
        assert got["max"] == [2.0, 0.0]
        assert got["object"] == {"step": 7}
