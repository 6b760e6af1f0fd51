"""SGD that knows two things more of prototypes: rows that were not drawn rest, and bf16 is rounded fairly."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from urface import distributed

ROWS = 4096  # updated at a time, so that nothing of the size of the prototypes is made


class PrototypeSGD(torch.optim.SGD):
    """torch's SGD, but for parameters in groups with ``stored`` that are bf16 or have a sparse gradient.

    Of a sparse gradient only its rows move, as Partial FC has it: momentum and decay of the others wait
    until they are drawn again. Were they to go on, a prototype would be carried further by what it was
    told many steps ago, and a step would touch all of the memory. ``stored`` is `objective.prototypes`:
    bf16 rounds weight and momentum up or down at random, by how near each is, since rounding to the nearest
    would lose every step below 1/512 of a weight; bf16_master takes the steps on a copy in fp32. What is
    drawn depends on the step and the rank alone.
    """

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        ours = [
            (group, parameter, rows_of(parameter))
            for group in self.param_groups
            for parameter in group["params"]
            if "stored" in group and parameter.grad is not None
            if parameter.grad.is_sparse or parameter.dtype == torch.bfloat16
        ]
        held = [parameter.grad for _, parameter, _ in ours]
        for _, parameter, _ in ours:
            parameter.grad = None
        result = super().step(closure)
        for (group, parameter, values), grad in zip(ours, held, strict=True):
            parameter.grad = grad
            assert grad is not None
            self._move(group, parameter, values, grad._indices()[0] if grad.is_sparse else None)
        return result

    def _move(
        self, group: dict[str, Any], weight: Tensor, values: Tensor, rows: Tensor | None
    ) -> None:
        state = self.state[weight]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(weight)
        if group["stored"] == "bf16_master" and "master" not in state:
            state["master"] = weight.float()
        state["moves"] = state.get("moves", torch.zeros((), dtype=torch.int64)) + 1
        seed = int(state["moves"]) * 1_000_003 + distributed.rank()
        noise = torch.Generator(weight.device).manual_seed(seed)
        master = state.get("master", weight)
        for first in range(0, len(values), ROWS):
            part = slice(first, first + ROWS)
            where = part if rows is None else rows[part]
            old = master[where].float()
            change = values[part].float().add(old, alpha=group["weight_decay"])
            change.add_(state["momentum_buffer"][where].float(), alpha=group["momentum"])
            state["momentum_buffer"][where] = rounded(change, weight.dtype, noise)
            new = old.add(change, alpha=-group["lr"])
            if master is not weight:
                master[where] = new
                weight[where] = new.to(weight.dtype)
            else:
                weight[where] = rounded(new, weight.dtype, noise)


def rows_of(parameter: Tensor) -> Tensor:
    """The numbers of a parameter's gradient, in place: all, or those of the rows of a sparse one."""
    assert parameter.grad is not None
    if not parameter.grad.is_sparse:
        return parameter.grad
    parameter.grad = parameter.grad.coalesce()  # parts of a batch each drew rows of their own
    return parameter.grad._values()


def rounded(values: Tensor, dtype: torch.dtype, noise: torch.Generator) -> Tensor:
    """float32 ``values`` as they are, or in bf16, up with a probability of how far up they lie.

    bf16 is float32 without its last 16 bits: a random number below 2^16 is added before they are cut off.
    """
    if dtype != torch.bfloat16:
        return values
    bits = values.view(torch.int32)
    shape, device = bits.shape, bits.device
    more = torch.randint(1 << 16, shape, generator=noise, device=device, dtype=torch.int32)
    cut = ((bits + more) & -(1 << 16)).view(torch.float32)
    return torch.where(values.isfinite(), cut, values).to(torch.bfloat16)
