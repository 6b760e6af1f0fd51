"""The matrix of likelihood scores where every dimension has its own variance (PFE, ICCV 2019).

    score(i, j) = -1/2 sum_d [ (f_id - f_jd)^2 / (v_id + v_jd) + log(v_id + v_jd) ]

No matrix product gives this sum: each score takes a division for each dimension. The kernel runs
over columns in the inner loop, which the compiler turns into vector instructions, and takes the
logarithm of products of sums, one for many dimensions.
"""

from __future__ import annotations

import math
import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from numba import njit
from torch import Tensor

COLUMNS = 128  # of a tile: its means and variances stay in the second cache
ROWS = 256  # a thread takes at a time
LARGEST_EXPONENT = 280.0  # a product of sums stays within 10^+-this; float64 ends at 308


def per_dimension_matrix(a_ND: Tensor, av_ND: Tensor, b_MD: Tensor, bv_MD: Tensor) -> Tensor:
    """Scores of all pairs, [N, M], on the CPU: means and variances [., D], variances above 0.

    Differences are taken before squares, so that nearly equal faces lose no digits; float32 in,
    float32 out, sums over dimensions in float64. No gradient.
    """
    out = np.empty((len(a_ND), len(b_MD)), np.float32)
    if out.size:
        a, av = (np.ascontiguousarray(x.detach().cpu().numpy(), np.float32) for x in (a_ND, av_ND))
        b, bv = (_columns(x.detach().cpu().numpy()) for x in (b_MD, bv_MD))
        sums = (float(av.min()) + float(bv_MD.min()), float(av.max()) + float(bv_MD.max()))
        largest = max(abs(math.log10(value)) for value in sums)
        group = max(1, min(64, int(LARGEST_EXPONENT / max(largest, 1e-9))))

        def work(first: int) -> None:
            rows = slice(first, first + ROWS)
            _fill(a[rows], av[rows], b, bv, group, out[rows])

        workers = min(torch.get_num_threads(), os.cpu_count() or 1)
        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(work, range(0, len(a), ROWS)))
    return torch.from_numpy(out).to(a_ND.device, a_ND.dtype)


def _columns(values_MD: np.ndarray) -> np.ndarray:
    """[T, D, COLUMNS]: tiles of columns, the last filled up with ones."""
    count, dim = values_MD.shape
    tiles = -(-count // COLUMNS)
    padded = np.ones((tiles * COLUMNS, dim), np.float32)
    padded[:count] = values_MD
    return np.ascontiguousarray(padded.reshape(tiles, COLUMNS, dim).transpose(0, 2, 1))


@njit(cache=True, nogil=True, error_model="numpy")
def _fill(
    a: np.ndarray, av: np.ndarray, b: np.ndarray, bv: np.ndarray, group: int, out: np.ndarray
) -> None:
    """out [n, M] of rows a, av [n, D] and tiles b, bv [T, D, COLUMNS]; ``group`` dims to a logarithm."""
    count, dim = a.shape
    for tile in range(b.shape[0]):
        left = tile * COLUMNS
        width = min(COLUMNS, out.shape[1] - left)
        for i in range(count):
            scores = np.zeros(COLUMNS, np.float64)
            for first in range(0, dim, group):
                distance = np.zeros(COLUMNS, np.float32)
                product = np.ones(COLUMNS, np.float64)
                for d in range(first, min(first + group, dim)):
                    mean, variance = a[i, d], av[i, d]
                    other, others = b[tile, d], bv[tile, d]
                    for j in range(COLUMNS):
                        total = variance + others[j]
                        difference = mean - other[j]
                        distance[j] += difference * difference / total
                        product[j] *= total
                for j in range(COLUMNS):
                    scores[j] += distance[j] + math.log(product[j])
            for j in range(width):
                out[i, left + j] = -0.5 * scores[j]
