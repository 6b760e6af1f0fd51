"""AdaFace's IR networks (Kim, Jain and Liu, CVPR 2022): what they compute, in iresnet's terms.

An IR network of BasicBlockIR units is an iresnet but for one thing: where a unit does not widen (the first
of all), its shortcut takes every second pixel instead of convolving. A 1 x 1 convolution with the
identity and a BatchNorm that changes nothing do the same, so one network serves both families, and
all that works on an iresnet works on these.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from urface.models.iresnet import DEPTHS
from urface.types import UserError

# Their names for the depths, ours for the same numbers of blocks.
IR_DEPTHS = {"ir18": "iresnet18", "ir34": "iresnet34", "ir50": "iresnet50", "ir101": "iresnet100"}
STEM = {"input_layer.0": "conv1", "input_layer.1": "bn1", "input_layer.2": "prelu"}
TAIL = {"output_layer.0": "bn2", "output_layer.3": "fc", "output_layer.4": "features"}
UNIT = ("bn1", "conv1", "bn2", "prelu", "conv2", "bn3")  # res_layer.0 to .5
EPSILON = 1e-5  # of torch's BatchNorm


def is_adaface(state: Mapping[str, Tensor]) -> bool:
    """Whether these are the names of an IR network."""
    return "input_layer.0.weight" in state and "output_layer.3.weight" in state


def in_iresnet_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state dict of the iresnet that computes what the IR network with ``state`` computes.

    Raises UserError where its number of units is of no known depth or a name is not of such a network.
    """
    units = 1 + max((int(key.split(".")[1]) for key in state if _unit(key)), default=-1)
    depths = {sum(DEPTHS[name]): DEPTHS[name] for name in IR_DEPTHS.values()}
    if units not in depths:
        raise UserError(
            f"an IR network of {units} units: known are those of {sorted(depths)} (IR-18, 34, 50, 101)"
        )
    places = [f"layer{s}.{b}" for s, n in enumerate(depths[units], start=1) for b in range(n)]
    named: dict[str, Tensor] = {}
    for key, value in state.items():
        if _unit(key):
            _, number, part, index, leaf = key.split(".")
            block = places[int(number)]
            if part == "res_layer" and int(index) < len(UNIT):
                named[f"{block}.{UNIT[int(index)]}.{leaf}"] = value
                continue
            if part == "shortcut_layer":
                named[f"{block}.downsample.{index}.{leaf}"] = value
                continue
        else:
            module, _, leaf = key.rpartition(".")
            name = STEM.get(module) or TAIL.get(module)
            if name is not None:
                named[f"{name}.{leaf}"] = value
                continue
        raise UserError(f"{key} is no part of an IR network of BasicBlockIR units")
    for stage in (1, 2, 3, 4):
        first = f"layer{stage}.0"
        kernel = named.get(f"{first}.conv2.weight")
        if f"{first}.downsample.0.weight" not in named and kernel is not None:
            named |= _every_second_pixel(f"{first}.downsample", kernel)
    # Their last BatchNorm has no weight and bias; ours are fixed at what changes nothing.
    mean = named.get("features.running_mean")
    if mean is not None and "features.weight" not in named:
        named["features.weight"], named["features.bias"] = (
            torch.ones_like(mean),
            torch.zeros_like(mean),
        )
    return named


def _unit(key: str) -> bool:
    return re.fullmatch(r"body\.\d{1,4}\.(res|shortcut)_layer\.\d\.\w+", key) is not None


def _every_second_pixel(prefix: str, like: Tensor) -> dict[str, Tensor]:
    """A convolution and a BatchNorm that leave [B, C, H, W] as it is, C that of the kernel ``like``."""
    channels = like.shape[0]
    ones, zeros = like.new_ones(channels, dtype=torch.float32), like.new_zeros(channels)
    return {
        f"{prefix}.0.weight": torch.eye(channels)[:, :, None, None],
        f"{prefix}.1.weight": ones * (1.0 + EPSILON) ** 0.5,
        f"{prefix}.1.bias": zeros,
        f"{prefix}.1.running_mean": zeros.clone(),
        f"{prefix}.1.running_var": ones,
        f"{prefix}.1.num_batches_tracked": torch.tensor(0),
    }
