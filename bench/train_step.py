"""A training step of an iresnet, ours against the field's plain one: `python bench/train_step.py`.

    python bench/train_step.py [--device cpu|cuda] [--backbone iresnet50] [--batch 16] [--people 10000]
                               [--turns 3] [--threads 0] [--compile none] [--peak TFLOPS]

One step is forward, CosFace over all people, backward, clip and update of network and head, without data
loading. Ours: run.precision, run.channels_last, run.fused and our modules as the settings' defaults make
them. The plain one, of torch's own modules and with the same weights: on a CPU eager float32 in NCHW; on a
GPU eager autocast in float16 with GradScaler, NCHW, as the field's trainers do. Both in turns in one
process; the figure is the median of the ratios of their times (on a CPU processor time). On a GPU also
images/s, TFLOP/s (the multiplications of convolutions and matrix products, twice, and three times for the
step) and the share of the card's peak in bfloat16 without sparsity, which --peak gives for a card that
PEAKS does not know. The part for a GPU has not been run on one.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from statistics import median

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from figure import Figure, tell
from urface.config import (
    ModelSettings,
    ObjectiveSettings,
    OptimSettings,
    RunSettings,
    TrainSettings,
)
from urface.environment import environment, take_over
from urface.models.prelu import PReLU
from urface.models.prototypes import Prototypes
from urface.models.urface import URFace, build_urface
from urface.training.optim import build_optimizer, clip_gradients, fused_for, set_rate, update
from urface.training.resume import Trained
from urface.training.step import differentiate
from urface.training.train import prepared

SCALE, MARGIN, RATE = 64.0, 0.35, 0.001
TARGETS = {"cpu": 2.5, "cuda": 1.5}
# Dense bfloat16, TFLOP/s, as their makers state them.
PEAKS = {"H200": 989.0, "H100": 989.0, "A100": 312.0, "L40S": 362.0, "L4": 121.0, "RTX 4090": 165.0}

Step = Callable[[], Tensor]


def plan_of(
    backbone: str, batch: int, device: str, run: dict[str, object] | None = None, parts: int = 1
) -> TrainSettings:
    return TrainSettings(
        model=ModelSettings(backbone, sub_embeddings=1),  # type: ignore[arg-type]
        objective=ObjectiveSettings("cosface", MARGIN),
        optim=OptimSettings(batch_size=batch, accumulate=parts),
        run=RunSettings(device=device, **(run or {})),  # type: ignore[arg-type]
    )


def batch_of(batch: int, people: int, device: torch.device) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (batch, 112, 112, 3), generator=generator, dtype=torch.uint8)
    labels = torch.randint(0, people, (batch,), generator=generator)
    return images.to(device), labels.to(device)


def our_step(plan: TrainSettings, people: int) -> Step:
    """What training.loop does between two batches."""
    env = environment(plan.run)
    torch.manual_seed(0)
    model = prepared(build_urface(plan.model, plan.objective), plan.run, env).train()
    prototypes = Prototypes(people, 1, plan.model.embedding_dim).to(env.device)
    optimizer = build_optimizer(model, prototypes, plan.optim, fused_for(plan, env.device))
    trained = Trained(model, prototypes, optimizer, None)
    images, labels = batch_of(plan.optim.batch_size, people, env.device)
    set_rate(optimizer, RATE)

    def step() -> Tensor:
        optimizer.zero_grad(set_to_none=True)
        found = differentiate(plan, model, trained, images, labels, None, env, 1.0, 0)
        clip_gradients(model.parameters(), prototypes.parameters(), plan.optim.clip)
        update(optimizer)
        return found.total

    return step


def torchs_modules(module: nn.Module) -> None:
    """Put nn.PReLU where ours is."""
    for name, child in module.named_children():
        if isinstance(child, PReLU):
            plain = nn.PReLU(child.num_parameters)
            plain.load_state_dict(child.state_dict())
            setattr(module, name, plain)
        else:
            torchs_modules(child)


def plain_step(plan: TrainSettings, people: int) -> Step:
    """The same network and loss as an ordinary trainer writes them."""
    device = environment(plan.run).device
    torch.manual_seed(0)
    model: URFace = build_urface(plan.model, plan.objective)
    torchs_modules(model)
    model.to(device).train()
    head = nn.Parameter(Prototypes(people, 1, plan.model.embedding_dim).weight.detach().flatten(1))
    head = nn.Parameter(head.detach().to(device))
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD([*parameters, head], lr=RATE, momentum=0.9, weight_decay=5e-4)
    cuda = device.type == "cuda"
    scaler = torch.amp.GradScaler(device.type, enabled=cuda)
    images, labels = batch_of(plan.optim.batch_size, people, device)
    # A loader hands over normalised float32 pixels in NCHW.
    pixels = ((images.permute(0, 3, 1, 2).float() - 127.5) / 127.5).contiguous()

    def step() -> Tensor:
        with torch.autocast(device.type, torch.float16, enabled=cuda):
            embedding = model.embedding_head(model.backbone(pixels))
        cosine = F.linear(F.normalize(embedding.float()), F.normalize(head))
        target = F.one_hot(labels, people) * MARGIN
        loss = F.cross_entropy(SCALE * (cosine - target), labels)
        optimizer.zero_grad()
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_([*parameters, head], plan.optim.clip)
        scaler.step(optimizer)
        scaler.update()
        return loss.detach()

    return step


def seconds(step: Step, cuda: bool, repeats: int) -> float:
    """Of one step, the mean of ``repeats``."""
    if not cuda:
        # Idle threads of torch wait in a loop, so that processor time over threads is time at work.
        begun = time.process_time()
        for _ in range(repeats):
            step()
        return (time.process_time() - begun) / repeats / torch.get_num_threads()
    torch.cuda.synchronize()
    begun = time.perf_counter()
    for _ in range(repeats):
        step()
    torch.cuda.synchronize()
    return (time.perf_counter() - begun) / repeats


def operations(backbone: str) -> float:
    """Multiplications and additions of a forward pass of one image, in the products alone."""
    model = build_urface(
        ModelSettings(backbone, sub_embeddings=1), ObjectiveSettings("cosface", 0.3)
    )  # type: ignore[arg-type]
    total = 0.0

    def count(module: nn.Module, _: object, out: Tensor) -> None:
        nonlocal total
        weight: Tensor = module.weight  # type: ignore[assignment]
        places = out.shape[2] * out.shape[3] if out.ndim == 4 else 1
        total += 2.0 * weight.numel() * places

    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.register_forward_hook(count)
    with torch.no_grad():
        model.eval()(torch.zeros(1, 112, 112, 3, dtype=torch.uint8))
    return total


def check_losses(people: int = 50) -> None:
    """The two must be the same task: their losses on a small batch in float32 are one."""
    plan = plan_of("iresnet18", 4, "cpu", {"precision": "fp32"})
    ours, plain = float(our_step(plan, people)()), float(plain_step(plan, people)())
    assert abs(ours - plain) < 1e-3 * plain, (ours, plain)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--backbone", default="")
    parser.add_argument("--batch", type=int, default=0)
    parser.add_argument("--people", type=int, default=10_000)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--peak", type=float, default=0.0)
    parser.add_argument("--compile", default="none")
    parser.add_argument("--threads", type=int, default=0, help="0: all cores")
    args = parser.parse_args()
    cuda = args.device == "cuda"
    backbone = args.backbone or ("iresnet100" if cuda else "iresnet50")
    batch = args.batch or (256 if cuda else 16)
    repeats = 20 if cuda else 1
    check_losses()
    plan = plan_of(backbone, batch, args.device, {"compile": args.compile})
    env = environment(plan.run)
    take_over(env, args.threads)
    ours, plain = our_step(plan, args.people), plain_step(plan, args.people)
    seconds(ours, cuda, 1), seconds(plain, cuda, 1)
    times = []
    for _ in range(args.turns):
        times.append((seconds(ours, cuda, repeats), seconds(plain, cuda, repeats)))
        print(f"ours {times[-1][0]:.3f} s, plain {times[-1][1]:.3f} s a step", flush=True)
    ratio = median(theirs / mine for mine, theirs in times)
    mine, theirs = (median(pair[k] for pair in times) for k in (0, 1))
    name = torch.cuda.get_device_name() if cuda else f"{torch.get_num_threads()} threads"
    kind = str(env.dtype).removeprefix("torch.")
    what = f"training step of {backbone}, batch {batch}, {name}: eager fp32 NCHW over ours ({kind})"
    spread = [theirs / mine for mine, theirs in times]
    tell(Figure(what, ratio, "x", TARGETS[args.device], "least", (min(spread), max(spread))))
    flops = 3 * operations(backbone) * batch
    peak = args.peak or next((v for k, v in PEAKS.items() if k in name), 0.0)
    for who, spent in (("ours", mine), ("plain", theirs)):
        rate = flops / spent / 1e12
        share = f", {100 * rate / peak:.0f} % of {peak:.0f}" if peak else ""
        print(f"  {who}: {batch / spent:.1f} images/s, {rate:.3f} TFLOP/s{share}")


if __name__ == "__main__":
    main()
