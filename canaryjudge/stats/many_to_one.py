r"""Several canary arms against one baseline: many-to-one comparisons, and which arm is the best and which the worst.

Arms that are held against one baseline have its noise in common. With the variances :math:`v_i` of the arms and :math:`v_0` of the baseline, the statistics :math:`t_i` of the differences have the correlations
:math:`\lambda_i \lambda_j`, :math:`\lambda_i^2 = v_0 / (v_0 + v_i)`, so that the largest of them exceeds c with the chance

.. math:: 1 - \int_0^\infty \int_{-\infty}^\infty \prod_i \Phi\Bigl(\frac{c s + \lambda_i z}{\sqrt{1 - \lambda_i^2}}\Bigr) \, \varphi(z) \, dz \; dF_\nu(s)

where s is the root of chi-squared over its degrees of freedom :math:`\nu`: Dunnett's test [1]_, of any sizes. Arms with a baseline each have :math:`\lambda_i = 0`. Each arm in the role of the baseline gives the comparisons with the
best [2]_ of arms whose variances differ [3]_.

References
----------
.. [1] C. W. Dunnett, "A multiple comparison procedure for comparing several treatments with a control", J. American Statistical Association 50 (1955), 1096-1121.
.. [2] J. C. Hsu, "Constrained simultaneous confidence intervals for multiple comparisons with the best", Annals of Statistics 12 (1984), 1136-1144.
.. [3] D. G. Edwards and J. C. Hsu, "Multiple comparisons with the best treatment", J. American Statistical Association 78 (1983), 965-971.
.. [4] C. W. Dunnett and A. C. Tamhane, "Step-down multiple tests for comparing treatments with a control in unbalanced one-way layouts", Statistics in Medicine 10 (1991), 939-947.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from canaryjudge.stats.bounds import FloatArray, floats

__all__ = ["ArmRanking", "ManyToOne", "best_and_worst", "dunnett_critical", "dunnett_tail", "many_to_one"]

_FACTOR_NODES, _SCALE_NODES = 96, 32
_REACH = 8.5
"""Of the common factor, in standard deviations."""
_TINY: Final = 1e-17
"""What the scale leaves out at either end."""
_LARGEST_FACTOR = 0.97
"""Larger ones count as this: the integrand would have a step, and less correlation is on the safe side."""
_STEPS = 9
"""Of regula falsi in the logarithm of the level, which is nearly straight."""
_ALMOST_CERTAIN = 1 - 1e-16
_CHUNK = 256
"""Values that are integrated at a time."""
_MOST = 1e3
"""No critical value is larger."""
_SMALLEST_LEVEL = 1e-12
_Z, _ZW = np.polynomial.legendre.leggauss(_FACTOR_NODES)
_Z = _REACH * _Z
_ZW = _REACH * _ZW * np.exp(-(_Z**2) / 2) / np.sqrt(2 * np.pi)
_U, _UW = np.polynomial.legendre.leggauss(_SCALE_NODES)


def dunnett_tail(statistic: ArrayLike, factors: ArrayLike, df: ArrayLike) -> FloatArray:
    r"""Give the chance that the largest of some correlated t statistics exceeds a value.

    Parameters
    ----------
    statistic : array_like, shape (...)
        The value.
    factors : array_like, shape (..., K) or (K,)
        The :math:`\lambda_i`, in [0, 1); NaN is no arm.
    df : array_like, shape (...)
        Degrees of freedom of the common error, at least 1; infinite where it is known.

    Returns
    -------
    ndarray, shape (...)
        One-sided tail probabilities, to six digits.

    Examples
    --------
    Dunnett's table has 2.34 for three arms, a level of 5 % and 10 degrees of freedom, in groups of one size:

    >>> round(float(dunnett_tail(2.34, [0.5**0.5] * 3, 10.0)), 3)
    0.05
    """
    at, freedom = floats(statistic, df)
    given = np.asarray(factors, dtype=np.float64)
    shape = np.broadcast_shapes(at.shape, given.shape[:-1])
    at, freedom = (np.broadcast_to(part, shape).reshape(-1) for part in (at, freedom))
    each = np.broadcast_to(given, (*shape, given.shape[-1])).reshape(len(at), -1)
    return _tail(at, each, freedom).reshape(shape)


def _tail(at: FloatArray, factors: FloatArray, df: FloatArray) -> FloatArray:
    """Integrate some values at a time, shapes (n,), (n, K) and (n,)."""
    parts = [slice(start, start + _CHUNK) for start in range(0, len(at), _CHUNK)]
    return np.asarray(
        np.concatenate([np.empty(0), *(_integrated(at[part], factors[part], df[part]) for part in parts)])
    )


def _integrated(at: FloatArray, factors: FloatArray, df: FloatArray) -> FloatArray:
    there = ~np.isnan(factors)
    factor = np.clip(np.where(there, factors, 0.0), 0.0, _LARGEST_FACTOR)
    finite = np.isfinite(df)
    own = np.where(finite, df, 1.0)
    # the logarithm of the scale, where it has any weight; s = 1 where the error is known
    low, high = (
        np.log(2 * special.gammaincinv(own / 2, _TINY) / own) / 2,
        np.log(2 * special.gammainccinv(own / 2, _TINY) / own) / 2,
    )
    u = (low + high)[:, None] / 2 + (high - low)[:, None] / 2 * _U
    half = own[:, None] / 2
    log_density = (
        np.log(2.0) + half * np.log(half) - special.gammaln(half) + own[:, None] * u - half * np.exp(2 * u)
    )
    weights = (high - low)[:, None] / 2 * _UW * np.exp(log_density)
    weights = weights / weights.sum(axis=-1, keepdims=True)
    scale = np.where(finite[:, None], np.exp(u), 1.0)
    weights = np.where(finite[:, None], weights, np.arange(_SCALE_NODES) == 0)
    chances = np.zeros((len(at), _SCALE_NODES, _FACTOR_NODES))
    for arm in range(factor.shape[-1]):
        mine = factor[:, arm, None, None]
        deviate = (at[:, None, None] * scale[..., None] + mine * _Z) / np.sqrt(1 - mine**2)
        # as much as the logarithm of the normal distribution, and faster
        beyond = np.minimum(special.ndtr(-deviate), _ALMOST_CERTAIN)
        chances += np.where(there[:, arm, None, None], np.log1p(-beyond), 0.0)
    inner = (-np.expm1(chances) * _ZW).sum(axis=-1)
    found = (inner * weights).sum(axis=-1)
    # it is no less than one arm's own, and no more than that of as many that are independent
    single = np.where(finite, special.stdtr(own, -at), special.ndtr(-at))
    count = there.sum(axis=-1)
    most = -np.expm1(count * np.log1p(-np.minimum(single, 1 - 1e-16)))
    return np.where(count > 0, np.clip(found, single, np.maximum(np.minimum(most, 1.0), single)), 0.0)


def dunnett_critical(level: ArrayLike, factors: ArrayLike, df: ArrayLike) -> FloatArray:
    """Give the value that the largest statistic exceeds with the chance `level`: the inverse of `dunnett_tail`.

    Parameters
    ----------
    level : array_like, shape (...)
        One-sided error rate, from 1e-12 on and below .5.
    factors, df
        As `dunnett_tail` takes them.

    Returns
    -------
    ndarray, shape (...)
        Critical values.

    Examples
    --------
    Dunnett's tables have 2.34 and 3.31:

    >>> dunnett_critical([0.05, 0.01], [0.5**0.5] * 3, 10.0).round(2).tolist()
    [2.34, 3.31]
    """
    wanted, freedom = floats(level, df)
    given = np.asarray(factors, dtype=np.float64)
    shape = np.broadcast_shapes(wanted.shape, given.shape[:-1])
    wanted, freedom = (np.broadcast_to(part, shape).reshape(-1) for part in (wanted, freedom))
    each = np.broadcast_to(given, (*shape, given.shape[-1])).reshape(len(wanted), -1)
    # rows of one design have one value
    asked = np.column_stack(
        [np.maximum(wanted, _SMALLEST_LEVEL), freedom, np.nan_to_num(each, nan=-1.0).round(9)]
    )
    designs, place = np.unique(asked, axis=0, return_inverse=True)
    found = _critical(designs[:, 0], np.where(designs[:, 2:] < 0, np.nan, designs[:, 2:]), designs[:, 1])
    return np.asarray(found[place.reshape(-1)].reshape(shape))


def _critical(wanted: FloatArray, each: FloatArray, freedom: FloatArray) -> FloatArray:
    """Find the values of some designs, shapes (n,), (n, K) and (n,)."""
    count = (~np.isnan(each)).sum(axis=-1)
    each = np.where((count == 0)[:, None], 0.0, each)
    count = np.maximum(count, 1)
    # between one arm's own critical value and Bonferroni's
    low, high = (-special.stdtrit(freedom, part) for part in (wanted, wanted / count))
    low, high = np.minimum(low, _MOST), np.minimum(high, _MOST)
    above, below = (np.log(_tail(at, each, freedom) / wanted) for at in (low, high))
    stayed, found = np.zeros(len(low)), high
    for _ in range(_STEPS):
        gap = above - below
        way = np.where(gap > 0, above / np.where(gap > 0, gap, 1.0), 1.0)
        found = low + np.clip(way, 0.0, 1.0) * (high - low)
        left = np.log(_tail(found, each, freedom) / wanted)
        beyond = left <= 0
        # Illinois: an end that stays for a second time counts half
        above = np.where(beyond, np.where(stayed > 0, above / 2, above), left)
        below = np.where(beyond, left, np.where(stayed < 0, below / 2, below))
        stayed = np.where(beyond, 1.0, -1.0)
        low, high = np.where(beyond, low, found), np.where(beyond, found, high)
    return np.asarray(found)


@dataclass(frozen=True, slots=True)
class ManyToOne:
    """What is proven of each of K arms.

    Attributes
    ----------
    estimate, standard_error : ndarray, shape (..., K)
        The arms' effects, as given, and their errors.
    pvalue_greater, pvalue_less : ndarray, shape (..., K)
        Adjusted p-values for "this arm's effect is at most the limit" and "at least": of all claims up to a level, any is false with at most that chance. The first is of a step-down test.
    low, high : ndarray, shape (..., K)
        One-sided simultaneous bounds: all lower ones hold together with confidence 1 - level, and so do all upper ones.
    """

    estimate: FloatArray
    standard_error: FloatArray
    pvalue_greater: FloatArray
    pvalue_less: FloatArray
    low: FloatArray
    high: FloatArray


def many_to_one(
    estimates: ArrayLike,
    variances: ArrayLike,
    shared: ArrayLike,
    df: ArrayLike,
    limit: ArrayLike = 0.0,
    *,
    level: ArrayLike = 0.01,
) -> ManyToOne:
    """Test several arms' effects against a limit, all held against one baseline or each against its own.

    Parameters
    ----------
    estimates : array_like, shape (..., K)
        Each arm's effect, larger being worse; NaN where an arm has none.
    variances : array_like, shape (..., K)
        The squared standard error that each arm has without the baseline's part, and with its own baseline's part where it has one.
    shared : array_like, shape (...)
        That of the one baseline, which is in all effects; 0 where each arm has its own.
    df : array_like, shape (...)
        Degrees of freedom with which the errors are known; the smallest, where they differ between arms.
    limit : array_like, shape (...)
        Effect to test against.
    level : array_like, shape (...)
        One-sided error rate of the bounds, of all of them together.

    Returns
    -------
    ManyToOne
        Adjusted p-values by Dunnett and Tamhane's step-down test [4]_ (those of a pass by Dunnett's in one step), and bounds.

    Notes
    -----
    Where the noise at the limit is another than that of the estimate (a baseline that is multiplied by 1 + tolerance), variances are to be given for the limit.

    Examples
    --------
    Three rings, of which the second is worse by .3:

    >>> found = many_to_one([0.02, 0.3, -0.01], [0.004, 0.004, 0.004], 0.001, 30.0, 0.1)
    >>> found.pvalue_greater.round(4).tolist(), found.low.round(2).tolist()
    ([0.9708, 0.012, 0.9708], [-0.19, 0.09, -0.22])
    """
    x, v = floats(estimates, variances)
    base, freedom, at, wanted = (
        np.broadcast_to(part, x.shape[:-1])
        for part in (np.asarray(each, dtype=np.float64) for each in (shared, df, limit, level))
    )
    there = np.isfinite(x) & np.isfinite(v)
    error, factors = _together(v, base, there)
    arms = np.where(there, factors, np.nan)
    t = np.where(there, x - at[..., None], 0.0) / np.where(there, error, 1.0)
    greater = _step_down(t, arms, freedom)
    less = dunnett_tail(-t, arms[..., None, :], freedom[..., None])
    reach = dunnett_critical(wanted, arms, freedom)[..., None] * error
    bounds = (np.where(there, x + sign * np.where(there, reach, 0.0), sign * np.inf) for sign in (-1.0, 1.0))
    greater, less = (np.where(there, part, np.nan) for part in (greater, less))
    return ManyToOne(np.where(there, x, np.nan), error, greater, less, *bounds)


def _together(
    variances: FloatArray, shared: FloatArray, there: NDArray[np.bool_]
) -> tuple[FloatArray, FloatArray]:
    """Give the arms' standard errors, infinite where there is none, and their factors."""
    whole = np.where(there, variances + shared[..., None], 1.0)
    some = whole > 0
    factors = np.sqrt(np.where(there, shared[..., None] / np.where(some, whole, 1.0), 0.0))
    smallest = np.finfo(float).tiny
    return np.where(there, np.sqrt(np.maximum(whole, smallest)), np.inf), factors


def _step_down(t: FloatArray, arms: FloatArray, df: FloatArray) -> FloatArray:
    """Adjust from the largest statistic down, each among those that are not larger."""
    order = np.argsort(np.where(np.isnan(arms), np.inf, -t), axis=-1, kind="stable")
    inorder, left = np.take_along_axis(t, order, axis=-1), np.take_along_axis(arms, order, axis=-1)
    steps = [
        np.where(np.isnan(left[..., k]), 1.0, dunnett_tail(inorder[..., k], left[..., k:], df))
        for k in range(t.shape[-1])
    ]
    adjusted = np.empty_like(t)
    np.put_along_axis(adjusted, order, np.maximum.accumulate(np.stack(steps, axis=-1), axis=-1), axis=-1)
    return adjusted


@dataclass(frozen=True, slots=True)
class ArmRanking:
    """Which of K arms may be the best, and which the worst.

    Attributes
    ----------
    may_be_best, may_be_worst : ndarray of bool, shape (..., K)
        The arms that are not proven to be another's inferior (superior): the true best (worst) is among them with confidence 1 - level. Where there is one, it is named.
    over_best, under_worst : ndarray, shape (..., K)
        Simultaneous upper bounds of an arm's effect minus the least of all, and of the largest of all minus an arm's effect; 0 of an arm that is named; NaN where an arm has no effect.
    """

    may_be_best: NDArray[np.bool_]
    may_be_worst: NDArray[np.bool_]
    over_best: FloatArray
    under_worst: FloatArray


def best_and_worst(
    estimates: ArrayLike, variances: ArrayLike, df: ArrayLike, *, level: ArrayLike = 0.01
) -> ArmRanking:
    r"""Name the best and the worst of several arms, as far as the data tell.

    Parameters
    ----------
    estimates : array_like, shape (..., K)
        Each arm's effect, or level, larger being worse; NaN where an arm has none.
    variances : array_like, shape (..., K)
        Their squared standard errors, without that of a baseline in common, which cancels.
    df : array_like, shape (...)
        Degrees of freedom with which these are known.
    level : array_like, shape (...)
        Chance that the true best is not among those that may be, or any bound of what arms are over it is wrong; the same for the worst.

    Returns
    -------
    ArmRanking
        Candidates and bounds.

    Notes
    -----
    With k the best arm, :math:`x_k - x_j \le \theta_k - \theta_j + d_k \sqrt{v_k + v_j}` for all j with confidence 1 - level, where :math:`d_k` is Dunnett's critical value of the factors :math:`\sqrt{v_k / (v_k + v_j)}`: k is in the
    control's role. As :math:`\theta_k \le \theta_j`, k is among the arms i with :math:`x_i - x_j \le d_i \sqrt{v_i + v_j}` for all j, and :math:`\theta_j - \theta_k` is at most the largest :math:`x_j - x_i + d_i \sqrt{v_i + v_j}` of these [2]_ [3]_.

    Examples
    --------
    >>> found = best_and_worst([0.02, 0.4, -0.01], [0.004, 0.004, 0.004], 30.0)
    >>> found.may_be_worst.tolist(), found.may_be_best.tolist()
    ([False, True, False], [True, False, True])
    """
    x, v = floats(estimates, variances)
    freedom, wanted = (
        np.broadcast_to(np.asarray(part, dtype=np.float64), x.shape[:-1]) for part in (df, level)
    )
    there = np.isfinite(x) & np.isfinite(v)
    count = x.shape[-1]
    reach = np.zeros((*x.shape, count))
    for arm in range(count):
        both = there & there[..., arm, None] & (np.arange(count) != arm)
        error, factors = _together(v, v[..., arm], both)
        critical = dunnett_critical(wanted, np.where(both, factors, np.nan), freedom)
        reach[..., arm, :] = np.where(both, critical[..., None] * error, np.nan)
    best, over = _candidates(np.where(there, x, np.nan), reach)
    worst, under = _candidates(np.where(there, -x, np.nan), reach)
    return ArmRanking(best, worst, over, under)


def _candidates(x: FloatArray, reach: FloatArray) -> tuple[NDArray[np.bool_], FloatArray]:
    """Give the arms that may have the least effect, and bounds of how far each lies above it; reach has the control on its last axis but one."""
    there = ~np.isnan(x)
    gaps = x[..., :, None] - x[..., None, :]
    beaten = (gaps > np.where(np.isnan(reach), np.inf, reach)).any(axis=-1)
    may_be = there & ~beaten
    # arm j over arm i, which may be the best
    ends = np.where(may_be[..., :, None] & ~np.isnan(reach), np.nan_to_num(-gaps) + np.nan_to_num(reach), 0.0)
    return may_be, np.where(there, np.maximum(ends.max(axis=-2), 0.0), np.nan)
