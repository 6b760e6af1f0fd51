"""Step time, communication and memory of training on many GPUs: a model, printed as tables.

    python bench/scaling_model.py

docs/scaling.md explains it. Every constant of a GPU is published or assumed, none measured: see Machine.
All bytes are bytes, all times seconds, all rates per second.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from urface.models.iresnet import iresnet

FLOAT = 4  # bytes of float32
LABEL = 8  # bytes of int64


@dataclass(frozen=True)
class Network:
    """A backbone with its embedding layer: what one image costs.

    forward_flops  multiplications and additions of a forward pass
    parameters     of which every rank holds a copy
    activations    numbers kept for the backward pass
    """

    name: str
    forward_flops: float
    parameters: int
    activations: int


@dataclass(frozen=True)
class Machine:
    """One rank's share of the hardware.

    backbone_flops, head_flops  what is achieved in convolutions and in the head's products
    memory_bandwidth            of the optimiser's passes over the weights
    bandwidth                   of a collective's ring, each way, the slowest link counting
    latency                     of one step of a collective
    memory                      of one GPU
    overlap                     share of the backward pass behind which gradients can travel
    cores                       that the ranks share, each computing on one; 0: each has its own
    """

    name: str
    backbone_flops: float
    head_flops: float
    memory_bandwidth: float
    bandwidth: float
    latency: float
    memory: float = math.inf
    overlap: float = 0.0
    cores: int = 0


@dataclass(frozen=True)
class Job:
    """ranks R, images B of each a step, identities C over all ranks, dim = K * D, parts = K.

    sampled        share of its classes that a rank takes in a step (Partial FC)
    logits_kept    whether [B * R, S] logits are held; the tiled head holds ``tile`` classes of them, and
                   those of ``dim`` images in the memory of the gradient
    momentum_bytes 4, or 2 for bfloat16
    """

    ranks: int
    batch: int
    classes: int
    dim: int = 512
    parts: int = 16
    sampled: float = 1.0
    logits_kept: bool = False
    tile: int = 4096
    momentum_bytes: int = 4

    @property
    def own_classes(self) -> int:
        """S of the rank with most."""
        return -(-self.classes // self.ranks)

    @property
    def products(self) -> float:
        """Of the size of the logits: forward, two gradients, and again what the tiled head did not keep."""
        if self.logits_kept:
            return 3.0
        return 3.0 + max(0.0, 1.0 - self.dim / (self.batch * self.ranks))


def count(name: str, input_size: int = 112, dim: int = 512) -> Network:
    """The network ``name``, counted module by module on one image that is not computed (device meta)."""
    with torch.device("meta"):
        trunk = iresnet(name, input_size)
        network = nn.Sequential(trunk, nn.Linear(trunk.out_features, dim), nn.BatchNorm1d(dim))
    flops = kept = 0

    def hook(module: nn.Module, inputs: tuple[torch.Tensor, ...], out: torch.Tensor) -> None:
        nonlocal flops, kept
        kept += out.numel()
        if isinstance(module, nn.Conv2d):
            flops += 2 * out.numel() * module.weight[0].numel()
        elif isinstance(module, nn.Linear):
            flops += 2 * out.numel() * module.in_features

    for module in network.modules():
        if not list(module.children()):
            module.register_forward_hook(hook)
    network.eval()
    with torch.inference_mode():
        network(torch.empty(1, 3, input_size, input_size, device="meta"))
    parameters = sum(parameter.numel() for parameter in network.parameters())
    return Network(name, float(flops), parameters, kept)


def all_reduce(size: float, ranks: int, machine: Machine) -> float:
    """Each byte goes round the ring twice but for one rank's share; small ones cost their steps."""
    if ranks == 1:
        return 0.0
    return 2 * (ranks - 1) / ranks * size / machine.bandwidth + _steps(ranks) * machine.latency


def all_gather(size: float, ranks: int, machine: Machine) -> float:
    """``size`` bytes of all ranks together."""
    if ranks == 1:
        return 0.0
    return (ranks - 1) / ranks * size / machine.bandwidth + _steps(ranks) * machine.latency


def _steps(ranks: int) -> int:
    """Of a tree; rings of many ranks are not used for small messages."""
    return max(1, math.ceil(math.log2(ranks)))


def step_time(network: Network, job: Job, machine: Machine) -> dict[str, float]:
    """Seconds of each part of a training step, and ``total``; gradients hide behind the backward pass."""
    images = job.batch * job.ranks
    own = job.own_classes * job.sampled
    row = FLOAT * (job.dim + job.parts)
    # Ranks beyond the cores wait for each other's turn. What travels was measured among as many ranks.
    turns = max(1.0, job.ranks / machine.cores) if machine.cores else 1.0
    backbone = turns * 3 * network.forward_flops * job.batch / machine.backbone_flops
    gradients = all_reduce(FLOAT * network.parameters, job.ranks, machine)
    # Weight read and written, gradient read, momentum read and written.
    touched = 3 * FLOAT + 2 * job.momentum_bytes
    times = {
        "backbone": backbone,
        "head": turns * 2.0 * job.products * images * own * job.dim / machine.head_flops,
        "optimiser": turns
        * touched
        * (network.parameters + own * job.dim)
        / machine.memory_bandwidth,
        # Embeddings, confidences and labels; backward sums the gradient over all ranks.
        "gather": all_gather(images * (row + LABEL), job.ranks, machine)
        + all_reduce(images * row, job.ranks, machine),
        # [B] maxima, then [3, B] sums; and the norm of the gradient.
        "reductions": all_reduce(FLOAT * images, job.ranks, machine)
        + all_reduce(3 * FLOAT * images, job.ranks, machine)
        + all_reduce(FLOAT, job.ranks, machine),
        "gradients": max(0.0, gradients - machine.overlap * backbone * 2 / 3),
    }
    return times | {"total": sum(times.values())}


def memory(network: Network, job: Job, activation_bytes: int = 2) -> dict[str, float]:
    """Bytes on one GPU, and ``total``: float32 master weights, gradients and momentum."""
    own = job.own_classes * job.dim
    images = job.batch * job.ranks
    wide = job.own_classes * job.sampled if job.logits_kept else min(job.tile, job.own_classes)
    parts = {
        "backbone": 4.0 * FLOAT * network.parameters,  # the fourth: buckets of the all-reduce
        "activations": float(activation_bytes * network.activations * job.batch),
        "prototypes": own * (FLOAT + job.momentum_bytes) + own * job.sampled * FLOAT,
        "logits": 2.0 * FLOAT * images * wide,
        "gathered": 2.0 * FLOAT * images * (job.dim + job.parts),
    }
    return parts | {"total": sum(parts.values())}


# NVIDIA's data sheets: H100 SXM 989 TFLOP/s dense bf16, 3.35 TB/s, 80 GB, NVLink 450 GB/s each way; H200 the
# same with 4.8 TB/s and 141 GB; DGX H100 eight 400 Gb/s network ports a node, 400 GB/s in sum, which rings
# over all eight ports share. Assumed: 35 % of the peak in convolutions, 60 % in the head's products, 75 % of
# memory and links, 15 us a step of a collective, half of the backward pass covers the gradients' way.
PEAK, CONVOLUTIONS, PRODUCTS, REACHED = 989e12, 0.35, 0.60, 0.75


def gpu(name: str, ranks: int) -> Machine:
    """``name`` H100 or H200, in nodes of eight. Published and assumed, not measured."""
    bandwidth, room = {"H100": (3.35e12, 80e9), "H200": (4.8e12, 141e9)}[name]
    link = 450e9 if ranks <= 8 else 400e9
    return Machine(
        name,
        PEAK * CONVOLUTIONS,
        PEAK * PRODUCTS,
        REACHED * bandwidth,
        REACHED * link,
        15e-6,
        room,
        0.5,
    )


def table(network: Network, name: str, jobs: Sequence[Job]) -> list[str]:
    """A Markdown table, a line a job."""
    lines = [
        "| GPUs | identities | sampled | step ms | backbone | head | optimiser | gather "
        "| reductions | gradients | images/s | memory GB | fits |",
        "|" + "---:|" * 13,
    ]
    for job in jobs:
        machine = gpu(name, job.ranks)
        times, needed = step_time(network, job, machine), memory(network, job)["total"]
        cells = [f"{job.ranks}", f"{job.classes / 1e6:g}M", f"{job.sampled:g}"]
        cells += [f"{1e3 * times['total']:.1f}"]
        cells += [f"{1e3 * value:.2f}" for part, value in times.items() if part != "total"]
        cells += [f"{job.ranks * job.batch / times['total']:,.0f}", f"{needed / 1e9:.1f}"]
        cells += ["yes" if needed < 0.9 * machine.memory else "no"]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def main() -> None:
    for backbone in ("iresnet50", "iresnet100"):
        network = count(backbone)
        print(
            f"\n{backbone}: {network.forward_flops / 1e9:.2f} GFLOP forward, "
            f"{network.parameters / 1e6:.1f} M parameters, {network.activations / 1e6:.1f} M numbers kept"
        )
        jobs = [
            Job(ranks, 128, int(classes), sampled=sampled)
            for ranks in (8, 64, 512)
            for classes in (1e6, 10e6, 100e6)
            for sampled in (1.0, 0.1)
        ]
        print(f"\n{backbone}, H100, 128 images a GPU\n")
        print("\n".join(table(network, "H100", jobs)))


if __name__ == "__main__":
    main()
