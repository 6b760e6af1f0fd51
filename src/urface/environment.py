"""What this process runs on."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from urface import distributed
from urface.config import RunSettings
from urface.memory import keep_freed_memory
from urface.types import UserError

Network = TypeVar("Network", bound=nn.Module)


@dataclass(frozen=True)
class Environment:
    """device, and the type that autocast computes in (float32: no autocast)."""

    device: torch.device
    dtype: torch.dtype

    def tensor(self, array: np.ndarray) -> Tensor:
        """``array`` on the device; the caller does not wait until it is there."""
        tensor = torch.from_numpy(array)
        if self.device.type == "cuda":
            tensor = tensor.pin_memory()  # from other memory the copy would be waited for
        return tensor.to(self.device, non_blocking=True)

    def autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, self.dtype, enabled=self.dtype is not torch.float32)


def environment(settings: RunSettings) -> Environment:
    """Choose device and precision as the settings ask, and change nothing in this process.

    Raises UserError where a GPU is asked for in vain.
    """
    if settings.device == "cuda" and not torch.cuda.is_available():
        raise UserError("run.device is cuda, but torch finds no GPU: set it to cpu or auto")
    cuda = settings.device == "cuda" or (settings.device == "auto" and torch.cuda.is_available())
    device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")) if cuda else 0)
    if not cuda:
        device = torch.device("cpu")
    if settings.precision == "auto":
        bf16 = torch.cuda.is_bf16_supported() if cuda else cpu_has_bf16()
    else:
        bf16 = settings.precision == "bf16"
    return Environment(device, torch.bfloat16 if bf16 else torch.float32)


def take_over(env: Environment, threads: int) -> None:
    """Give this whole process its GPU or its threads (0: this rank's share of the cores), and its memory.

    For training, whose process is its own; embedding leaves a caller's process as it is.
    """
    if env.device.type == "cuda":
        torch.cuda.set_device(env.device)
    else:
        keep_freed_memory(large_too=True)
        torch.set_num_threads(threads or max(1, _cores() // local_ranks()))


def placed(module: Network, device: torch.device, channels_last: bool = True) -> Network:
    """``module`` on ``device``, in channels_last unless told otherwise: what convolutions run fastest in."""
    module.to(device)
    if not channels_last:
        return module
    # torch's signatures leave out the keyword that its documentation gives.
    return module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def cpu_has_bf16() -> bool:
    """Whether this processor multiplies bfloat16 in hardware; emulated it would be slower than float32."""
    return bool(torch.cpu._is_avx512_bf16_supported())


def local_ranks() -> int:
    """Processes that torchrun started on this machine, 1 without it."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", "1"))


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def machine() -> dict[str, str | int]:
    """What a report says of the machine; no name, no user."""
    if torch.cuda.is_available():
        accelerator = torch.cuda.get_device_name()
    else:
        accelerator = "none"
    return {
        "processor": _processor(),
        "cores": _cores(),
        "accelerator": accelerator,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "ranks": distributed.world_size(),
    }


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            for line in file:
                if line.startswith("model name"):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.machine()
