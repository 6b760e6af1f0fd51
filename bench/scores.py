"""What likelihood scores cost: the matrix against one matrix product of the same size, and pairs.

    python bench/scores.py [--device cuda] [--faces 4096]

N = M faces, K = 16 sub-embeddings of D = 32. Each turn times the product and the matrix one after the other;
the ratios' median is printed, with what the issue asks for. The plain loops are timed on fewer faces, for
scale. On a GPU the product is in bfloat16 and in TF32.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from statistics import median

import numpy as np
import torch

from figure import Figure, tell
from urface.scoring.likelihood import likelihood_matrix, likelihood_score
from urface.scoring.pairs import cosine_pairs, likelihood_pairs

K, D = 16, 32
SPANS = {"variances 1e-2..1": (1e-2, 1.0), "variances 1e-6..1e-2": (1e-6, 1e-2)}


def faces(count: int, span: tuple[float, float], device: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Means [count, K, D] and variances [count, K]."""
    mean = torch.nn.functional.normalize(torch.randn(count, K, D), dim=2)
    low, high = np.log(span)
    variance = torch.exp(torch.empty(count, K).uniform_(low, high))
    return mean.to(device), variance.to(device)


def seconds(work: Callable[[], object], device: str) -> float:
    """Of one call."""
    if device == "cuda":
        torch.cuda.synchronize()
    start = time.perf_counter()
    work()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def ratio(work: Callable[[], object], base: Callable[[], object], device: str, turns: int) -> float:
    """How many times as long ``work`` takes as ``base``: the median over turns of both."""
    work(), base()  # compiled, and the memory at hand
    ratios = []
    for _ in range(turns):
        before, own = seconds(base, device), seconds(work, device)
        ratios.append(own / (0.5 * (before + seconds(base, device))))
    return median(ratios)


def in_torch(a: torch.Tensor, av: torch.Tensor, b: torch.Tensor, bv: torch.Tensor) -> torch.Tensor:
    """The matrix as it is usually written: a loop over rows, differences first."""
    rows = []
    for i in range(len(a)):
        total = av[i] + bv
        distance = (a[i] - b).square().sum(2)
        rows.append(-0.5 * (distance / total + D * total.log()).sum(1))
    return torch.stack(rows)


def naive(a: torch.Tensor, av: torch.Tensor, b: torch.Tensor, bv: torch.Tensor) -> list[float]:
    """One call a pair."""
    return [
        float(likelihood_score(a[i : i + 1], av[i : i + 1], b[j : j + 1], bv[j : j + 1]))
        for i in range(len(a))
        for j in range(len(b))
    ]


def measure(count: int = 4096, device: str = "cpu", turns: int = 5) -> Iterator[Figure]:
    """All figures, as they come."""
    torch.manual_seed(0)
    for name, span in SPANS.items():
        (a, av), (b, bv) = faces(count, span, device), faces(count, span, device)
        flat, other = a.flatten(1), b.flatten(1)
        if device == "cuda":
            yield from on_gpu(name, (a, av, b, bv), turns)
            continue
        out = torch.empty(count, count)
        plain = ratio(
            lambda: likelihood_matrix(a, av, b, bv),  # noqa: B023
            lambda: torch.mm(flat, other.T, out=out),  # noqa: B023
            device,
            turns,
        )
        yield Figure(f"matrix {count} x {count}, {name}, / one fp32 product", plain, "x", 2.0)
    if device == "cpu":
        yield from loops(count)


def on_gpu(name: str, sides: tuple[torch.Tensor, ...], turns: int) -> list[Figure]:
    """Against the product in bfloat16 and in TF32. Has not run: there was no GPU to run it on."""
    flat, other = sides[0].flatten(1), sides[2].flatten(1)
    short, others = flat.bfloat16(), other.bfloat16()
    work = lambda: likelihood_matrix(*sides)  # noqa: E731
    found = [
        Figure(
            f"matrix, {name}, / one bf16 product",
            ratio(work, lambda: short @ others.T, "cuda", turns),
            "x",
            1.5,
        )
    ]
    torch.backends.cuda.matmul.allow_tf32 = True
    found.append(
        Figure(
            f"matrix, {name}, / one TF32 product",
            ratio(work, lambda: flat @ other.T, "cuda", turns),
            "x",
            1.5,
        )
    )
    return found


def loops(count: int) -> list[Figure]:
    """The loops, a pair each on fewer faces against the product's time a pair; and listed pairs."""
    (a, av), (b, bv) = (faces(count, (1e-2, 1.0), "cpu") for _ in range(2))
    flat, other = a.flatten(1), b.flatten(1)
    product = median(seconds(lambda: flat @ other.T, "cpu") for _ in range(3)) / count**2
    few, rows = 24, 8
    sides = (a[:few], av[:few], b[:few], bv[:few])
    one = seconds(lambda: naive(*sides), "cpu") / few**2
    row = seconds(lambda: in_torch(a[:rows], av[:rows], b, bv), "cpu") / (rows * count)
    found = [
        Figure("a call a pair / one fp32 product, a pair", one / product, "x"),
        Figure("a loop over rows in torch / one fp32 product, a pair", row / product, "x"),
    ]
    random = np.random.default_rng(0)
    left, right = random.integers(0, count, (2, 300_000))
    there = np.ones(count, bool)
    vectors, variance = a.numpy(), av.numpy()
    found.append(
        Figure(
            "listed pairs: likelihood / cosine",
            ratio(
                lambda: likelihood_pairs(vectors, variance, left, right, there),
                lambda: cosine_pairs(vectors, left, right, there),
                "cpu",
                3,
            ),
            "x",
        )
    )
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--faces", type=int, default=4096)
    given = parser.parse_args()
    print(f"{torch.get_num_threads()} threads of torch")
    for figure in measure(given.faces, given.device):
        tell(figure)
