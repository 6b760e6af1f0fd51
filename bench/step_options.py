"""What each option of a training step gains and costs on this machine: `python bench/step_options.py`.

    python bench/step_options.py [backbone] [batch]

One step (forward, CosFace over 1,000 people, backward, clip, update) with the defaults of the settings and
with one of them changed, in turns in one process. Prints a row an option: the median of the ratios of
processor time (above 1: the option is slower than the default), and how much memory the forward pass
keeps for the backward one, relative to the default. CUDA graphs and compiling for a GPU are not run here.
"""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from statistics import median

import torch
from torch import Tensor, nn

from figure import Figure, tell
from train_step import our_step, plan_of
from urface.config import TrainSettings
from urface.environment import cpu_has_bf16, environment
from urface.models.prototypes import Prototypes
from urface.models.urface import build_urface
from urface.training.optim import build_optimizer, update
from urface.training.train import prepared

TURNS, PEOPLE = 3, 1000
OPTIONS: dict[str, tuple[dict[str, object], int]] = {
    "run.precision bf16": ({"precision": "bf16"}, 1),
    "run.channels_last false": ({"channels_last": False}, 1),
    "run.fused never": ({"fused": "never"}, 1),
    "run.recompute true": ({"recompute": True}, 1),
    "run.compile default": ({"compile": "default"}, 1),
    "optim.accumulate 4": ({}, 4),
}


def kept_megabytes(plan: TrainSettings) -> float:
    """What the trunk keeps for its backward pass, of one part; parameters are not counted."""
    env = environment(plan.run)
    # Compiled graphs keep their tensors out of sight.
    plain = replace(plan.run, compile="none")
    model = prepared(build_urface(plan.model, plan.objective), plain, env).train()
    weights = {p.untyped_storage().data_ptr() for p in model.parameters()}
    kept: dict[int, int] = {}

    def note(x: Tensor) -> Tensor:
        if x.untyped_storage().data_ptr() not in weights:
            kept[x.untyped_storage().data_ptr()] = x.untyped_storage().nbytes()
        return x

    images = torch.zeros(
        plan.optim.batch_size // plan.optim.accumulate, 112, 112, 3, dtype=torch.uint8
    )
    with torch.autograd.graph.saved_tensors_hooks(note, lambda x: x), env.autocast():
        model.trunk(images)
    return sum(kept.values()) / 2**20


def milliseconds_an_update(backbone: str, kind: str, fused: bool) -> float:
    """Of the optimiser alone, over all parameters of the network and the head."""
    plan = plan_of(backbone, 16, "cpu")
    optim = replace(plan.optim, optimizer=kind)  # type: ignore[arg-type]
    model: nn.Module = build_urface(plan.model, plan.objective)
    prototypes = Prototypes(PEOPLE, 1, plan.model.embedding_dim)
    optimizer = build_optimizer(model, prototypes, optim, fused)  # type: ignore[arg-type]
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            parameter.grad = torch.ones_like(parameter)
    spent = []
    for _ in range(4):
        begun = time.process_time()
        update(optimizer)
        spent.append(time.process_time() - begun)
    return 1e3 * min(spent[1:]) / torch.get_num_threads()


def main(backbone: str = "iresnet18", batch: int = 16) -> None:
    print(
        f"{backbone}, batch {batch}, {torch.get_num_threads()} threads, torch {torch.__version__}"
    )
    default = plan_of(backbone, batch, "cpu")
    kept = kept_megabytes(default)
    print(f"default: {environment(default.run).dtype}, {kept:.0f} MB kept for the backward pass")
    reference = our_step(default, PEOPLE)
    reference()
    for name, (run, parts) in OPTIONS.items():
        if name.endswith("bf16") and not cpu_has_bf16():
            print(f"{name}: not measured, this processor multiplies no bfloat16")
            continue
        plan = plan_of(backbone, batch, "cpu", run, parts)
        step = our_step(plan, PEOPLE)
        step()  # compiles
        ratios = []
        for _ in range(TURNS):
            spent = []
            for each in (reference, step):
                begun = time.process_time()
                each()
                spent.append(time.process_time() - begun)
            ratios.append(spent[1] / spent[0])
        what = f"step with {name} over the default, {backbone}, batch {batch}"
        tell(Figure(what, median(ratios), "x", spread=(min(ratios), max(ratios))))
        if "compile" not in name:
            tell(
                Figure(
                    f"memory kept with {name} over the default", kept_megabytes(plan) / kept, "x"
                )
            )
    for kind in ("sgd", "adamw"):
        plain, fused = (milliseconds_an_update(backbone, kind, f) for f in (False, True))
        tell(Figure(f"update by {kind}, {backbone}: plain over fused", plain / fused, "x"))


if __name__ == "__main__":
    main(*sys.argv[1:2], *map(int, sys.argv[2:3]))
