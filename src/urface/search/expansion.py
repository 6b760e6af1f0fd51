"""The likelihood score as one inner product, so that any engine that ranks by inner product can search by it.

For means of unit length (docs/method.md, equation PA)

    score(a, b) = sum_k (f_a f_b - 1) / (a_k + b_k) - D/2 sum_k log(a_k + b_k)

couples two faces through the kernels 1/(a + b) and log(a + b) of two variances. Both are replaced by sums of
products of a function of a and one of b, exact at some chosen variances (Nystrom):

    1/(a + b)   ~ sum_r p_r(a) p_r(b)                                       from the points x_1 .. x_R
    log(a + b)  ~ log(a + c) + log(b + c) - log 2c - sum_q g_q(a) g_q(b)    from the points y_1 .. y_Q

so that the score is the inner product of

    probe      [ p_r(a_k) f_a^kd   |   p_r(a_k)   D/2 g_q(a_k)   1        | L(a) ]
    template   [ p_r(b_k) f_b^kd   |  -p_r(b_k)       g_q(b_k)   l(b_k)   | 1    ]

with l(v) = -D/2 (log(v + c) - 1/2 log 2c) and L(v) = sum_k l(v_k): first K D groups of R numbers, then K
groups of R + Q + 1, then one; R K (D + 1) + (Q + 1) K + 1 numbers, with zeros behind them up to a multiple of
16, which fast kernels want.

What Nystrom leaves of 1/(a + b) has a closed form:

    1/(a + b) - sum_r p_r(a) p_r(b) = 1/(a + b) prod_r (a - x_r)(b - x_r) / ((a + x_r)(b + x_r))

With the x of Zolotarev's third problem the product is as small as R points can make it, everywhere in the
range alike: a share of the term itself. So the distance term of a score is off by at most that share of
itself, next to nothing for faces that are alike. log((a + c)(b + c) / (2c (a + b))) is a positive definite
kernel; what Nystrom leaves of it is positive semidefinite, hence nowhere larger than on its diagonal.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.linalg import solve_triangular
from scipy.special import ellipk, ellipkm1

from urface.types import FaceEmbedding, UserError, to_numpy

NARROWEST = 2.0  # a range is taken to span at least this factor
WIDEST = 1e6  # beyond it float64 no longer holds the terms
MOST_TERMS = 20
GRID = 8001  # variances at which errors are computed, evenly spaced in their logarithm
FAST = 16  # numbers: vectors are filled to a multiple


@dataclass(frozen=True, eq=False)
class Expansion:
    """How faces of K sub-embeddings of D dimensions with variances of ``low`` to ``high`` are expanded.

    points [R], mix [R, R]            p(v) = mix @ 1 / (v + points)
    log_points [Q], log_mix [Q, Q]    g(v) = log_mix @ log_kernel(v, log_points)
    distance_error                    the distance term of a score is off by at most this share of itself
    log_error                         and its logarithms, all K together, by at most this
    """

    low: float
    high: float
    shape: tuple[int, int]
    points: np.ndarray
    mix: np.ndarray
    log_points: np.ndarray
    log_mix: np.ndarray
    distance_error: float
    log_error: float

    @property
    def dimensions(self) -> int:
        """Numbers of an expanded face."""
        K, D = self.shape
        used = len(self.points) * K * (D + 1) + (len(self.log_points) + 1) * K + 1
        return -(-used // FAST) * FAST

    @property
    def centre(self) -> float:
        """c, around which the logarithm is expanded."""
        return math.sqrt(self.low * self.high)

    def covers(self, variance: np.ndarray) -> bool:
        """Whether all of some variances are within the range."""
        return not len(variance) or bool(variance.min() >= self.low and variance.max() <= self.high)

    def error(self, distance_term: np.ndarray) -> np.ndarray:
        """How far the scores of pairs may be off, given their distance terms, 1/2 sum_k d_k / (a_k + b_k).

        Of means of unit length, variances in the range, and inner products in float64.
        """
        return self.distance_error * np.asarray(distance_term) + self.log_error

    def distance_terms(self, variance: np.ndarray) -> np.ndarray:
        """p, [..., R], of variances [...]."""
        return (1.0 / (variance[..., None] + self.points)) @ self.mix.T

    def log_terms(self, variance: np.ndarray) -> np.ndarray:
        """g, [..., Q], of variances [...]."""
        return log_kernel(variance[..., None], self.log_points, self.centre) @ self.log_mix.T


def fit_expansion(
    low: float,
    high: float,
    shape: tuple[int, int],
    *,
    terms: int | None = None,
    log_terms: int | None = None,
    distance_error: float = 0.005,
    log_error: float = 0.02,
) -> Expansion:
    """The expansion with the fewest terms that keeps within both errors (see ``Expansion``).

    ``terms`` (R) and ``log_terms`` (Q) fix their numbers instead; the errors then come out as they do.
    Raises UserError where ``low`` to ``high`` is no range of variances or spans more than a factor 10^6,
    and where 20 terms do not reach an error.
    """
    if not 0 < low <= high <= WIDEST * low:
        raise UserError(
            f"variances from {low:.3g} to {high:.3g}: a range that can be expanded is above 0 and spans "
            f"at most a factor {WIDEST:.0e}"
        )
    centre = math.sqrt(low * high)
    low = min(low, centre / math.sqrt(NARROWEST))
    high = max(high, centre * math.sqrt(NARROWEST))
    grid = np.geomspace(low, high, GRID)
    points, share = _distance_points(low, high, grid, terms, distance_error)
    K, D = shape
    log_points, left = _log_points(grid, centre, log_terms, log_error / (0.5 * K * D))
    return Expansion(
        low,
        high,
        shape,
        points,
        _mix(1.0 / (points[:, None] + points), 1.0 / (grid[:, None] + points)),
        log_points,
        _mix(
            log_kernel(log_points[:, None], log_points, centre),
            log_kernel(grid[:, None], log_points, centre),
        ),
        share,
        0.5 * K * D * left,
    )


def expand_gallery(faces: FaceEmbedding, plan: Expansion) -> np.ndarray:
    """Templates as vectors [N, dimensions] float32, to be stored. Raises UserError out of the range."""
    mean, variance = to_numpy(faces.mean), to_numpy(faces.variance)
    _check(mean, variance, plan)
    if not plan.covers(variance):
        raise UserError(
            f"variances from {variance.min():.3g} to {variance.max():.3g} are not within the expansion's "
            f"{plan.low:.3g} to {plan.high:.3g}: fit a wider one and expand all templates with it"
        )
    return _expand(mean, variance.astype(np.float64), plan, probe=False)


def expand_probe(faces: FaceEmbedding, plan: Expansion) -> np.ndarray:
    """Probes as vectors [P, dimensions] float32, whose inner products with templates are scores.

    A variance out of the range is taken as the end of it: good enough to find candidates, whose exact scores
    are taken afterwards.
    """
    mean, variance = to_numpy(faces.mean), to_numpy(faces.variance)
    _check(mean, variance, plan)
    clamped = np.clip(variance.astype(np.float64), plan.low, plan.high)
    return _expand(mean, clamped, plan, probe=True)


def _check(mean: np.ndarray, variance: np.ndarray, plan: Expansion) -> None:
    if mean.shape[1:] != plan.shape:
        raise UserError(
            f"faces of [K, D] = {list(mean.shape[1:])} do not fit an expansion for {list(plan.shape)}"
        )
    if variance.ndim != 2:
        raise UserError(
            "variances of every dimension cannot be expanded, only those of sub-embeddings: "
            'search with "exact:"'
        )


def _expand(mean: np.ndarray, variance: np.ndarray, plan: Expansion, probe: bool) -> np.ndarray:
    """Vectors of faces [N, K, D] with variances [N, K] in the range."""
    count, (K, D), c = len(mean), plan.shape, plan.centre
    R, Q = len(plan.points), len(plan.log_points)
    p = plan.distance_terms(variance)  # [N, K, R]
    length = np.sqrt(np.einsum("nkd,nkd->nk", mean, mean, dtype=np.float64))
    out = np.zeros((count, plan.dimensions), np.float32)
    products = out[:, : K * D * R].reshape(count, K, D, R)
    factor = (p / length[:, :, None]).astype(np.float32)
    np.multiply(mean[:, :, :, None], factor[:, :, None], out=products, casting="same_kind")
    end = K * D * R + K * (R + Q + 1)
    own = out[:, K * D * R : end].reshape(count, K, R + Q + 1)
    logs = -0.5 * D * (np.log(variance + c) - 0.5 * math.log(2.0 * c))
    own[:, :, :R] = p if probe else -p
    own[:, :, R : R + Q] = (0.5 * D if probe else 1.0) * plan.log_terms(variance)
    own[:, :, R + Q] = 1.0 if probe else logs
    out[:, end] = logs.sum(1) if probe else 1.0
    return out


def zolotarev_points(low: float, high: float, count: int) -> np.ndarray:
    """The x_r [count], falling, for which max |prod_r (a - x_r) / (a + x_r)| over [low, high] is least.

    x_r = high dn((2r - 1) / (2 count) K'), of the complementary modulus low / high (Zolotarev 1877; see
    Beckermann and Townsend, SIAM J. Matrix Anal. Appl. 2017). dn by its sum of hyperbolic secants, which
    keeps all digits where the range is wide.
    """
    ratio = (low / high) ** 2
    quarter, other = float(ellipkm1(ratio)), float(ellipk(ratio))
    u = (2.0 * np.arange(1, count + 1) - 1.0) / (2.0 * count) * quarter
    terms = np.arange(-40, 41)
    places = math.pi * (u[:, None] - 2.0 * quarter * terms) / (2.0 * other)
    return high * math.pi / (2.0 * other) * (1.0 / np.cosh(np.clip(places, -700, 700))).sum(1)


def log_kernel(a: np.ndarray, b: np.ndarray, c: float) -> np.ndarray:
    """log((a + c)(b + c) / (2c (a + b))): positive definite, 0 where a or b is c."""
    return np.log1p((a - c) * (b - c) / (2.0 * c * (a + b)))


def _distance_points(
    low: float, high: float, grid: np.ndarray, terms: int | None, error: float
) -> tuple[np.ndarray, float]:
    for count in range(1, MOST_TERMS + 1) if terms is None else (terms,):
        points = zolotarev_points(low, high, count)
        share = float(np.abs(np.prod((grid[:, None] - points) / (grid[:, None] + points), 1)).max())
        if share**2 <= error or terms is not None:
            return points, share**2
    raise UserError(
        f"variances from {low:.3g} to {high:.3g}: {MOST_TERMS} terms leave an error of {share**2:.2g}, "
        f"more than {error:.2g}: ask for a larger one"
    )


def _log_points(
    grid: np.ndarray, centre: float, terms: int | None, error: float
) -> tuple[np.ndarray, float]:
    """Points one by one where most is left of the kernel, and what is left at last."""
    left = log_kernel(grid, grid, centre)
    columns = np.empty((MOST_TERMS, len(grid)))
    chosen: list[int] = []
    while (left.max() > error) if terms is None else (len(chosen) < terms):
        if len(chosen) == MOST_TERMS:
            raise UserError(
                f"{MOST_TERMS} terms leave an error of {left.max():.2g} in each logarithm, more than "
                f"{error:.2g}: ask for a larger one"
            )
        best, done = int(left.argmax()), len(chosen)
        column = log_kernel(grid, grid[best], centre)
        column -= columns[:done, best] @ columns[:done]
        columns[done] = column / math.sqrt(left[best])
        left = np.maximum(left - columns[done] ** 2, 0.0)
        chosen.append(best)
    # A pair is off by at most the geometric mean of what is left at its two variances.
    return grid[chosen], float(left.max())


def _mix(at_points: np.ndarray, at_grid: np.ndarray) -> np.ndarray:
    """The [R, R] that turns kernel values at the points into terms, whose products sum to Nystrom's kernel.

    Any rotation of them does. This one puts as much as there is into the first terms, on the whole range,
    so that quantisers by dimension lose least.
    """
    if not len(at_points):
        return np.zeros((0, 0))
    root = np.linalg.cholesky(at_points)
    terms = solve_triangular(root, at_grid.T, lower=True)
    turn = np.linalg.eigh(terms @ terms.T)[1][:, ::-1]
    mixed: np.ndarray = solve_triangular(root, turn, lower=True, trans="T").T
    return mixed
