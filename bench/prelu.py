"""Milliseconds of nn.PReLU and of ours, forward and backward: `python bench/prelu.py`.

bfloat16, channels_last, on the CPU, for the small trunk's first activation and a wider one.
Medians; the two are taken in turns so that a busy moment strikes both.
"""

from __future__ import annotations

import statistics
import time

import torch
from torch import nn

from urface.models.prelu import PReLU

SHAPES = [(128, 16, 64, 64), (32, 64, 56, 56)]
ROUNDS = 15
WARM_UP = 3


def milliseconds(module: nn.Module, x: torch.Tensor, grad: torch.Tensor) -> tuple[float, float]:
    """One forward and one backward."""
    leaf = x.detach().requires_grad_(True)
    start = time.perf_counter()
    out = module(leaf)
    between = time.perf_counter()
    out.backward(grad)
    end = time.perf_counter()
    return 1e3 * (between - start), 1e3 * (end - between)


def main() -> None:
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, median of {ROUNDS}")
    print(f"{'shape':>18}  {'':8}  {'nn.PReLU':>9}  {'ours':>9}")
    for shape in SHAPES:
        x, grad = (
            torch.randn(shape).bfloat16().contiguous(memory_format=torch.channels_last)
            for _ in range(2)
        )
        # nn.PReLU wants slopes of the input's type; ours keeps them in float32.
        modules = {"theirs": nn.PReLU(shape[1]).bfloat16(), "ours": PReLU(shape[1])}
        times: dict[str, list[tuple[float, float]]] = {name: [] for name in modules}
        for _ in range(WARM_UP + ROUNDS):
            for name, module in modules.items():
                times[name].append(milliseconds(module, x, grad))
        for place, direction in enumerate(("forward", "backward")):
            theirs, ours = (
                statistics.median(pair[place] for pair in times[name][WARM_UP:]) for name in times
            )
            label = " x ".join(map(str, shape)) if place == 0 else ""
            print(f"{label:>18}  {direction:8}  {theirs:9.1f}  {ours:9.1f}")


if __name__ == "__main__":
    main()
