"""The likelihood matrix on a CPU at about the price of a matrix product.

    score(i, j) = -1/2 [ sum_k d_k / t_k + D log prod_k t_k ]
    d_k = ||f_i^k - f_j^k||^2,  t_k = v_i^k + v_j^k

By tiles: K small products give d_k = ||f_i||^2 + ||f_j||^2 - 2 f_i f_j, and one pass over them the score.
The pass keeps the sum of fractions as one fraction, n / p <- (n t_k + d_k p) / (p t_k), so that a pair takes
one division and one logarithm, both of what it has already: p is the product of all t_k. Numerator and
product are float64; before they could leave its range (``sum_factors``) a part is closed and the next begun.

2 - 2 cos in float32 loses the digits of nearly equal faces. ``doubt`` bounds what that costs a pair; where
it is more than the score may be off, the pair is taken again with differences before squares, as in pairs.py.
"""

from __future__ import annotations

import math
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
import torch
from numba import njit
from torch import Tensor

from urface.scoring.pairs import REORDER, one_likelihood, sum_factors

ROWS, COLUMNS = 256, 256  # of a tile: its K products lie in the last cache (4 MB at K = 16)
ALLOWED = 0.005  # how far a score may be off before its pair is taken again
HELD = (
    2.0**-20
)  # or as a share of the score: of faces less alike DOT_ERROR is less, and float32 holds no more
DOT_ERROR = 2.0**-21  # of -2 f_i f_j in float32, for equal vectors of unit length and 32 dimensions

HALF_BITS = 1022.5  # of float64's exponent, less 1/2: mantissas are taken around the root of 2
SHIFT = 4503599627370496.0  # 2^52: or-ed into the mantissa's bits, a small whole number becomes a float64
ROOT2, LOG2 = math.sqrt(2.0), math.log(2.0)


class Side(NamedTuple):
    """Faces of one side of the matrix.

    rows     [N, K * D]  float32 means
    spread   [N, K]      float32 variances
    squares  [N, K]      float64 ||f||^2
    doubt    [N]         sum_k of the error of a distance over v_k
    """

    rows: np.ndarray
    spread: np.ndarray
    squares: np.ndarray
    doubt: np.ndarray


def fused_matrix(a_NKD: Tensor, av_NK: Tensor, b_MKD: Tensor, bv_MK: Tensor) -> Tensor:
    """Scores of all pairs, [N, M] float32, of float32 tensors on the CPU; no gradient.

    Uses torch's number of threads. Working memory beside the result: the products of a tile,
    K x ROWS x COLUMNS float32, and some numbers a face and sub-embedding. Variances are above 0 and finite;
    a face of NaN scores NaN with every other.
    """
    a, b = a_NKD.detach().contiguous(), b_MKD.detach().contiguous()
    parts, dim = a.shape[1:]
    left, right = _side(a, av_NK), _side(b, bv_MK)
    out = np.empty((len(a), len(b)), np.float32)
    if not out.size:
        return torch.from_numpy(out)
    group = _factors(left.spread, right.spread)
    products = torch.from_numpy(
        np.empty(parts * min(ROWS, len(a)) * min(COLUMNS, len(b)), np.float32)
    )
    workers = torch.get_num_threads()
    with ThreadPoolExecutor(workers) as pool:
        for start in range(0, len(b), COLUMNS):
            # Laid out for the product, once for all rows.
            across = b[start : start + COLUMNS].mul(-2.0).permute(1, 2, 0).contiguous()
            turned = _turned(right, slice(start, start + COLUMNS))
            for top in range(0, len(a), ROWS):
                along = a[top : top + ROWS].permute(1, 0, 2)
                shape = (parts, along.shape[1], across.shape[2])
                tile = products[: math.prod(shape)].view(shape)
                torch.bmm(along, across, out=tile)
                _in_threads(
                    pool,
                    workers,
                    tile.numpy(),
                    (*left, *right, *turned, dim, dot_error(dim), group, top, start, out),
                )
    return torch.from_numpy(out)


def _in_threads(pool: Executor, workers: int, tile: np.ndarray, rest: tuple[Any, ...]) -> None:
    """The pass over the rows of a tile, shared among threads."""
    share = -(-tile.shape[1] // workers)
    if workers == 1:
        _fill(tile, 0, share, *rest)
        return
    list(pool.map(lambda first: _fill(tile, first, share, *rest), range(0, tile.shape[1], share)))


def _turned(side: Side, columns: slice) -> tuple[np.ndarray, np.ndarray]:
    """Variances and squares of some columns as the pass reads them, [K, m] float64."""
    variance = np.ascontiguousarray(side.spread[columns].T, np.float64)
    return variance, np.ascontiguousarray(side.squares[columns].T)


def _side(mean: Tensor, variance: Tensor) -> Side:
    count, parts, dim = mean.shape
    rows = mean.numpy().reshape(count, parts * dim)
    spread = np.ascontiguousarray(variance.detach().numpy(), np.float32)
    squares = np.empty((count, parts))
    with np.errstate(all="ignore"):
        for first in range(0, count, ROWS):
            part = mean[first : first + ROWS].numpy()
            squares[first : first + ROWS] = np.einsum("bkd,bkd->bk", part, part, dtype=np.float64)
        doubt = dot_error(dim) * (1.0 / spread.astype(np.float64)).sum(1)
    return Side(rows, spread, squares, doubt)


def dot_error(dim: int) -> float:
    """How far a distance of two nearly equal faces may be off."""
    return DOT_ERROR * math.sqrt(dim / 32)


def _factors(a: np.ndarray, b: np.ndarray) -> int:
    ends = np.array([end for spread in (a, b) for end in (spread.min(), spread.max())])
    return sum_factors(ends, np.ones(len(ends), bool))


@njit(cache=True, nogil=True, fastmath=REORDER, error_model="numpy")
def _fill(
    products: np.ndarray,
    first_row: int,
    share: int,
    a_rows: np.ndarray,
    a_spread: np.ndarray,
    a_squares: np.ndarray,
    a_doubt: np.ndarray,
    b_rows: np.ndarray,
    b_spread: np.ndarray,
    b_squares: np.ndarray,
    b_doubt: np.ndarray,
    turned_spread: np.ndarray,
    turned_squares: np.ndarray,
    dim: int,
    error: float,
    group: int,
    top: int,
    start: int,
    out: np.ndarray,
) -> None:
    """``share`` rows of a tile, whose corner is [top, start] of ``out`` [N, M]; ``products`` [K, n, m] hold
    -2 f_i f_j. Whole arrays and offsets, not slices: numba would compile anew for each layout of memory.
    Short loops over few arrays: LLVM leaves a loop out of the vector units that needs more than eight
    checks whether two arrays overlap."""
    parts, count, width = products.shape
    numerator, product = np.empty(width), np.empty(width)
    fractions, logarithms, doubts = np.empty(width), np.empty(width), np.empty(width)
    bits = product.view(np.int64)
    mantissa_bits, exponent_bits = np.empty(width, np.int64), np.empty(width, np.int64)
    mantissa, exponent = mantissa_bits.view(np.float64), exponent_bits.view(np.float64)
    largest = b_doubt[start : start + width].max()
    for row in range(first_row, min(first_row + share, count)):
        i = top + row
        fractions[:] = 0.0
        logarithms[:] = 0.0
        for first in range(0, parts, group):
            numerator[:] = 0.0
            product[:] = 1.0
            for k in range(first, min(first + group, parts)):
                variance, square = np.float64(a_spread[i, k]), a_squares[i, k]
                others, squares, plane = turned_spread[k], turned_squares[k], products[k, row]
                for j in range(width):
                    total = variance + others[j]
                    distance = (square + squares[j]) + plane[j]
                    numerator[j] = numerator[j] * total + distance * product[j]
                    product[j] *= total
            for j in range(width):
                fractions[j] += numerator[j] / product[j]
            # log(2^e m) = e log 2 + log m, log m = 2 atanh((m - r) / (m + r)) + log r with r the root of 2:
            # within 1e-9. In plain operations, since math.log would leave the vector units.
            for j in range(width):
                mantissa_bits[j] = (bits[j] & 0x000FFFFFFFFFFFFF) | 0x3FF0000000000000
                exponent_bits[j] = (bits[j] >> 52) | 0x4330000000000000
            for j in range(width):
                power = (exponent[j] - SHIFT) - HALF_BITS
                s = (mantissa[j] - ROOT2) / (mantissa[j] + ROOT2)
                z = s * s
                series = 1 + z * (1 / 3 + z * (1 / 5 + z * (1 / 7 + z * (1 / 9))))
                logarithms[j] += power * LOG2 + 2 * s * series
        scores = out[i, start : start + width]
        for j in range(width):
            scores[j] = -0.5 * (fractions[j] + dim * logarithms[j])
        mine = a_doubt[i]
        # 1 / (v + w) is at most 1 / v, 1 / w and a quarter of their sum.
        if min(mine, largest, 0.25 * (mine + largest)) <= 2 * ALLOWED:
            continue
        # sum_k error / t_k, only for the rows where a look at the variances could not rule it out.
        for j in range(width):
            doubts[j] = 0.0
        for k in range(parts):
            variance = np.float64(a_spread[i, k])
            others = turned_spread[k]
            for j in range(width):
                doubts[j] += error / (variance + others[j])
        for j in range(width):
            if doubts[j] > 2 * ALLOWED and doubts[j] > HELD * fractions[j]:
                scores[j] = one_likelihood(
                    a_rows, a_spread, i, b_rows, b_spread, start + j, dim, group
                )
