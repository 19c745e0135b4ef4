r"""Tests of a canary against a limit that moves with its baseline, neither of which is known without error.

- Means: Welch's t, with long-run variances.
- Anything with confidence bounds of its own in each arm, such as a percentile: the distance of each bound from its estimate stands for the
  standard error in that direction, and the bounds of a difference are recovered from them by adding squares [1]_. No density has to be
  estimated; two intervals that do not overlap would ask for up to 1.4 times the distance.
- Two limits of which the laxer counts: proof of a breach needs both, and either is proof of the contrary.

References
----------
.. [1] G. Y. Zou and A. Donner, "Construction of confidence limits about effect measures: a general approach", Statistics in Medicine
       27 (2008), 1693-1702; with correlation: G. Y. Zou, "Toward using confidence intervals to compare correlations", Psychological
       Methods 12 (2007), 399-413, equation 15.
.. [2] D. B. Owen, "Tables for computing bivariate normal probabilities", Annals of Mathematical Statistics 27 (1956), 1075-1090.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from canaryjudge.stats.bounds import FloatArray, PValues, bisect, t_pvalues
from canaryjudge.stats.long_run import FEWEST_POINTS, dependence, long_run_variance
from canaryjudge.stats.ties import rounding

__all__ = [
    "Contrast",
    "either_level",
    "either_pvalue",
    "estimates_correlation",
    "level_of_proof",
    "mean_contrast",
    "recovered_bounds",
]

_SMALLEST_PVALUE = 1e-300
"""Smaller p-values are combined as this one: their normal deviate is no longer a float."""
_SMALLEST_LEVEL = 1e-12
_LARGEST_LEVEL = 0.5
_HALVINGS = 24
_STRONGEST = 0.95


@dataclass(frozen=True, slots=True)
class Contrast:
    """The canary's mean minus a multiple of the baseline's.

    Attributes
    ----------
    estimate : float
        Its value, in the unit of the series.
    error : float
        Its standard error; infinite of too few points.
    df : float
        Degrees of freedom of the error.
    size : float
        How large the numbers are that were subtracted: it tells what is rounding.
    """

    estimate: float
    error: float
    df: float
    size: float = 0.0

    def pvalues(self, value: float) -> PValues:
        """Give the p-values of the nulls that it is at most (`greater`), and at least (`less`), a value."""
        if np.isinf(self.error):
            return PValues(np.array(1.0), np.array(1.0))
        excess = self.estimate - value
        return t_pvalues(np.where(abs(excess) > rounding(value, self.size), excess, 0.0), self.error, self.df)

    def bounds(self, level: float) -> tuple[float, float]:
        """Bound it from both sides, each end at a level."""
        reach = -float(special.stdtrit(self.df, level)) * self.error
        return self.estimate - reach, self.estimate + reach


def mean_contrast(baseline: ArrayLike, canary: ArrayLike, factor: float, *, paired: bool) -> Contrast:
    """Compare the canary's mean with `factor` times the baseline's.

    Parameters
    ----------
    baseline : array_like, shape (m,)
        Points of the baseline in order of time.
    canary : array_like, shape (n,)
        Points of the canary in order of time.
    factor : float
        What the baseline's mean is multiplied by.
    paired : bool
        Whether point i of both arms is of the same time (n = m), so that what both feel cancels.

    Returns
    -------
    Contrast
        The difference; of fewer than 3 points with an infinite error.

    Notes
    -----
    Paired, the error is that of the mean of the differences, by their long-run variance. Otherwise the variance is
    V_c / n + factor**2 V_b / m, with Welch and Satterthwaite's degrees of freedom, of arms that vary alike.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> baseline, canary = rng.normal(100, 5, 60), rng.normal(115, 5, 60)
    >>> [bool(mean_contrast(baseline, canary, f, paired=False).pvalues(0).greater < 0.01) for f in (1.1, 1.2)]
    [True, False]
    """
    b, c = np.asarray(baseline, dtype=np.float64), np.asarray(canary, dtype=np.float64)
    estimate, size = (
        float(c.mean() - factor * b.mean()),
        max(abs(float(c.mean())), abs(factor * float(b.mean()))),
    )
    if min(len(b), len(c)) < FEWEST_POINTS:
        return Contrast(estimate, np.inf, 1.0)
    if paired:
        moved = c - factor * b
        run = long_run_variance(moved - moved[0])
        variance, df = float(run.variance) / len(c), float(run.df)
    else:
        # both arms are of one service: how strongly its points depend on each other is better known from both
        n, m = len(c), len(b)
        rho = (n * dependence(c) + m * dependence(b)) / (n + m)
        runs, shares = (
            (long_run_variance(c - c[0], rho), long_run_variance(b - b[0], rho)),
            (1 / n, factor**2 / m),
        )
        variance = sum(share * float(run.variance) for share, run in zip(shares, runs, strict=True))
        # weighed by size: by variances that are estimates themselves, degrees of freedom grow where the smaller arm's is too small
        spent = sum(share**2 / float(run.df) for share, run in zip(shares, runs, strict=True))
        df = sum(shares) ** 2 / spent
    # rounding is no noise
    noise = 1e-12 * float(max(abs(c).max(), abs(b).max()))
    return Contrast(estimate, float(np.sqrt(variance)) if variance > noise**2 else 0.0, df, size)


def either_pvalue(first: ArrayLike, second: ArrayLike, correlation: ArrayLike) -> FloatArray:
    """Give the p-value of the better of two tests whose statistics are correlated.

    P(Z_1 >= z or Z_2 >= z) for standard normal Z_1, Z_2 with that correlation, and z the deviate of the smaller p-value [2]_:
    that p-value itself at a correlation of 1, its double at most.

    Parameters
    ----------
    first, second : array_like
        P-values of two null hypotheses that are both true, or both false.
    correlation : array_like
        Of the two statistics, in [0, 1].

    Returns
    -------
    ndarray
        P-values, broadcast.

    Examples
    --------
    >>> either_pvalue(0.01, 0.4, [0.0, 0.95, 1.0]).round(4).tolist()
    [0.0199, 0.0133, 0.01]
    """
    least = np.clip(np.minimum(first, second), _SMALLEST_PVALUE, 1.0)
    rho = np.clip(np.asarray(correlation, dtype=np.float64), 0.0, 1.0)
    z = np.minimum(-special.ndtri(least), 1e300)
    return np.asarray(np.minimum(least + 2 * special.owens_t(z, np.sqrt((1 - rho) / (1 + rho))), 1.0))


def either_level(level: float, correlation: float) -> float:
    """Give the level at which the better of two tests is to be held so that together they err at `level`: the inverse of `either_pvalue`.

    Examples
    --------
    >>> round(float(either_pvalue(either_level(0.05, 0.9), 1.0, 0.9)), 12)
    0.05
    """
    ends = np.array(level / 2), np.array(level)
    return float(bisect(lambda own: either_pvalue(own, 1.0, correlation) < level, *ends))


def recovered_bounds(
    canary: tuple[float, float, float],
    baseline: tuple[float, float, float],
    factor: float,
    correlation: float,
) -> tuple[float, float]:
    """Bound the difference of a canary and `factor` times its baseline from bounds of each, all at one level.

    With estimates c, b and bounds l, u of each, and the correlation r of the estimates,

    - low = c - f b - sqrt((c - l_c)**2 + f**2 (u_b - b)**2 - 2 r f (c - l_c) (u_b - b))
    - high = c - f b + sqrt((u_c - c)**2 + f**2 (b - l_b)**2 - 2 r f (u_c - c) (b - l_b))

    Parameters
    ----------
    canary, baseline : tuple of (float, float, float)
        Estimate, lower and upper bound; infinite where there is none.
    factor : float
        What the baseline is multiplied by, at least 0.
    correlation : float
        Of the two estimates, in [-1, 1].

    Returns
    -------
    tuple of (float, float)
        Infinite where one of the bounds is that it needs.

    Examples
    --------
    >>> recovered_bounds((110, 107, 114), (100, 97, 104), 1.0, 0.0)
    (5.0, 15.0)
    """

    def reach(own: float, other: float) -> float:
        scaled = factor * other if factor else 0.0
        if np.isinf(own) or np.isinf(scaled):
            return np.inf
        return float(np.sqrt(max(own**2 + scaled**2 - 2 * correlation * own * scaled, 0.0)))

    c, c_low, c_high = canary
    b, b_low, b_high = baseline
    difference = c - factor * b
    return difference - reach(c - c_low, b_high - b), difference + reach(c_high - c, b - b_low)


def level_of_proof(proven: Callable[[float], bool], error: float) -> float:
    """Find the smallest level at which something is proven: its p-value.

    Parameters
    ----------
    proven : callable
        Level -> whether it is; from some level on it is.
    error : float
        A level at which the answer must be exact: the p-value is at most `error` just where it is proven there.

    Returns
    -------
    float
        Between 1e-12 and 1/2, or 1 where it is not even proven at that.

    Examples
    --------
    >>> round(level_of_proof(lambda level: level > 0.003, 0.01), 6)
    0.003
    """
    if proven(error):
        low, high = math.log(_SMALLEST_LEVEL), math.log(error)
    elif proven(_LARGEST_LEVEL):
        low, high = math.log(error), math.log(_LARGEST_LEVEL)
    else:
        return 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if proven(math.exp(middle)) else (middle, high)
    return min(error, math.exp(high)) if proven(error) else math.exp(high)


def estimates_correlation(first: ArrayLike, second: ArrayLike) -> float:
    """Give the correlation of the means of two series of one time, with all dependence between and within them.

    (V_1 + V_2 - V) / (2 sqrt(V_1 V_2)), with the long-run variances V_1 and V_2 of the series and V of their difference.

    Parameters
    ----------
    first, second : array_like, shape (n,)
        Points of the same times.

    Returns
    -------
    float
        Between -1 and .95; 0 where a series does not vary, or has fewer than 3 points.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> load, own = rng.normal(size=(2, 500))
    >>> round(estimates_correlation(load, 0.6 * load + 0.8 * own), 1)
    0.7
    """
    one, other = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if len(one) < FEWEST_POINTS:
        return 0.0
    alone, beside, apart = (
        float(long_run_variance(series - series[0]).variance) for series in (one, other, one - other)
    )
    if alone * beside <= 0:
        return 0.0
    return float(np.clip((alone + beside - apart) / (2 * math.sqrt(alone * beside)), -1.0, _STRONGEST))
