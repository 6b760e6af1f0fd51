"""The Triton kernels, in Triton's interpreter on the CPU, against the steps in torch."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

COMPARE = """
import torch
from urface.losses import tile_kernels, tile_steps

g = torch.Generator().manual_seed(0)
for classes, images, limited in ((1, 1, False), (70, 33, True), (1300, 33, False)):
    found = []
    wide = torch.randn(classes, images + 3, generator=g) * 30
    place = torch.randint(-5, classes + 5, (images,), generator=g)
    limit = torch.full((images,), 20.0) if limited else None
    for steps in (tile_steps, tile_kernels):
        logits, peak = wide.clone()[:, :images], torch.full((images,), -50.0)
        total = torch.ones(images, dtype=torch.float64)
        steps.exponentials(logits, place, limit, peak, total)
        found.append((logits, peak, total))
    torch.testing.assert_close(*found, rtol=1e-5, atol=1e-7)

weight = torch.randn(9, 3, 5, generator=g)
weight[4, 1] = 0.0
unit = torch.empty_like(weight)
inverse = tile_steps.unit(weight, unit)
grad = torch.randn(9, 3, 5, generator=g)
found = []
for steps in (tile_steps, tile_kernels):
    copy = grad.clone()
    steps.through_norm(copy, unit, inverse, torch.empty_like(unit))
    found.append(copy)
torch.testing.assert_close(*found, rtol=1e-5, atol=1e-6)
print("equal")
"""


@pytest.mark.skipif(find_spec("triton") is None, reason="triton is not installed")
def test_kernels_do_what_the_steps_in_torch_do(tmp_path: Path) -> None:
    # In a process of its own: the interpreter is chosen when triton is imported.
    script = tmp_path / "compare.py"
    script.write_text(COMPARE)
    done = subprocess.run(
        [sys.executable, str(script)],
        env={**os.environ, "TRITON_INTERPRET": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip() == "equal", done.stderr[-2000:]
