"""The likelihood matrix on a GPU: products, fractions and logarithms of a block of pairs in one program.

    score(i, j) = -1/2 [ sum_k d_k / t_k + D sum_groups log prod t_k ],  t_k = v_i^k + v_j^k

In torch each sub-embedding writes and reads a tile of N x M three times; here a pair leaves the registers
once, as its score. Written in Triton and run so far in its interpreter only, never on a GPU.
"""

# mypy: disable-error-code="no-untyped-def"
from __future__ import annotations

import math

import torch
import triton
import triton.language as tl
from torch import Tensor

ROWS, COLUMNS = 64, 64  # pairs of a program
BITS = 100  # that a product of sums may take of float32's exponent, which ends at 2^-126 and 2^127
LARGEST = 1e30  # of a variance
SMALLEST_SIDE = 16  # of a matrix that tensor cores multiply


@triton.jit
def _scores(
    a, av, b, bv, out, rows, columns, parts, dim,
    GROUP: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr, SIZE: tl.constexpr,
):  # fmt: skip
    # One axis of programs: the second one of CUDA ends at 65,535.
    across = tl.cdiv(columns, COLUMNS)
    i = (tl.program_id(0) // across).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    j = (tl.program_id(0) % across).to(tl.int64) * COLUMNS + tl.arange(0, COLUMNS)
    d = tl.arange(0, SIZE)
    fractions = tl.zeros((ROWS, COLUMNS), dtype=tl.float32)
    logs = tl.zeros((ROWS, COLUMNS), dtype=tl.float32)
    for first in range(0, parts, GROUP):
        product = tl.full((ROWS, COLUMNS), 1.0, dtype=tl.float32)
        for k in range(first, min(first + GROUP, parts)):
            own, other = i * parts + k, j * parts + k
            left = tl.load(
                a + own[:, None] * dim + d[None, :],
                mask=(i < rows)[:, None] & (d < dim)[None, :], other=0.0,
            )  # fmt: skip
            right = tl.load(
                b + other[:, None] * dim + d[None, :],
                mask=(j < columns)[:, None] & (d < dim)[None, :], other=0.0,
            )  # fmt: skip
            squares = tl.sum(left * left, 1)[:, None] + tl.sum(right * right, 1)[None, :]
            # Three products in TF32 are as good as one in float32: a single one is off by 2^-11.
            cosine = tl.dot(left, tl.trans(right), input_precision="tf32x3")
            distance = tl.maximum(squares - 2.0 * cosine, 0.0, propagate_nan=tl.PropagateNan.ALL)
            spread = (
                tl.load(av + own, mask=i < rows, other=1.0)[:, None]
                + tl.load(bv + other, mask=j < columns, other=1.0)[None, :]
            )
            fractions += distance / spread
            product *= spread
        logs += tl.log(product)
    where = out + i[:, None] * columns + j[None, :]
    inside = (i < rows)[:, None] & (j < columns)[None, :]
    tl.store(where, -0.5 * (fractions + dim * logs), mask=inside)


def kernel_matrix(a_NKD: Tensor, av_NK: Tensor, b_MKD: Tensor, bv_MK: Tensor) -> Tensor:
    """Scores of all pairs, [N, M] float32, of float32 tensors; no gradient, nothing beside the result.

    For variances that float32 can do (``likelihood.SMALLEST_FLOAT32_VARIANCE``); a face of NaN scores NaN.
    """
    a, av, b, bv = (part.detach().contiguous() for part in (a_NKD, av_NK, b_MKD, bv_MK))
    count, parts, dim = a.shape
    out = torch.empty(count, len(b), dtype=torch.float32, device=a.device)
    if out.numel():
        blocks = triton.cdiv(count, ROWS) * triton.cdiv(len(b), COLUMNS)
        _scores[(blocks,)](
            a, av, b, bv, out, count, len(b), parts, dim, GROUP=group_of(av, bv, parts),
            ROWS=ROWS, COLUMNS=COLUMNS, SIZE=triton.next_power_of_2(max(dim, SMALLEST_SIDE)),
        )  # fmt: skip
    return out


def fits(av_NK: Tensor, bv_MK: Tensor, smallest: float) -> bool:
    """Whether there are pairs, and no variance is below ``smallest`` or too large for float32."""
    if not (av_NK.numel() and bv_MK.numel()):
        return False
    low, high = _ends(av_NK, bv_MK)
    return low >= smallest and high <= LARGEST


def group_of(av_NK: Tensor, bv_MK: Tensor, parts: int) -> int:
    """How many sums of two variances one float32 holds the product of: a power of 2, so that few kernels are
    compiled."""
    largest = max(1.0, *(abs(math.log2(2 * end)) for end in _ends(av_NK, bv_MK)))
    return 1 << int(math.log2(max(1.0, min(BITS / largest, parts))))


def _ends(av_NK: Tensor, bv_MK: Tensor) -> tuple[float, float]:
    """The smallest and the largest variance; the device is waited for once."""
    ends = torch.stack([part for spread in (av_NK, bv_MK) for part in spread.aminmax()])
    return float(ends.min()), float(ends.max())
