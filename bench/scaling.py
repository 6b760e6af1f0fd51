"""The model of docs/scaling.md held against this machine: `python bench/scaling.py`, about 2 minutes.

On 1, 2 and 4 local ranks over gloo, one thread each: times collectives and the step's parts at several
sizes, fits latency and bandwidth, predicts a training step of another size that was not part of the fit,
and compares. For 2 and 4 ranks it does so twice: from the parts as measured while as many ranks do the same,
and from the rates of one rank alone, as docs/scaling.md's tables have it, where ranks beyond the cores take
turns. Nothing hides behind anything. Prints a line a figure; the target is a prediction within 25 %.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import nn
from torch.nn.functional import normalize
from torch.nn.parallel import DistributedDataParallel

from scaling_model import FLOAT, Job, Machine, Network, all_gather, count, step_time
from urface import distributed
from urface.losses.sharded import sharded_cross_entropy
from urface.models.iresnet import iresnet
from urface.models.prototypes import Prototypes

RANKS = (1, 2, 4)
BACKBONE, SIZE, DIM, PARTS = "tiny", 64, 128, 4
FIT_BATCHES, BATCH = (8, 24), 16
FIT_CLASSES, CLASSES = 4_000, 10_000
BYTES = (1 << 10, 1 << 14, 1 << 18, 1 << 21, 1 << 23)
ROUNDS, WARM_UP = 9, 2
TARGET = 0.25


@dataclass(frozen=True)
class Figure:
    """What was measured beside what the model says, in seconds."""

    name: str
    measured: float
    predicted: float

    def line(self) -> str:
        off = self.predicted / self.measured - 1
        within = "within" if abs(off) <= TARGET else "NOT within"
        return (
            f"{self.name}: measured {1e3 * self.measured:.2f} ms, predicted {1e3 * self.predicted:.2f} ms, "
            f"{off:+.0%}; {within} the target of {TARGET:.0%}"
        )


def median_seconds(work: Callable[[], object]) -> float:
    """Of ``work`` on all ranks at once; each round begins together, and the slowest rank counts."""
    taken = []
    for round_number in range(WARM_UP + ROUNDS):
        distributed.barrier()
        start = time.perf_counter()
        work()
        seconds = torch.tensor(time.perf_counter() - start, dtype=torch.float64)
        if round_number >= WARM_UP:
            taken.append(float(distributed.all_reduce_max(seconds)))
    return statistics.median(taken)


class Step:
    """A training step of this project's parts without its loader."""

    def __init__(self, batch: int, classes: int) -> None:
        torch.manual_seed(0)
        trunk = iresnet(BACKBONE, SIZE)
        self.network: nn.Module = nn.Sequential(trunk, nn.Linear(trunk.out_features, DIM))
        self.body = list(self.network.parameters())
        if distributed.world_size() > 1:
            self.network = DistributedDataParallel(self.network)
        self.prototypes = Prototypes(classes, PARTS, DIM // PARTS)
        self.images = torch.randn(batch, 3, SIZE, SIZE)
        self.labels = torch.randint(classes, (batch,))
        weights = [*self.body, *self.prototypes.parameters()]
        self.optimizer = torch.optim.SGD(weights, lr=1e-3, momentum=0.9)

    def backbone(self) -> None:
        """Forward and backward, without the exchange of gradients."""
        network = getattr(self.network, "module", self.network)
        network(self.images).sum().backward()

    def head(self) -> None:
        """The products and the cross-entropy on the images of all ranks, without any exchange."""
        images = len(self.images) * distributed.world_size()
        features = torch.randn(images, DIM, requires_grad=True)
        labels = self.prototypes.first_class + torch.zeros(images, dtype=torch.int64)
        own = self.prototypes.weight.shape[0]
        scores = 8.0 * normalize(features) @ self.prototypes().flatten(1).T
        local = labels - self.prototypes.first_class
        assert int(local.max()) < own
        # Unsharded: each rank takes its own classes for all there are, so that nothing travels.
        sharded_cross_entropy(scores, local, sharded=False).backward()

    def whole(self) -> None:
        features = distributed.gather(normalize(self.network(self.images)))
        labels = distributed.gather(self.labels)
        scores = 8.0 * features @ self.prototypes().flatten(1).T
        first = self.prototypes.first_class
        self.optimizer.zero_grad(set_to_none=True)
        sharded_cross_entropy(scores, labels, first_class=first).backward()
        self.optimizer.step()


def fit_line(sizes: list[float], seconds: list[float]) -> tuple[float, float]:
    """Latency and seconds a unit, least squares of relative errors, neither below 0."""
    from scipy.optimize import nnls

    rows = np.stack([np.ones(len(sizes)), np.asarray(sizes)], 1) / np.asarray(seconds)[:, None]
    scale = np.linalg.norm(rows, axis=0)  # their units differ by ten orders of magnitude
    (latency, slope), _ = nnls(rows / scale, np.ones(len(sizes)))
    return float(latency / scale[0]), float(slope / scale[1])


def fitted(network: Network, ranks: int) -> tuple[Machine, list[Figure]]:
    """This machine with so many ranks, and how well its lines fit what they are drawn through."""
    figures = []
    latency, bandwidth = 0.0, float("inf")
    if ranks > 1:
        sizes, seconds = [], []
        for size in BYTES:
            tensor = torch.zeros(size // FLOAT)
            sizes.append(2 * (ranks - 1) / ranks * size)
            seconds.append(median_seconds(lambda t=tensor: dist.all_reduce(t)))  # type: ignore[misc]
        start, slope = fit_line(sizes, seconds)
        rounds = max(1, int(np.ceil(np.log2(ranks))))
        latency, bandwidth = start / rounds, 1 / slope
    machine = Machine("here", 1.0, 1.0, 1.0, bandwidth, latency)
    if ranks > 1:
        size = BYTES[2]
        part = torch.zeros(size // FLOAT // ranks)
        parts = [torch.empty_like(part) for _ in range(ranks)]
        taken = median_seconds(lambda: dist.all_gather(parts, part))
        figures.append(
            Figure(f"{ranks} ranks, gather of 256 KiB", taken, all_gather(size, ranks, machine))
        )
    rates = []
    for batch in FIT_BATCHES:
        step = Step(batch, FIT_CLASSES)
        rates.append(3 * network.forward_flops * batch / median_seconds(step.backbone))
    job = Job(ranks, FIT_BATCHES[1], FIT_CLASSES, DIM, PARTS, logits_kept=True)
    products = step_time(network, job, Machine("", 1, 1, 1, 1, 0))["head"]
    head = products / median_seconds(step.head)
    step.whole()
    step.whole()
    touched = step_time(network, job, Machine("", 1, 1, 1, 1, 0))["optimiser"]
    memory = touched / median_seconds(step.optimizer.step)
    return Machine("here", statistics.mean(rates), head, memory, bandwidth, latency), figures


def on_rank(rank: int, ranks: int, meeting: str, out: str, alone: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=ranks)
    network = count(BACKBONE, SIZE, DIM)
    machine, figures = fitted(network, ranks)
    job = Job(ranks, BATCH, CLASSES, DIM, PARTS, logits_kept=True)
    parts = step_time(network, job, machine)
    # This small step neither gathers confidences nor clips, which the model counts as a few bytes.
    measured = median_seconds(Step(BATCH, CLASSES).whole)
    figures.append(Figure(f"{ranks} ranks, training step", measured, parts["total"]))
    if ranks == 1 and rank == 0:
        Path(alone).write_text(json.dumps(asdict(machine)))
    elif Path(alone).exists():
        one = Machine(**json.loads(Path(alone).read_text()))
        cores = len(os.sched_getaffinity(0))
        links = replace(one, bandwidth=machine.bandwidth, latency=machine.latency, cores=cores)
        told = f"{ranks} ranks, training step from one rank's rates on {cores} cores"
        figures.append(Figure(told, measured, step_time(network, job, links)["total"]))
    lines = [figure.line() for figure in figures]
    lines.append(
        f"  fitted: {machine.backbone_flops / 1e9:.1f} GFLOP/s in the backbone, "
        f"{machine.head_flops / 1e9:.1f} in the head, {machine.memory_bandwidth / 1e9:.1f} GB/s in the "
        f"optimiser, collectives {1e3 * machine.latency:.2f} ms a step and "
        f"{machine.bandwidth / 1e9:.2f} GB/s"
    )
    shares = ", ".join(f"{name} {1e3 * value:.2f}" for name, value in parts.items())
    lines.append(f"  predicted ms: {shares}")
    if rank == 0:
        Path(out).write_text("\n".join(lines))
    distributed.barrier()
    dist.destroy_process_group()


def measure(ranks: int, folder: Path) -> str:
    """The lines of so many ranks; what one rank measured stays in ``folder`` for the others."""
    lines = folder / f"lines{ranks}"
    arguments = (ranks, str(folder / f"meeting{ranks}"), str(lines), str(folder / "alone.json"))
    mp.spawn(on_rank, arguments, nprocs=ranks)  # type: ignore[no-untyped-call]
    return lines.read_text()


def main() -> None:
    os.environ["OMP_NUM_THREADS"] = "1"
    cores = len(os.sched_getaffinity(0))
    print(f"{cores} cores, torch {torch.__version__}, gloo, one thread a rank, medians of {ROUNDS}")
    with tempfile.TemporaryDirectory() as folder:
        for ranks in map(int, sys.argv[1:]) if sys.argv[1:] else RANKS:
            if ranks > cores:
                print(f"  {ranks} ranks share {cores} cores: their times tell of the cores as well")
            print(measure(ranks, Path(folder)), flush=True)


if __name__ == "__main__":
    main()
