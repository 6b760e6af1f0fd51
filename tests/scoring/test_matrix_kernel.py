"""The Triton kernel of the likelihood matrix, in Triton's interpreter on the CPU, against float64 loops."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

COMPARE = """
import numpy as np
import torch

from scoring.loops import faces, matrix_loop
from urface.scoring.likelihood import SMALLEST_FLOAT32_VARIANCE, _by_tiles
from urface.scoring.matrix_kernel import fits, group_of, kernel_matrix

def sides(a, b):
    return [torch.as_tensor(part) for part in (a.mean, a.variance, b.mean, b.variance)]

# (N, M, K, D), the ends of the variances, and how many sums go into a product.
CASES = (
    (1, 1, 1, 1, (0.5, 1.0), 1),
    (5, 7, 3, 5, (0.05, 2.0), 2),
    (70, 33, 16, 32, (1e-3, 1e-1), 8),
    (3, 130, 4, 20, (1e-4, 1.1e-4), 4),
    (4, 4, 16, 8, (1e20, 1e29), 1),
)
for n, m, k, d, span, group in CASES:
    a, b = faces(n, k, d, 1, span), faces(m, k, d, 2, span)
    b.mean[0], b.variance[0] = a.mean[0], a.variance[0]
    assert fits(*sides(a, b)[1::2], SMALLEST_FLOAT32_VARIANCE)
    assert group_of(*sides(a, b)[1::2], k) == group, (n, m, k, d)
    found = kernel_matrix(*sides(a, b)).numpy()
    exact = matrix_loop(a, b)
    assert found.shape == (n, m) and found.dtype == np.float32
    off = np.abs(found - exact) / np.maximum(1e-2, 1e-6 * np.abs(exact))
    assert off.max() <= 1, (n, m, k, d, off.max())

a, b = faces(3, 4, 8, 1), faces(9, 4, 8, 2)
whole = kernel_matrix(*sides(a, b))
a.mean[1] = np.nan
found = kernel_matrix(*sides(a, b))
assert found[1].isnan().all()
assert torch.equal(found[[0, 2]], whole[[0, 2]])
torch.testing.assert_close(found, _by_tiles(*sides(a, b)), equal_nan=True, rtol=1e-5, atol=1e-4)

one = torch.full((2, 4), 0.1)
assert not fits(one[:0], one, 1e-4) and not fits(one, one * 1e-4, 1e-4) and not fits(one, one * 1e32, 1e-4)
assert kernel_matrix(*sides(a[:0], b)).shape == (0, 9)

# The control: one product of all sixteen sums leaves float32.
tiny = faces(2, 16, 8, 1, (1e-4, 1.1e-4))
assert np.prod(2 * tiny.variance[0], dtype=np.float32) == 0.0
print("equal")
"""


@pytest.mark.skipif(find_spec("triton") is None, reason="triton is not installed")
def test_the_kernel_gives_the_scores_of_a_loop_in_float64(tmp_path: Path) -> None:
    # In a process of its own: the interpreter is chosen when triton is imported.
    script = tmp_path / "compare.py"
    script.write_text(COMPARE)
    paths = [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    done = subprocess.run(
        [sys.executable, str(script)],
        env={
            **os.environ,
            "TRITON_INTERPRET": "1",
            "PYTHONPATH": os.pathsep.join(path for path in paths if path),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip() == "equal", done.stderr[-2000:]
