"""Where and how a training runs: what changes its speed, its memory and its files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from urface.types import UserError


def require(holds: bool, message: str) -> None:
    if not holds:
        raise UserError(message)


DEVICES, PRECISIONS = ("auto", "cpu", "cuda"), ("auto", "bf16", "fp32")
COMPILES = ("none", "default", "reduce-overhead", "max-autotune")
FUSES = ("auto", "always", "never")
POLICIES = ("stop", "rollback")


@dataclass
class RunSettings:
    """Where and how to run.

    out               folder for checkpoints, logs and the model
    device            auto takes a GPU where there is one
    precision         auto takes bf16 where the processor has instructions for it
    channels_last     the memory format of the convolutions; false for the ordinary one (NCHW)
    compile           the trunk by torch.compile in this mode: default, reduce-overhead (CUDA graphs) or
                      max-autotune; none runs it as it is
    fused             update a parameter in one pass over memory: always, never, or auto, which does for SGD
                      (the same bits) and on a GPU, not for AdamW on a CPU (other rounding)
    recompute         keep the inputs of the residual blocks alone and compute the rest again in the
                      backward pass: the same gradients in less memory and more time
    checkpoint_every  steps between checkpoints
    log_every         steps between lines in the log
    threads           of torch on the CPU (0: as many as there are cores)
    on_non_finite     stop: a loss or gradient that is not finite ends the run with a diagnosis. rollback:
                      besides, training goes on from the last checkpoint and leaves that step's batch out
    timeout           seconds that a rank waits for the others before it fails, and torchrun starts anew
    stop_seconds      longest time from SIGTERM to the end of the process, its checkpoint included
    """

    out: str = "runs/train"
    seed: int = 0
    device: Literal["auto", "cpu", "cuda"] = "auto"
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    channels_last: bool = True
    compile: Literal["none", "default", "reduce-overhead", "max-autotune"] = "none"
    fused: Literal["auto", "always", "never"] = "auto"
    recompute: bool = False
    checkpoint_every: int = 500
    log_every: int = 20
    threads: int = 0
    on_non_finite: Literal["stop", "rollback"] = "stop"
    timeout: float = 600.0
    stop_seconds: float = 30.0

    def __post_init__(self) -> None:
        require(self.checkpoint_every >= 1, "run.checkpoint_every must be at least 1")
        require(self.log_every >= 1, "run.log_every must be at least 1")
        require(self.threads >= 0, f"run.threads must not be negative, got {self.threads}")
        for name in ("timeout", "stop_seconds"):
            seconds = getattr(self, name)
            require(0 < seconds < float("inf"), f"run.{name} must be above 0 and finite")
        for name, known in (
            ("device", DEVICES),
            ("precision", PRECISIONS),
            ("compile", COMPILES),
            ("fused", FUSES),
            ("on_non_finite", POLICIES),
        ):
            value = getattr(self, name)
            require(value in known, f"run.{name} must be one of {', '.join(known)}, got {value!r}")
        require(
            not self.recompute or self.compile == "none",
            "run.recompute does not go with run.compile, which chooses itself what to compute again: set "
            "one of them",
        )
