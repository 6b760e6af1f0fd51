"""Our PReLU is torch's, value and both gradients."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from urface.models.prelu import PReLU

SHAPES = [
    (2, 3, 4, 5),
    (1, 1, 1, 1),
    (3, 7, 1, 1),
    (2, 16, 9, 7),
    (1, 5, 3, 1),
    (2, 1, 3, 4),
    (0, 3, 4, 4),
]
FORMATS = [torch.channels_last, torch.contiguous_format]


def case(shape: tuple[int, ...], dtype: torch.dtype, memory_format: torch.memory_format) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(*shape, generator=generator, dtype=torch.float64)
    x.view(-1)[::4] = 0.0  # the kink
    return x.to(dtype).contiguous(memory_format=memory_format)


def run(module: nn.PReLU, x: Tensor, slopes: Tensor, grad: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    module = module.to(slopes.dtype)
    with torch.no_grad():
        module.weight.copy_(slopes)
    leaf = x.clone(memory_format=torch.preserve_format).requires_grad_(True)
    out = module(leaf)
    out.backward(grad)
    assert leaf.grad is not None
    assert module.weight.grad is not None
    return out.detach(), leaf.grad, module.weight.grad


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("memory_format", FORMATS)
@pytest.mark.parametrize("grad_format", FORMATS)
def test_values_and_both_gradients_equal_torchs(shape, dtype, memory_format, grad_format) -> None:
    x = case(shape, dtype, memory_format)
    slopes = torch.linspace(-0.3, 1.4, shape[1], dtype=dtype)
    grad = case(shape, dtype, grad_format) + 0.7
    ours, theirs = (run(kind(shape[1]), x, slopes, grad) for kind in (PReLU, nn.PReLU))
    assert torch.equal(ours[0], theirs[0])
    torch.testing.assert_close(ours[1], theirs[1])
    torch.testing.assert_close(ours[2], theirs[2], rtol=1e-5, atol=1e-5)


def test_values_equal_a_loop() -> None:
    x = case((2, 3, 4, 5), torch.float64, torch.channels_last)
    module = PReLU(3).double()
    with torch.no_grad():
        module.weight.copy_(torch.tensor([0.25, -0.5, 2.0]))
    out = module(x)
    for b, c, h, w in torch.cartesian_prod(*(torch.arange(n) for n in x.shape)).tolist():
        value = x[b, c, h, w].item()
        assert out[b, c, h, w].item() == (value if value > 0 else module.weight[c].item() * value)


def test_gradcheck_passes_in_channels_last() -> None:
    x = case((2, 3, 3, 2), torch.float64, torch.channels_last)
    x = (x + 0.05 * x.sign() + 0.01 * (x == 0)).requires_grad_(True)  # off the kink
    module = PReLU(3).double()

    def with_slopes(x: Tensor, slopes: Tensor) -> Tensor:
        return torch.func.functional_call(module, {"weight": slopes}, x)

    assert torch.autograd.gradcheck(with_slopes, (x, module.weight))


def test_channels_last_is_kept_and_the_input_is_untouched() -> None:
    x = case((2, 16, 9, 7), torch.float32, torch.channels_last)
    before = x.clone()
    out = PReLU(16)(x)
    assert out.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(x, before)


@pytest.mark.parametrize("memory_format", FORMATS)
def test_bfloat16_is_close_to_float32(memory_format) -> None:
    x = case((4, 8, 16, 16), torch.bfloat16, memory_format)
    slopes = torch.linspace(-0.3, 1.0, 8)
    grad = case((4, 8, 16, 16), torch.bfloat16, memory_format)
    module = PReLU(8)
    with torch.no_grad():
        module.weight.copy_(slopes)
    leaf = x.clone().requires_grad_(True)
    out = module(leaf)
    out.backward(grad)
    exact = run(nn.PReLU(8), x.float(), slopes, grad.float())
    assert out.dtype == torch.bfloat16
    torch.testing.assert_close(out.float(), exact[0], rtol=1e-2, atol=1e-3)
    assert leaf.grad is not None
    torch.testing.assert_close(leaf.grad.float(), exact[1], rtol=1e-2, atol=1e-3)
    assert module.weight.grad is not None
    assert module.weight.grad.dtype == torch.float32
    torch.testing.assert_close(module.weight.grad, exact[2], rtol=2e-2, atol=0.5)


def test_state_dict_is_that_of_torchs() -> None:
    PReLU(5).load_state_dict(nn.PReLU(5).state_dict())
