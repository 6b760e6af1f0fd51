"""What the identification head costs, in time and in memory over the prototypes and their gradient.

    python bench/head.py                 # the CPU: time and memory against the plain form, then C = 1M
    python bench/head.py --stored        # prototypes in fp32, bf16, bf16 with a master: a made-up problem
    python bench/head.py --device cuda   # C = 1M, 4M, 10M with B = 1024; has not been run yet

Time is processor time, a median of turns in one process; memory the highest resident size of a process of
its own (VmHWM, set back after the prototypes are there), less the gradient.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from figure import Figure, tell
from urface.config import ObjectiveSettings
from urface.losses import objective, tiled_cross_entropy
from urface.training import prototype_sgd

D, TURNS = 512, 5
Form = Callable[[Tensor, Tensor, Tensor], Tensor]


def tiled(images: Tensor, weight: Tensor, labels: Tensor) -> Tensor:
    return tiled_cross_entropy(images.unsqueeze(1), weight, labels, lambda a: a - 9.0)


def plain(images: Tensor, weight: Tensor, labels: Tensor) -> Tensor:
    """What training does without tiles, but for the margin: normalise, multiply, cross-entropy."""
    return F.cross_entropy(images @ F.normalize(weight, dim=2).flatten(1).T, labels)


def bare(images: Tensor, weight: Tensor, labels: Tensor) -> Tensor:
    """Product and cross-entropy alone, of prototypes that have unit length already."""
    return F.cross_entropy(images @ weight.flatten(1).T, labels)


FORMS: dict[str, Form] = {"tiled": tiled, "plain": plain, "bare": bare}


def problem(b: int, c: int, device: str = "cpu") -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(0)
    images = F.normalize(torch.randn(b, D, device=device), dim=1) * 40
    weight = torch.empty(c, 1, D, device=device)
    for part in weight.split(1 << 16):
        part.normal_(0, 0.01)
    return images.requires_grad_(), weight.requires_grad_(), torch.arange(b, device=device) * 97 % c


def seconds(b: int, c: int) -> dict[str, float]:
    images, weight, labels = problem(b, c)
    spent: dict[str, list[float]] = {name: [] for name in FORMS}
    for turn in range(TURNS + 1):
        for name, form in FORMS.items():
            images.grad = weight.grad = None
            begun = time.process_time()
            form(images, weight, labels).backward()
            if turn:  # the first warms up
                spent[name].append(time.process_time() - begun)
    return {name: median(values) for name, values in spent.items()}


def extra_megabytes(form: str, b: int, c: int) -> float:
    """In a process of its own."""
    command = [sys.executable, str(Path(__file__)), "--peak", form, str(b), str(c)]
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return float(out)


def print_peak(form: str, b: int, c: int) -> None:
    FORMS[form](*problem(b, 2000)).backward()  # what libraries load and keep
    images, weight, labels = problem(b, c)
    Path("/proc/self/clear_refs").write_text("5")  # VmHWM starts anew
    before = status("VmRSS")
    FORMS[form](images, weight, labels).backward()
    print((status("VmHWM") - before) / 1024 - weight.nbytes / 2**20)


def status(name: str) -> float:
    """A line of /proc/self/status in kB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name + ":"):
            return float(line.split()[1])
    raise OSError(f"no {name} in /proc/self/status")


def cpu() -> None:
    spent = seconds(256, 100_000)
    for against in ("plain", "bare"):
        ratio = spent["tiled"] / spent[against]
        tell(Figure(f"head, B=256, C=100k: time of tiles over {against}", ratio, "x", 1.15))
    extra = {name: extra_megabytes(name, 256, 100_000) for name in FORMS}
    print("peak extra MB, B=256 C=100k: " + ", ".join(f"{k} {v:.0f}" for k, v in extra.items()))
    for against in ("plain", "bare"):
        ratio = extra["tiled"] / extra[against]
        tell(Figure(f"head, B=256, C=100k: extra memory of tiles over {against}", ratio, "x", 0.1))
    large = extra_megabytes("tiled", 512, 1_000_000)
    tell(Figure("head, B=512, C=1M: peak memory over weights and gradient", large, "MB", 300))


def gpu() -> None:
    """Milliseconds of events around a step, and of its three products alone, tile by tile."""
    for c in (1_000_000, 4_000_000, 10_000_000):
        images, weight, labels = problem(1024, c, "cuda")
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()

        whole = milliseconds(partial(step, images, weight, labels))
        extra = (torch.cuda.max_memory_allocated() - before - weight.nbytes) / 2**20
        images.grad = weight.grad = None
        alone = milliseconds(partial(products, images.detach(), weight.detach()))
        print(f"C={c:,} B=1024: {whole:.1f} ms, products {alone / whole:.0%}, {extra:.0f} MB extra")
        del images, weight, labels


def step(images: Tensor, weight: Tensor, labels: Tensor) -> None:
    images.grad = weight.grad = None
    tiled(images, weight, labels).backward()


def products(images: Tensor, weight: Tensor) -> None:
    """The three of a step, tile by tile."""
    for tile in weight.flatten(1).split(1 << 15):
        logits = tile @ images.T
        logits.T @ tile
        logits @ images


def milliseconds(call: Callable[[], None]) -> float:
    found = []
    for _ in range(TURNS + 2):
        first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        first.record()
        call()
        last.record()
        torch.cuda.synchronize()
        found.append(first.elapsed_time(last))
    return median(found[2:])


def learned(stored: str, seed: int, c: int = 500, d: int = 32, steps: int = 600) -> str:
    """Loss and accuracy on new points of c clusters after training a linear map and prototypes."""
    g = torch.Generator().manual_seed(seed)
    centres = torch.randn(c, 64, generator=g)
    layer = nn.Parameter(torch.randn(64, d, generator=g) / 8)
    dtype = torch.float32 if stored == "fp32" else torch.bfloat16
    weight = nn.Parameter((torch.randn(c, 1, d, generator=g) * 0.01).to(dtype))
    groups = [{"params": [layer]}, {"params": [weight], "stored": stored}]
    optimizer = prototype_sgd.PrototypeSGD(groups, lr=0.1, momentum=0.9, weight_decay=5e-4)
    setting = ObjectiveSettings("cosface", 0.2)

    def draw(n: int) -> tuple[Tensor, Tensor]:
        labels = torch.randint(c, (n,), generator=g)
        return centres[labels] + 1.2 * torch.randn(n, 64, generator=g), labels

    def loss(x: Tensor, labels: Tensor) -> Tensor:
        mean = F.normalize(x @ layer, dim=1).unsqueeze(1)
        return objective(setting, mean, torch.full((len(x), 1), 24.0), labels, weight).total

    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = 0.1 * (1 - step / steps)
        optimizer.zero_grad()
        loss(*draw(128)).backward()
        optimizer.step()
    with torch.no_grad():
        x, labels = draw(4000)
        right = (x @ layer @ F.normalize(weight.float(), dim=2)[:, 0].T).argmax(1) == labels
        return f"loss {loss(x, labels):.4f}, right {float(right.float().mean()):.4f}"


def types() -> None:
    nbytes = {"fp32": 12, "bf16": 6, "bf16_master": 10, "bf16, rounded to nearest": 6}
    fairly = prototype_sgd.rounded
    for seed in range(2):
        for name, size in nbytes.items():
            if "nearest" in name:
                prototype_sgd.rounded = lambda values, dtype, noise: values.to(dtype)
            found = learned(name.split(",")[0], seed)
            prototype_sgd.rounded = fairly
            print(f"{name}, seed {seed}: {found}, {size * D / 1024:g} kB a class", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--stored", action="store_true")
    parser.add_argument("--peak", nargs=3)
    arguments = parser.parse_args()
    if arguments.peak:
        form, b, c = arguments.peak
        print_peak(form, int(b), int(c))
    elif arguments.stored:
        types()
    else:
        (gpu if arguments.device == "cuda" else cpu)()


if __name__ == "__main__":
    main()
