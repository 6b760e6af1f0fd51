"""The likelihood matrix on a CPU at less than twice the price of a matrix product.

    score(i, j) = -1/2 [ sum_k d_k / t_k + D log prod_k t_k ]
    d_k = ||f_i^k - f_j^k||^2,  t_k = v_i^k + v_j^k

A block of rows meets a panel of columns, one sub-embedding after the other: a small product gives
d_k = ||f_i||^2 + ||f_j||^2 - 2 f_i f_j, which is used while it lies in the first cache. The sum of fractions
is kept as one fraction, n / p <- (n t_k + d_k p) / (p t_k), over ``group`` sub-embeddings; then it is divided
out, and p, the product of all t_k so far, brought back to about 1: its exponent is counted apart, so that a
pair takes a single logarithm. All of it is float32, eight pairs at a time.

2 - 2 cos in float32 loses the digits of nearly equal faces. ``doubt`` bounds what that costs a pair; where
it is more than the score may be off, the pair is taken again with differences before squares, as in pairs.py.
"""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from typing import NamedTuple

import numpy as np
import torch
from numba import njit
from torch import Tensor

from urface.scoring.block_step import ROWS, STRIP, WIDTH, block_step
from urface.scoring.pairs import one_likelihood, sum_factors

BLOCKS = 4  # of ROWS rows, which meet a sub-embedding of the panel together
TALL, WIDE = 40 * BLOCKS * ROWS, 16 * WIDTH  # rows and columns a thread takes at a time
ALLOWED = 0.005  # how far a score may be off before its pair is taken again
HELD = (
    2.0**-20
)  # or as a share of the score: of faces less alike DOT_ERROR is less, and float32 holds no more
DOT_ERROR = 2.0**-21  # of -2 f_i f_j in float32, for equal vectors of unit length and 32 dimensions
SPAN = (1e-30, 1e30)  # of the variances that float32 can do; pairs with others are taken again
BITS = 100  # that a product of sums may take of float32's exponent, which ends at 2^-126 and 2^127
LARGEST_GROUP = 8  # float32 loses digits with each further factor
EXPONENT, MANTISSA, ONE = 0x7F800000, 0x007FFFFF, 0x3F800000  # bits of a float32, and those of 1.0
UNIT, BIAS = 2.0**-23, 127  # what the exponent's bits count, and from where
LOG2 = math.log(2.0)
# Of a logarithm: the root of 2, and a series.
R, A, B, C, E = (np.float32(x) for x in (math.sqrt(2.0), 2.0, 2 / 3, 2 / 5, 2 / 7))
# Sums keep their order, so that score(i, j) is bit for bit score(j, i).
CONTRACT = {"contract"}


class Side(NamedTuple):
    """Faces of one side of the matrix.

    rows    [N, K, D]  float32 means
    spread  [N, K]     float32 variances
    excess  [N, K]     float32 ||f||^2 - 1, which has the digits that ||f||^2 has not
    doubt   [N]        sum_k of the error of a distance over v_k; infinite where a variance is out of SPAN
    """

    rows: np.ndarray
    spread: np.ndarray
    excess: np.ndarray
    doubt: np.ndarray


def fused_matrix(a_NKD: Tensor, av_NK: Tensor, b_MKD: Tensor, bv_MK: Tensor) -> Tensor:
    """Scores of all pairs, [N, M] float32, of float32 tensors on the CPU; no gradient.

    Uses torch's number of threads. Working memory beside the result: for each thread a copy of TALL + WIDTH
    faces (2 MB at K x D = 512), and some numbers a face and sub-embedding. Variances are above 0 and finite;
    a face of NaN scores NaN with every other.
    """
    a, b = a_NKD.detach().contiguous(), b_MKD.detach().contiguous()
    parts, dim = a.shape[1:]
    left, right = _side(a, av_NK), _side(b, bv_MK)
    out = np.empty((len(a), len(b)), np.float32)
    if not out.size:
        return torch.from_numpy(out)
    many = _factors(left.spread, right.spread)
    rest = (dot_error(dim), _group(left.spread, right.spread, parts), many, out)

    def work(corner: tuple[int, int]) -> None:
        top, start = corner
        ends = min(top + TALL, len(a)), min(start + WIDE, len(b))
        _fill(top, ends[0], start, ends[1], *left, *right, *rest)

    corners = product(range(0, len(a), TALL), range(0, len(b), WIDE))
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        list(pool.map(work, corners))
    return torch.from_numpy(out)


def _side(mean: Tensor, variance: Tensor) -> Side:
    count, parts, dim = mean.shape
    rows = mean.numpy()
    spread = np.ascontiguousarray(variance.detach().numpy(), np.float32)
    excess = np.empty((count, parts), np.float32)
    with np.errstate(all="ignore"):
        for first in range(0, count, TALL):
            part = mean[first : first + TALL].numpy()
            squares = np.einsum("bkd,bkd->bk", part, part, dtype=np.float64)
            excess[first : first + TALL] = squares - 1.0
        doubt = dot_error(dim) * (1.0 / spread.astype(np.float64)).sum(1)
    low, high = SPAN
    doubt[((spread < low) | (spread > high)).any(1)] = np.inf
    return Side(rows, spread, excess, doubt)


def dot_error(dim: int) -> float:
    """How far a distance of two nearly equal faces may be off."""
    return DOT_ERROR * math.sqrt(dim / 32)


def _factors(a: np.ndarray, b: np.ndarray) -> int:
    """Of float64, for the pairs that are taken again."""
    ends = np.array([end for spread in (a, b) for end in (spread.min(), spread.max())])
    return sum_factors(ends, np.ones(len(ends), bool))


def _group(a: np.ndarray, b: np.ndarray, parts: int) -> int:
    """How many sums of two variances a product of float32 may hold, the groups being about equal."""
    ends = [float(a.min() + b.min()), float(a.max() + b.max())]
    largest = max(abs(math.log2(min(max(end, SPAN[0]), SPAN[1]))) for end in ends)
    most = max(1, min(LARGEST_GROUP, int(BITS / max(largest, 1.0))))
    return -(-parts // -(-parts // most))


@njit(cache=True, nogil=True, fastmath=CONTRACT, error_model="numpy")
def _fill(
    top: int,
    bottom: int,
    left: int,
    right: int,
    a_rows: np.ndarray,
    a_spread: np.ndarray,
    a_excess: np.ndarray,
    a_doubt: np.ndarray,
    b_rows: np.ndarray,
    b_spread: np.ndarray,
    b_excess: np.ndarray,
    b_doubt: np.ndarray,
    error: float,
    group: int,
    many: int,
    out: np.ndarray,
) -> None:
    """Rows top..bottom and columns left..right of ``out`` [N, M]."""
    parts, dim = a_rows.shape[1:]
    closings = -(-parts // group)
    along, own = _along(top, bottom, a_rows, a_spread, a_excess)
    panel = np.zeros(parts * dim * WIDTH, np.float32)
    others = np.zeros((parts, 2 * WIDTH), np.float32)
    running = np.empty((BLOCKS, ROWS, 2 * WIDTH), np.float32)
    closed = np.empty((BLOCKS, ROWS, 2 * WIDTH), np.float32)
    theirs, doubts = np.zeros(WIDTH), np.empty(WIDTH, np.float32)
    for start in range(left, right, WIDTH):
        width = min(WIDTH, right - start)
        _panel(start, width, b_rows, b_spread, b_excess, panel, others)
        theirs[:width] = b_doubt[start : start + width]
        for first in range(top, bottom, BLOCKS * ROWS):
            count = min(BLOCKS * ROWS, bottom - first)
            blocks = -(-count // ROWS)
            running[:, :, :WIDTH], running[:, :, WIDTH:], closed[:] = 0.0, 1.0, 0.0
            for k in range(parts):
                for block in range(blocks):
                    number = (first - top) // ROWS + block
                    for strip in range(0, WIDTH, STRIP):
                        block_step(
                            along,
                            (k * own.shape[1] + number) * ROWS * dim,
                            panel,
                            (k * WIDTH + strip) * dim,
                            dim,
                            own,
                            (k * own.shape[1] + number) * 2 * ROWS,
                            others,
                            k * 2 * WIDTH + strip,
                            running,
                            block * ROWS * 2 * WIDTH + strip,
                        )
                    if (k + 1) % group == 0 or k + 1 == parts:
                        _close(running[block], closed[block])
            for row in range(count):
                i, place = first + row, (row // ROWS, row % ROWS)
                scores = out[i, start : start + width]
                _score(running[place], closed[place], closings, dim, scores)
                if not _suspect(a_doubt[i], theirs, closed[place], width):
                    continue
                _doubts(a_spread[i], others, error, doubts)
                for j in range(width):
                    beyond = math.isinf(a_doubt[i]) or math.isinf(theirs[j])
                    if beyond or (doubts[j] > 2 * ALLOWED and doubts[j] > HELD * closed[place][j]):
                        scores[j] = one_likelihood(
                            a_rows, a_spread, i, b_rows, b_spread, start + j, many
                        )


@njit(cache=True, nogil=True, error_model="numpy")
def _along(
    top: int, bottom: int, rows: np.ndarray, spread: np.ndarray, excess: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Rows as blocks read them: means [K, blocks, D, ROWS] and, [K, blocks, 2, ROWS], spread and excess."""
    (parts, dim), count = rows.shape[1:], bottom - top
    blocks = -(-count // ROWS)
    means = np.zeros((parts, blocks, dim, ROWS), np.float32)
    own = np.ones((parts, blocks, 2, ROWS), np.float32)
    for row in range(count):
        block, lane, i = row // ROWS, row % ROWS, top + row
        for k in range(parts):
            own[k, block, 0, lane], own[k, block, 1, lane] = spread[i, k], excess[i, k]
            for d in range(dim):
                means[k, block, d, lane] = rows[i, k, d]
    return means.reshape(-1), own


@njit(cache=True, nogil=True, error_model="numpy")
def _panel(
    start: int,
    width: int,
    rows: np.ndarray,
    spread: np.ndarray,
    excess: np.ndarray,
    panel: np.ndarray,
    others: np.ndarray,
) -> None:
    """Write -2 times the means of WIDTH columns, [K, strips, D, STRIP], and their spread and excess,
    [K, 2, WIDTH]; beyond ``width`` they stay what they were, and their scores are dropped."""
    parts, dim = rows.shape[1:]
    for j in range(width):
        lane = (j // STRIP) * STRIP * dim + j % STRIP
        for k in range(parts):
            others[k, j], others[k, WIDTH + j] = spread[start + j, k], excess[start + j, k]
            for d in range(dim):
                place = k * WIDTH * dim + lane + d * STRIP
                panel[place] = np.float32(-2.0) * rows[start + j, k, d]


# Short loops over few arrays: LLVM leaves a loop out of the vector units that needs more than eight checks
# whether two arrays overlap. ``running`` [2 * WIDTH] are n and p of the pairs of a row; ``closed`` likewise
# the fractions divided out, and the sum of the exponents taken away, in units of 2^-23.


@njit(cache=True, nogil=True, fastmath=CONTRACT, error_model="numpy")
def _close(running: np.ndarray, closed: np.ndarray) -> None:
    """Divide the fraction out, and take the exponent of p, which is then from 1 to 2, away."""
    bits = running.view(np.int32)
    for row in range(ROWS):
        for j in range(WIDTH):
            closed[row, j] += running[row, j] / running[row, WIDTH + j]
            running[row, j] = 0.0
        for j in range(WIDTH):
            exponent = np.int32(bits[row, WIDTH + j] & EXPONENT)
            closed[row, WIDTH + j] += np.float32(exponent)
            bits[row, WIDTH + j] = (bits[row, WIDTH + j] & MANTISSA) | ONE


@njit(cache=True, nogil=True, fastmath=CONTRACT, error_model="numpy")
def _score(
    running: np.ndarray, closed: np.ndarray, closings: int, dim: int, scores: np.ndarray
) -> None:
    """-1/2 (fractions + D log(2^e p)); log p = 2 atanh((p - r) / (p + r)) + log r with r the root of 2,
    within 1e-7: in plain operations, since math.log would leave the vector units."""
    for j in range(len(scores)):
        s = (running[WIDTH + j] - R) / (running[WIDTH + j] + R)
        z = s * s
        series = A + z * (B + z * (C + z * E))
        power = np.float64(closed[WIDTH + j]) * UNIT - BIAS * closings + 0.5
        scores[j] = -0.5 * (closed[j] + dim * (power * LOG2 + np.float64(s * series)))


@njit(cache=True, nogil=True, error_model="numpy")
def _suspect(mine: float, theirs: np.ndarray, closed: np.ndarray, width: int) -> bool:
    """Whether a look at the two faces alone leaves doubt of any pair of a row: 1 / (v + w) is at most 1 / v,
    1 / w and a quarter of their sum."""
    found = 0
    for j in range(width):
        bound = min(mine, theirs[j], 0.25 * (mine + theirs[j]))
        found += (bound > 2 * ALLOWED) & (bound > HELD * closed[j])
        found += (mine == np.inf) | (theirs[j] == np.inf)
    return found > 0


@njit(cache=True, nogil=True, error_model="numpy")
def _doubts(spread: np.ndarray, others: np.ndarray, error: float, doubts: np.ndarray) -> None:
    """sum_k error / t_k of one row and all columns."""
    doubts[:] = 0.0
    for k in range(0, len(spread) - 1, 2):
        for j in range(WIDTH):
            first, second = spread[k] + others[k, j], spread[k + 1] + others[k + 1, j]
            doubts[j] += (first + second) / (first * second)
    if len(spread) % 2:
        for j in range(WIDTH):
            doubts[j] += np.float32(1.0) / (spread[-1] + others[-1, j])
    for j in range(WIDTH):
        doubts[j] *= error
