"""Networks of the field written out from their definitions, one function after the other, in float64."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

BLOCKS = {
    "iresnet18": [2, 2, 2, 2],
    "iresnet34": [3, 4, 6, 3],
    "iresnet50": [3, 4, 14, 3],
    "iresnet100": [3, 13, 30, 3],
    "iresnet200": [6, 26, 60, 6],
}


def seeded_state(network: torch.nn.Module) -> dict[str, Tensor]:
    """Weights that keep values near 1 and BN statistics that differ from the fresh ones."""
    generator = torch.Generator().manual_seed(7)
    state = {}
    for name, value in network.state_dict().items():
        noise = torch.randn(value.shape, generator=generator)
        if value.dim() > 1:
            state[name] = noise / value[0].numel() ** 0.5
        elif name.endswith("running_var"):
            state[name] = 0.5 + noise.abs()
        elif name.endswith("num_batches_tracked"):
            state[name] = torch.tensor(3)
        elif "prelu" in name:
            state[name] = 0.25 + 0.1 * noise
        elif name.endswith("weight"):
            state[name] = 1.0 + 0.2 * noise
        else:
            state[name] = 0.3 * noise
    return state


def plain_forward(state: dict[str, Tensor], blocks: list[int], x: Tensor) -> Tensor:
    """The network from its definition, one function after the other, in float64."""
    p = {name: value.double() for name, value in state.items()}

    def bn(x: Tensor, name: str) -> Tensor:
        shape = (1, -1, *([1] * (x.dim() - 2)))
        mean, var, weight, bias = (
            p[f"{name}.{part}"].view(shape)
            for part in ("running_mean", "running_var", "weight", "bias")
        )
        return (x - mean) / torch.sqrt(var + 1e-5) * weight + bias

    def prelu(x: Tensor, name: str) -> Tensor:
        return torch.where(x > 0, x, x * p[f"{name}.weight"].view(1, -1, 1, 1))

    x = prelu(bn(F.conv2d(x.double(), p["conv1.weight"], padding=1), "bn1"), "prelu")
    for stage, count in enumerate(blocks, start=1):
        for block in range(count):
            name, stride = f"layer{stage}.{block}", 2 if block == 0 else 1
            out = bn(x, f"{name}.bn1")
            out = F.conv2d(out, p[f"{name}.conv1.weight"], padding=1)
            out = prelu(bn(out, f"{name}.bn2"), f"{name}.prelu")
            out = F.conv2d(out, p[f"{name}.conv2.weight"], stride=stride, padding=1)
            out = bn(out, f"{name}.bn3")
            if block == 0:
                x = F.conv2d(x, p[f"{name}.downsample.0.weight"], stride=stride)
                x = bn(x, f"{name}.downsample.1")
            x = out + x
    x = bn(x, "bn2").reshape(len(x), -1)  # NCHW order
    return bn(x @ p["fc.weight"].T + p["fc.bias"], "features")


def relative(got: Tensor, expected: Tensor) -> float:
    return float((got.double() - expected).norm() / expected.norm())


IR_BLOCKS = {"ir18": [2, 2, 2, 2], "ir50": [3, 4, 14, 3], "ir101": [3, 13, 30, 3]}
IR_WIDTHS = [64, 64, 128, 256, 512]


def ir_state(blocks: list[int], size: int, dim: int) -> dict[str, Tensor]:
    """Weights of AdaFace's IR network under its names, by the rule of its format."""
    generator = torch.Generator().manual_seed(11)
    state: dict[str, Tensor] = {}

    def noise(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator)

    def bn(name: str, channels: int, affine: bool = True) -> None:
        if affine:
            state[f"{name}.weight"] = 1.0 + 0.2 * noise(channels)
            state[f"{name}.bias"] = 0.3 * noise(channels)
        state[f"{name}.running_mean"] = 0.3 * noise(channels)
        state[f"{name}.running_var"] = 0.5 + noise(channels).abs()
        state[f"{name}.num_batches_tracked"] = torch.tensor(3)

    def kernel(name: str, into: int, out: int, side: int) -> None:
        state[f"{name}.weight"] = noise(out, into, side, side) / (into * side * side) ** 0.5

    kernel("input_layer.0", 3, 64, 3)
    bn("input_layer.1", 64)
    state["input_layer.2.weight"] = 0.25 + 0.1 * noise(64)
    unit = 0
    for stage, count in enumerate(blocks):
        for block in range(count):
            into, out = IR_WIDTHS[stage if block == 0 else stage + 1], IR_WIDTHS[stage + 1]
            name = f"body.{unit}"
            if into != out:
                kernel(f"{name}.shortcut_layer.0", into, out, 1)
                bn(f"{name}.shortcut_layer.1", out)
            bn(f"{name}.res_layer.0", into)
            kernel(f"{name}.res_layer.1", into, out, 3)
            bn(f"{name}.res_layer.2", out)
            state[f"{name}.res_layer.3.weight"] = 0.25 + 0.1 * noise(out)
            kernel(f"{name}.res_layer.4", out, out, 3)
            bn(f"{name}.res_layer.5", out)
            unit += 1
    bn("output_layer.0", 512)
    side = -(-size // 16)
    state["output_layer.3.weight"] = noise(dim, 512 * side**2) / (512 * side**2) ** 0.5
    state["output_layer.3.bias"] = 0.3 * noise(dim)
    bn("output_layer.4", dim, affine=False)
    return state


def ir_forward(state: dict[str, Tensor], blocks: list[int], x: Tensor) -> Tensor:
    """AdaFace's IR network up to its BatchNorm, whose length its authors divide by."""
    p = {name: value.double() for name, value in state.items()}

    def bn(x: Tensor, name: str) -> Tensor:
        weight, bias = p.get(f"{name}.weight"), p.get(f"{name}.bias")
        return F.batch_norm(x, p[f"{name}.running_mean"], p[f"{name}.running_var"], weight, bias)

    x = F.conv2d(x.double(), p["input_layer.0.weight"], padding=1)
    x = F.prelu(bn(x, "input_layer.1"), p["input_layer.2.weight"])
    unit = 0
    for count in blocks:
        for block in range(count):
            name, stride = f"body.{unit}", 2 if block == 0 else 1
            short = F.max_pool2d(x, 1, stride)
            if f"{name}.shortcut_layer.0.weight" in p:
                short = F.conv2d(x, p[f"{name}.shortcut_layer.0.weight"], stride=stride)
                short = bn(short, f"{name}.shortcut_layer.1")
            out = F.conv2d(bn(x, f"{name}.res_layer.0"), p[f"{name}.res_layer.1.weight"], padding=1)
            out = F.prelu(bn(out, f"{name}.res_layer.2"), p[f"{name}.res_layer.3.weight"])
            out = F.conv2d(out, p[f"{name}.res_layer.4.weight"], stride=stride, padding=1)
            x = bn(out, f"{name}.res_layer.5") + short
            unit += 1
    x = bn(x, "output_layer.0").flatten(1)
    return bn(F.linear(x, p["output_layer.3.weight"], p["output_layer.3.bias"]), "output_layer.4")
