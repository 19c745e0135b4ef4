r"""Sequential inference on the odds ratio of many 2 x 2 tables, a stratum each: Cochran-Mantel-Haenszel for any number of looks.

In an interval, n_b observations of the baseline and n_c of the canary are held against an edge; m of them exceed it, x of these
the canary's. Given m, and whatever the interval's weather, x has Fisher's noncentral hypergeometric distribution with the odds
ratio exp(g) [1]_, so that exp(g x) / E[exp(g X)], X central hypergeometric, is the likelihood ratio of g against 0. Its logarithm
adds up over intervals to L(g). A mixture of exp(L(g) - L(g0)) over g on one side of g0 has the expectation 1 at g0 and at most 1
on the other side, so that it exceeds 1 / alpha with a probability of at most alpha, at any time [2]_.

L is kept at the Chebyshev points `LOG_ODDS`. E[exp(g X)] is a polynomial in exp(g) with real negative roots, so that L is analytic
within a distance of pi from the real axis, and the polynomial through these points gives it anywhere between them to about
1e-15 times the tables' total variance.

References
----------
.. [1] R. A. Fisher, "The logic of inductive inference", Journal of the Royal Statistical Society 98 (1935), 39-82.
.. [2] A. Ramdas, P. Grunwald, V. Vovk and G. Shafer, "Game-theoretic statistics and safe anytime-valid inference",
       Statistical Science 38 (2023), 576-601.
.. [3] C. Loader, "Fast and accurate computation of binomial probabilities", 2000.
.. [4] J. G. Liao and O. Rosen, "Fast and stable algorithms for computing and sampling from the noncentral hypergeometric
       distribution", American Statistician 55 (2001), 366-369.
.. [5] J.-P. Berrut and L. N. Trefethen, "Barycentric Lagrange interpolation", SIAM Review 46 (2004), 501-517.
"""

from __future__ import annotations

from typing import Final, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from canaryjudge.stats.bounds import FloatArray

__all__ = [
    "LOG_ODDS",
    "log_evidence",
    "log_factors",
]

_REACH = 2.5
"""Odds ratios between 1/12 and 12 are told apart; beyond, the ends stand for all."""
_POINTS = 33
_SCALE = 0.7
"""Standard deviation of the half-normal mixture: the evidence is strongest against shifts of the odds by a factor of about 2."""
_CELLS = 24
_FINEST = 0.0125
"""The mixture's first cell: smaller shifts of the log odds are looked for no more closely than this."""

_CHUNK = 2048
"""Tables whose intermediate arrays exist at the same time; more only miss the processor's cache."""
_SMALL_SUPPORT = 128
"""Up to so many values of X are summed at all grid points in one matrix product."""
_LARGEST_EXPONENT = 600.0
"""exp of it, times any probability that matters, is a float."""
_STIRLING_FROM = 6.0
"""From here on eight terms of Stirling's series err by less than 1e-13."""
_NEGLIGIBLE = 37.0
"""exp(-37) is below the spacing of floats."""
_SAME = 1e-100
"""A distance to a point of the grid whose inverse is no danger, and which no rounding leaves but 0."""

_STIRLING = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156, -3617 / 122400)
_hermite = np.polynomial.hermite.hermgauss(16)
_NODES: Final[FloatArray] = np.sqrt(2) * _hermite[0]
_LOG_NODE_WEIGHTS: Final[FloatArray] = np.log(np.sqrt(2) * _hermite[1]) + _NODES**2 / 2
_SIGNS: Final[FloatArray] = np.array([1.0, -1.0, -1.0, 1.0])
"""How the cells x, n_c - x, m - x and n_b - m + x move with x."""

LOG_ODDS: Final[FloatArray] = _REACH * np.sin(np.pi / 2 * np.linspace(-1, 1, _POINTS))
"""The log odds ratios at which log-likelihoods are kept: 33 Chebyshev points on [-2.5, 2.5], 0 among them."""
_BARYCENTRIC: Final[FloatArray] = np.where(np.arange(_POINTS) % 2, -1.0, 1.0) * np.where(
    abs(LOG_ODDS) < _REACH, 1.0, 0.5
)


def _half_normal() -> tuple[FloatArray, FloatArray]:
    """Cut the half-normal distribution into cells, finer toward 0: each cell's mean, and the logarithm of its mass."""
    edges = np.array([0.0, *np.geomspace(_FINEST, 3.5 * _SCALE, _CELLS - 1), np.inf]) / _SCALE
    mass = -np.diff(2 * special.ndtr(-edges))
    moment = -np.diff(2 * np.exp(-(edges**2) / 2) / np.sqrt(2 * np.pi))
    return _SCALE * moment / mass, np.log(mass)


_STEPS, _LOG_WEIGHTS = _half_normal()


def log_factors(
    baseline_total: ArrayLike,
    canary_total: ArrayLike,
    exceeding: ArrayLike,
    canary_exceeding: ArrayLike,
    log_odds: ArrayLike = LOG_ODDS,
) -> FloatArray:
    r"""Give the log-likelihood ratio of each log odds ratio against 0, for each table, exactly.

    The value is g x - ln E[exp(g X)], X hypergeometric: m of n_b + n_c exceed the edge, n_c of them are the canary's. Tables
    with few possible x are summed in full. In larger ones, products of two binomial probabilities whose means are Fisher's mode
    [3]_ leave a sum near 1 / sqrt(2 pi variance): about the mode term by term [4]_ where a cell of the table is small, else as an
    integral by 16 Gauss-Hermite nodes, from which the sum differs by exp(-2 pi^2 variance).

    Parameters
    ----------
    baseline_total, canary_total : array_like
        Observations n_b and n_c of the arms; whole numbers, at least 0.
    exceeding : array_like
        How many of both arms' observations exceed the edge, m.
    canary_exceeding : array_like
        How many of these are the canary's, x.
    log_odds : array_like, shape (G,)
        Log odds ratios g.

    Returns
    -------
    ndarray, shape (..., G)
        For each table (the arguments broadcast) and each g. Sum over strata. 0 where a table says nothing: m is 0 or all, or an arm
        is empty. Right to 4e-12, or to 2e-15 of its size where that is more.

    Raises
    ------
    ValueError
        Counts are not whole, or there can be no such table.

    Examples
    --------
    7 of 50 against 3 of 50, at the odds ratio 2:

    >>> round(float(log_factors(50, 50, 10, 7, [np.log(2)])[0]), 12)
    0.848356575951
    """
    grid = np.atleast_1d(np.asarray(log_odds, dtype=np.float64))
    tables = np.broadcast_arrays(
        *(
            np.asarray(count, dtype=np.float64)
            for count in (baseline_total, canary_total, exceeding, canary_exceeding)
        )
    )
    shape = tables[0].shape
    counts = np.stack([table.ravel() for table in tables])
    _check(counts)
    counts, turned = _smallest_first(counts)
    factors = np.empty((counts.shape[1], len(grid)))
    for rows, log_odds_of_rows in ((np.flatnonzero(~turned), grid), (np.flatnonzero(turned), -grid)):
        for start in range(0, len(rows), _CHUNK):
            part = rows[start : start + _CHUNK]
            factors[part] = _chunk(counts[:, part], log_odds_of_rows)
    return factors.reshape(*shape, len(grid))


def log_evidence(loglik: ArrayLike, null: ArrayLike, side: Literal["greater", "less"]) -> FloatArray:
    """Weigh the evidence that the common log odds ratio lies beyond `null`, valid at any number of looks.

    The evidence is the mean of exp(L(g) - L(null)) over a half-normal distribution of g (standard deviation .7) beyond the null, cut
    into 24 cells whose width grows with the distance. If the log odds ratio is not beyond the null in any stratum, it reaches 1 / alpha
    at some time with a probability of at most alpha. The mean of several (of several edges, say) has the same property.

    Parameters
    ----------
    loglik : array_like, shape (..., 33)
        Sums of `log_factors` over the strata, at `LOG_ODDS`.
    null : array_like
        Log odds ratio of the null hypothesis, within [-2.5, 2.5]; broadcasts over the leading axes.
    side : {"greater", "less"}
        Whether the claim is a log odds ratio above or below the null.

    Returns
    -------
    ndarray, shape (...)
        Its natural logarithm. It falls (rises) with the null wherever it is above 0.

    Raises
    ------
    ValueError
        `loglik` has another grid, or `null` lies beyond it.

    Examples
    --------
    >>> loglik = log_factors(950, 50, 30, [1, 9]).cumsum(axis=0)
    >>> log_evidence(loglik, 0.0, "greater").round(3)
    array([-0.501,  4.165])
    """
    loglik, null = _checked(loglik), np.asarray(null, dtype=np.float64)
    if not (abs(null) <= _REACH).all():
        raise ValueError(f"a null log odds ratio must lie within -{_REACH} and {_REACH}")
    steps = _STEPS if side == "greater" else -_STEPS
    # at the ends the farther cells are judged by the nearest g there is, which is beyond the null all the same
    beyond = np.clip(null[..., np.newaxis] + steps, -_REACH, _REACH)
    values = _between(loglik, np.concatenate([null[..., np.newaxis], beyond], axis=-1))
    return np.asarray(special.logsumexp(values[..., 1:] - values[..., :1] + _LOG_WEIGHTS, axis=-1))


def _check(counts: FloatArray) -> None:
    baseline, canary, exceeding, x = counts
    if not ((counts >= 0) & (counts == np.floor(counts)) & np.isfinite(counts)).all():
        raise ValueError("the counts of a table must be whole numbers, at least 0")
    if not ((x <= canary) & (x <= exceeding) & (exceeding - x <= baseline)).all():
        raise ValueError("more observations exceed the edge than there are")


def _smallest_first(counts: FloatArray) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Name the arms, and what is counted, so that x has the smallest mean of the four cells.

    Then 0 is its least value, and the small cell loses no digits. Each change turns the odds over; the second array tells for which
    tables they stay so.
    """
    baseline, canary, exceeding, x = counts
    fewer, more = np.minimum(baseline, canary), np.maximum(baseline, canary)
    swapped, x = canary > baseline, np.where(canary > baseline, exceeding - x, x)
    below = baseline + canary - exceeding
    over, x = exceeding > below, np.where(exceeding > below, fewer - x, x)
    return np.stack([more, fewer, np.minimum(exceeding, below), x]), swapped != over


def _chunk(counts: FloatArray, grid: FloatArray) -> FloatArray:
    """Compute factors of tables, shape (4, T), each by the method that suits its size."""
    _, canary, exceeding, x = counts
    largest = np.minimum(canary, exceeding)
    factors = np.empty((len(largest), len(grid)))
    two = largest <= 1
    few = ~two & (largest < min(_SMALL_SUPPORT, _LARGEST_EXPONENT / max(abs(grid).max(initial=0.0), 1.0)))
    many = ~two & ~few
    if two.any():
        factors[two] = _two_values(counts[:, two], grid)
    if few.any():
        factors[few] = x[few, np.newaxis] * grid - _summed(counts[:, few], grid)
    if many.any():
        factors[many] = _large(counts[:, many], grid)
    return factors


def _two_values(counts: FloatArray, grid: FloatArray) -> FloatArray:
    """X is 0 or 1 (one observation in an arm, one that exceeds, or none): its mean is a probability."""
    baseline, canary, exceeding, x = counts[..., np.newaxis]
    mean = canary * exceeding / np.maximum(baseline + canary, 1.0)
    return np.asarray(x * grid - np.log1p(np.expm1(grid) * mean))


def _summed(counts: FloatArray, grid: FloatArray) -> FloatArray:
    """Sum exp(g X) over all values of X; its logarithm."""
    baseline, canary, exceeding, _ = counts[..., np.newaxis]
    k = np.arange(np.minimum(canary, exceeding).max() + 1)
    ratios = (canary - k) * (exceeding - k) / ((k + 1) * (baseline - exceeding + k + 1))
    with np.errstate(divide="ignore"):
        logs = np.cumsum(np.log(np.maximum(ratios[:, :-1], 0.0)), axis=1)
    logs = np.concatenate([np.zeros_like(baseline), logs], axis=1)
    masses = np.exp(logs - logs.max(axis=1, keepdims=True))
    chances = masses / masses.sum(axis=1, keepdims=True)
    return np.asarray(np.log(chances @ np.exp(np.multiply.outer(k, grid))))


def _large(counts: FloatArray, grid: FloatArray) -> FloatArray:
    r"""Compute factors from Fisher's mode mu(g), shape (T, G).

    With e the four cells of the table at mu, and d those at the mean of the central distribution, exp(g X) is summed to
    exp(g mu - sum_i e_i ln(e_i / d_i)) S(g) / S(0), where S is the probability that independent binomials with the means e_1 and e_3 add up to m.
    """
    baseline, canary, exceeding, x = counts[..., np.newaxis]
    total, below = baseline + canary, baseline + canary - exceeding
    odds = np.exp(grid)
    # the mode is the root of a quadratic; written so, nothing cancels
    half = (canary + exceeding) * odds + baseline - exceeding
    root = np.sqrt(
        ((canary - exceeding) * odds) ** 2
        + 2 * odds * (canary * baseline + exceeding * below)
        + (baseline - exceeding) ** 2
    )
    mode = 2 * canary * exceeding * odds / (half + root)
    cells = np.stack([mode, canary - mode, exceeding - mode, baseline - exceeding + mode], axis=-1)
    central = (
        np.stack([canary * exceeding, canary * below, baseline * exceeding, baseline * below], axis=-1)
        / (total[..., np.newaxis])
    )
    moved = _SIGNS * (mode - canary * exceeding / total)[..., np.newaxis]
    divergence = (cells * np.log1p(moved / central)).sum(axis=-1)
    deviation = 1 / np.sqrt((1 / cells).sum(axis=-1))
    smooth = cells.min(axis=-1) + _NODES[0] * deviation >= _STIRLING_FROM
    log_sums = np.empty(mode.shape)
    log_sums[smooth] = _integrals(cells[smooth], deviation[smooth])
    rough = ~smooth
    if rough.any():
        log_sums[rough] = _windows(
            cells[rough], np.broadcast_to(grid, mode.shape)[rough], deviation[rough].max()
        )
    central_sums = _remainder(total) - _remainder(exceeding) - _remainder(below)
    log_sums += _remainder(baseline) + _remainder(canary)
    return np.asarray(grid * (x - mode) + divergence - log_sums + central_sums)


def _integrals(cells: FloatArray, deviation: FloatArray) -> FloatArray:
    """Integrate over x about the mode; S(g) but for what depends on the totals alone."""
    exponents = np.zeros((len(deviation), len(_NODES)))
    offsets = np.multiply.outer(deviation, _NODES)
    for cell, sign in zip(cells.T[..., np.newaxis], _SIGNS, strict=True):
        shifted = cell + sign * offsets
        exponents -= (shifted + 0.5) * np.log1p(sign * offsets / cell) + _series(shifted)
    scale = np.log(deviation) - np.log(2 * np.pi * cells).sum(axis=-1) / 2
    return np.asarray(np.log(np.exp(exponents + _LOG_NODE_WEIGHTS).sum(axis=-1)) + scale)


def _windows(cells: FloatArray, grid: FloatArray, deviation: float) -> FloatArray:
    """Sum over whole x about the mode as far as anything is left; S(g) but for what depends on the totals alone."""
    start = np.rint(cells[:, 0])
    offset = (start - cells[:, 0])[:, np.newaxis] * _SIGNS
    anchor = np.maximum(np.rint(cells + offset), 0.0)
    # x is a sum of independent indicators, so that Bernstein's inequality bounds its tails
    reach = 2 + _NEGLIGIBLE / 3 + np.sqrt((_NEGLIGIBLE / 3) ** 2 + 2 * _NEGLIGIBLE * deviation**2)
    steps = np.arange(np.ceil(reach))
    x, not_x, other, rest = anchor.T[..., np.newaxis]
    odds = np.exp(grid)[:, np.newaxis]
    up = odds * (not_x - steps) * (other - steps) / ((x + steps + 1) * (rest + steps + 1))
    down = (x - steps) * (rest - steps) / (odds * (not_x + steps + 1) * (other + steps + 1))
    around = 1 + np.cumprod(up, axis=1).sum(axis=1) + np.cumprod(down, axis=1).sum(axis=1)
    at_anchor = special.xlog1py(anchor, offset / cells) + _remainder(anchor)
    return np.asarray(np.log(around) - at_anchor.sum(axis=-1))


def _remainder(x: FloatArray) -> FloatArray:
    """Give ln x! - x ln x + x, which is near ln(2 pi x) / 2; 0 at 0."""
    large = np.maximum(x, _STIRLING_FROM)
    small = np.minimum(x, _STIRLING_FROM)
    return np.where(
        x >= _STIRLING_FROM,
        np.log(2 * np.pi * large) / 2 + _series(large),
        special.gammaln(small + 1) - special.xlogy(small, small) + small,
    )


def _series(x: FloatArray) -> FloatArray:
    """Stirling's series for ln x! - (x + 1/2) ln x + x - ln(2 pi) / 2."""
    square = 1 / (x * x)
    value = np.full(x.shape, _STIRLING[-1])
    for coefficient in _STIRLING[-2::-1]:
        value = value * square + coefficient
    return value / x


def _checked(loglik: ArrayLike) -> FloatArray:
    loglik = np.asarray(loglik, dtype=np.float64)
    if loglik.ndim == 0 or loglik.shape[-1] != _POINTS:
        raise ValueError(
            f"log-likelihoods must be given at the {_POINTS} points of LOG_ODDS along the last axis"
        )
    return loglik


def _between(loglik: FloatArray, log_odds: FloatArray) -> FloatArray:
    """Interpolate by the second barycentric formula [5]_: (..., 33) at (..., Q) gives (..., Q)."""
    distance = log_odds[..., np.newaxis] - LOG_ODDS
    exact = abs(distance) < _SAME
    terms = _BARYCENTRIC / np.where(exact, 1.0, distance)
    cardinal = np.where(exact.any(axis=-1, keepdims=True), exact, terms / terms.sum(axis=-1, keepdims=True))
    if cardinal.ndim == 2:  # one null for the whole batch
        return np.asarray(loglik @ cardinal.T)
    return np.asarray((cardinal @ loglik[..., np.newaxis])[..., 0])
