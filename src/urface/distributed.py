"""Ranks: torchrun's environment, the few reductions we need, and a gather that has a gradient.

Everything works with one process and no process group, and on gloo as on nccl.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from urface.derivatives import first_derivative
from urface.types import UserError

Made = TypeVar("Made")
TIMEOUT = 600.0  # seconds


def world_size() -> int:
    """Number of ranks; 1 outside torchrun."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """This process's number, 0 to world_size() - 1."""
    return dist.get_rank() if dist.is_available() and dist.is_initialized() else 0


@contextmanager
def process_group(device: torch.device, timeout: float = TIMEOUT) -> Iterator[None]:
    """Join the ranks that torchrun started, for the time of the block; nothing to do for one process.

    A rank that waits longer than ``timeout`` seconds for another fails, which torchrun then restarts.
    """
    if "RANK" not in os.environ or dist.is_initialized():
        yield
        return
    if _meets_in_an_old_store() and os.environ["RANK"] == "0":
        print(
            "torchrun would start ranks again in the store of the first start, where they may miss each "
            "other: export TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1 (docs/many_machines.md)",
            file=sys.stderr,
        )
    backend = "nccl" if device.type == "cuda" else "gloo"
    dist.init_process_group(backend, timeout=timedelta(seconds=timeout))
    try:
        yield
    finally:
        dist.destroy_process_group()


def _meets_in_an_old_store() -> bool:
    """Whether torchrun keeps the ranks' store and restarts them: of torch 2.13, whatever its comments say."""
    told = os.environ.get
    shared = told("TORCHELASTIC_USE_AGENT_STORE") == "True"
    return shared and told("TORCHELASTIC_MAX_RESTARTS", "0") != "0"


def all_reduce_sum(tensor: Tensor) -> Tensor:
    """Sum over ranks, in place."""
    if world_size() > 1:
        dist.all_reduce(tensor, op=dist.ReduceOp.SUM)
    return tensor


def all_reduce_max(tensor: Tensor) -> Tensor:
    """Maximum over ranks, in place."""
    if world_size() > 1:
        dist.all_reduce(tensor, op=dist.ReduceOp.MAX)
    return tensor


def any_rank(flag: bool, device: torch.device) -> bool:
    """Whether ``flag`` holds on any rank, the same answer on all; ``device`` is where the group reduces."""
    if world_size() == 1:
        return flag
    return bool(all_reduce_max(torch.tensor(float(flag), device=device)).item())


def any_of(flags: Sequence[bool], device: torch.device) -> list[bool]:
    """`any_rank` for several flags in one exchange."""
    if world_size() == 1:
        return list(flags)
    found = all_reduce_max(torch.tensor([float(flag) for flag in flags], device=device))
    return [bool(value) for value in found.tolist()]


def barrier() -> None:
    """Wait for all ranks."""
    if world_size() > 1:
        dist.barrier()


def together(work: Callable[[], Made]) -> Made:
    """What ``work`` gave on this rank; where it failed on one, all raise: none waits for one that ended.

    OSError with the file on the rank that met it, UserError elsewhere.
    """
    problem: Exception | None = None
    made: Made | None = None
    try:
        made = work()
    except (OSError, UserError) as error:
        problem = error
    said = None
    if isinstance(problem, OSError):
        what = f"{problem.filename}: {problem.strerror}" if problem.filename else str(problem)
        said = f"rank {rank()} failed: {what}"
    elif problem is not None:
        said = str(problem)
    everyones = gather_objects(said)
    if problem is not None:
        raise problem
    for other in everyones:
        if other is not None:
            raise UserError(other)
    return made  # type: ignore[return-value]


def first_alone(work: Callable[[], Made]) -> Made:
    """``work()`` on every rank, on rank 0 before the others: what it leaves on disk is made once.

    Where it failed on one, all raise.
    """
    first = together(lambda: work() if rank() == 0 else None)
    later = together(lambda: work() if rank() > 0 else None)
    return first if first is not None else later  # type: ignore[return-value]


def on_first(work: Callable[[], Made]) -> Made:
    """What ``work()`` gave on rank 0, which alone does it: a plain value. Where it failed, all raise."""
    made: Made = broadcast_object(together(lambda: work() if rank() == 0 else None))
    return made


def same_buffers(module: nn.Module) -> None:
    """Give every rank rank 0's buffers of ``module``.

    DistributedDataParallel does so before a forward pass, so that after the last one each rank has
    BatchNorm's statistics of its own last batch.
    """
    if world_size() > 1:
        for buffer in module.buffers():
            dist.broadcast(buffer, src=0)


def broadcast_object(value: Any) -> Any:
    """Rank 0's ``value`` on every rank: small plain values such as a step number or a path."""
    if world_size() == 1:
        return value
    holder = [value]
    dist.broadcast_object_list(holder, src=0)
    return holder[0]


def gather_objects(value: Any) -> list[Any]:
    """The small plain values of all ranks in rank order, on every rank."""
    if world_size() == 1:
        return [value]
    values: list[Any] = [None] * world_size()
    dist.all_gather_object(values, value)
    return values


def gather(tensor: Tensor) -> Tensor:
    """The tensors of all ranks joined along dim 0 in rank order, [world * B, ...], with a gradient.

    Backward sums over ranks what each found for this rank's part, and multiplies by the number of
    ranks: every rank differentiates the mean over the whole batch, while data-parallel training then
    takes the mean of the ranks' gradients.
    """
    if world_size() == 1:
        return tensor
    return _Gather.apply(tensor)


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:
        parts = [torch.empty_like(tensor) for _ in range(world_size())]
        dist.all_gather(parts, tensor.contiguous())
        return torch.cat(parts)

    @staticmethod
    @first_derivative
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        # A copy: autograd may hand the same tensor to another node, which must not see the sum.
        grad = grads[0].clone(memory_format=torch.contiguous_format)
        dist.all_reduce(grad, op=dist.ReduceOp.SUM)
        return grad.chunk(world_size())[rank()] * world_size()


def shard_of(total: int, part: int, parts: int) -> range:
    """The contiguous range of ``total`` things that falls to ``part``; low parts take the remainder."""
    size, remainder = divmod(total, parts)
    first = part * size + min(part, remainder)
    return range(first, first + size + (1 if part < remainder else 0))
