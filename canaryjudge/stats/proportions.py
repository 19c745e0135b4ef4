"""One-sided inference on proportions (events of a total): one alone, the ratio and the difference of two.

The ratio has the score test of Miettinen and Nurminen [1]_, which is good where events are not rare (where they are,
`canaryjudge.stats.rates` is exact). The difference has bounds made of the exact ones of each
proportion [2]_, which mean something even where neither arm has an event. One proportion has its exact
bounds [3]_. All is continuous in the events, so that events and totals divided by an overdispersion
factor are welcome, and broadcasts over leading axes: results have the arguments' common shape. Worse means
larger: for the other direction the caller swaps the arms.

One proportion also has Wilson's score interval, kept from erring more often than it promises.
The score test holds (x - n p) / sqrt(n p (1 - p)) against the normal distribution [4]_, with half an event of continuity
correction. Where events are rare their counts are skewed, and the lower bound errs more often than it says: 1.5 times at 10 to 100
expected events and a level of 1 %, 3 times below one. A bound of one side that is a function of the events alone cannot be sharper than
Clopper and Pearson's and keep its level everywhere [5]_. So `score_pvalues` and `score_bounds` take the exact value wherever it is the
more careful one.

References
----------
.. [1] O. Miettinen and M. Nurminen, "Comparative analysis of two rates", Statistics in Medicine 4 (1985), 213-226.
.. [2] G. Y. Zou and A. Donner, "Construction of confidence limits about effect measures: a general approach",
       Statistics in Medicine 27 (2008), 1693-1702.
.. [3] C. J. Clopper and E. S. Pearson, "The use of confidence or fiducial limits illustrated in the case of the
       binomial", Biometrika 26 (1934), 404-413.
.. [4] E. B. Wilson, "Probable inference, the law of succession, and statistical inference", J. American Statistical Association
       22 (1927), 209-212; the correction is that of R. G. Newcombe, Statistics in Medicine 17 (1998), 857-872, method 4.
.. [5] L. D. Brown, T. T. Cai and A. DasGupta, "Interval estimation for a binomial proportion", Statistical Science 16 (2001), 101-133.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from canaryjudge.stats.bounds import Bounds, FloatArray, PValues, beta_quantile, bisect, floats

__all__ = [
    "difference_bounds",
    "difference_pvalues",
    "proportion_bounds",
    "proportion_pvalues",
    "risk_ratio_bounds",
    "risk_ratio_pvalues",
    "score_bounds",
    "score_pvalues",
    "wilson_bounds",
    "wilson_pvalues",
]

_LARGEST_LOG_RATIO = 300.0
"""A ratio beyond exp(300) counts as unbounded; its square is still a float."""
_SMALLEST_PVALUE = 1e-300


def risk_ratio_pvalues(
    xc: ArrayLike, nc: ArrayLike, xb: ArrayLike, nb: ArrayLike, ratio: ArrayLike
) -> PValues:
    """Test the ratio of the canary's proportion to the baseline's against `ratio` by its score.

    The statistic is z = (x_c/n_c - r x_b/n_b) / sqrt(N / (N - 1) (p_c (1 - p_c) / n_c + r**2 p_b (1 - p_b) / n_b))
    with N = n_c + n_b, where p_b and p_c = r p_b maximize the likelihood among proportions whose ratio is r. The
    factor N / (N - 1), which makes p-values slightly larger, is that of [1]_; Koopman's test of the same score lacks it.
    The normal approximation is wrong in far tails and for few events: see `rate_ratio_pvalues` for those.

    Parameters
    ----------
    xc, xb : array_like
        Events of the canary and of the baseline, between 0 and their totals; whole numbers or not.
    nc, nb : array_like
        Totals of the canary and of the baseline.
    ratio : array_like
        Null value of the ratio, positive.

    Returns
    -------
    PValues
        `greater` for the null "ratio of the proportions <= `ratio`", `less` for the null ">= `ratio`"; both are 1
        where there are no events. Shape: that of the arguments, broadcast.

    Raises
    ------
    ValueError
        The shapes of the arguments do not broadcast.

    Examples
    --------
    >>> round(float(risk_ratio_pvalues(80, 400, 50, 400, 1).greater), 6)
    0.002031
    """
    xc, nc, xb, nb, ratio = floats(xc, nc, xb, nb, ratio)
    score = _risk_ratio_score(xc, nc, xb, nb, ratio)
    known = (nc > 0) & (nb > 0) & (xc + xb > 0)
    return PValues(np.where(known, special.ndtr(-score), 1.0), np.where(known, special.ndtr(score), 1.0))


def risk_ratio_bounds(xc: ArrayLike, nc: ArrayLike, xb: ArrayLike, nb: ArrayLike, level: ArrayLike) -> Bounds:
    """Bound the ratio of the canary's proportion to the baseline's by inverting its score test.

    `low` > r exactly where the p-value `greater` of `risk_ratio_pvalues` at r is below `level`, and `high` < r where
    `less` is.

    Parameters
    ----------
    xc, xb : array_like
        Events of the canary and of the baseline, between 0 and their totals; whole numbers or not.
    nc, nb : array_like
        Totals of the canary and of the baseline.
    level : array_like
        Error probability of each bound, in [0, .5]; 0 gives 0 and inf.

    Returns
    -------
    Bounds
        `low` is 0 where the canary has no events, `high` is inf where the baseline has none.

    Raises
    ------
    ValueError
        The shapes of the arguments do not broadcast.

    Examples
    --------
    >>> bounds = risk_ratio_bounds(80, 400, 50, 400, 0.05)
    >>> round(float(bounds.low), 5), round(float(bounds.high), 5)
    (1.21989, 2.10233)
    """
    xc, nc, xb, nb, level = floats(xc, nc, xb, nb, level)
    end = np.full(level.shape, _LARGEST_LOG_RATIO)
    low = bisect(lambda u: risk_ratio_pvalues(xc, nc, xb, nb, np.exp(u)).greater < level, -end, end)
    # an upper bound is where "not yet proven smaller" stops to hold
    high = bisect(lambda u: risk_ratio_pvalues(xc, nc, xb, nb, np.exp(u)).less >= level, -end, end)
    return Bounds(np.where(low > -end, np.exp(low), 0.0), np.where(high < end, np.exp(high), np.inf))


def difference_bounds(xc: ArrayLike, nc: ArrayLike, xb: ArrayLike, nb: ArrayLike, level: ArrayLike) -> Bounds:
    """Bound the difference of the proportions, canary minus baseline, from exact bounds of each.

    With the proportions p and one-sided Clopper-Pearson bounds l, u of each at `level`, the method of variance
    estimates recovery gives (equation 3 of [2]_)

    - low = p_c - p_b - sqrt((p_c - l_c)**2 + (u_b - p_b)**2)
    - high = p_c - p_b + sqrt((u_c - p_c)**2 + (p_b - l_b)**2)

    With no events in either arm `high` is the canary's own exact bound, 1 - level**(1 / n_c): at a level of .05 it is
    below .0002 from 14,978 requests on. Squares carry their sign, so that levels above one half are met too.
    Summed over all tables, `low` keeps its level wherever the difference is at least 0, and at .05 so does `high` (to a
    tenth of it where the baseline is ten times smaller). For a far smaller baseline, or p_b near 0 and p_c near 1 in
    arms of dozens, `high` is not to be trusted at levels like .001, where it errs several times as often.

    Parameters
    ----------
    xc, xb : array_like
        Events of the canary and of the baseline, between 0 and their totals; whole numbers or not.
    nc, nb : array_like
        Totals of the canary and of the baseline; where one is 0, nothing is known.
    level : array_like
        Error probability of each bound, in [0, 1].

    Returns
    -------
    Bounds
        Differences of proportions, in [-1, 1].

    Raises
    ------
    ValueError
        The shapes of the arguments do not broadcast.

    Examples
    --------
    >>> [float(difference_bounds(0, n, 0, n, 0.05).high) <= 0.0002 for n in (14_977, 14_978)]
    [False, True]
    """
    # arms are broadcast late: of many totals against many others, each arm's own bounds are sought once
    xc, nc, xb, nb, level = (np.asarray(value, dtype=np.float64) for value in (xc, nc, xb, nb, level))
    low, minus_high = _difference_low(xc, nc, xb, nb, level), _difference_low(xb, nb, xc, nc, level)
    return Bounds(low, np.asarray(-minus_high))


def difference_pvalues(
    xc: ArrayLike, nc: ArrayLike, xb: ArrayLike, nb: ArrayLike, difference: ArrayLike
) -> PValues:
    """Test the difference of the proportions, canary minus baseline, against `difference`.

    The p-value is the level at which a bound of `difference_bounds` equals `difference`.

    Parameters
    ----------
    xc, xb : array_like
        Events of the canary and of the baseline, between 0 and their totals; whole numbers or not.
    nc, nb : array_like
        Totals of the canary and of the baseline; where one is 0, nothing is known.
    difference : array_like
        Null value of the difference of the proportions, in (-1, 1).

    Returns
    -------
    PValues
        `greater` for the null "difference <= `difference`", `less` for the null ">= `difference`"; 1e-300 stands
        for all that is smaller. Shape: that of the arguments, broadcast.

    Raises
    ------
    ValueError
        The shapes of the arguments do not broadcast.

    Examples
    --------
    >>> round(float(difference_pvalues(0, 14_978, 0, 14_978, 0.0002).less), 6)
    0.049992
    """
    xc, nc, xb, nb, difference = floats(xc, nc, xb, nb, difference)
    greater = _difference_pvalue(xc, nc, xb, nb, difference)
    return PValues(greater, _difference_pvalue(xb, nb, xc, nc, -difference))


def proportion_pvalues(x: ArrayLike, n: ArrayLike, value: ArrayLike) -> PValues:
    """Test one proportion against `value` by the tails of the binomial distribution.

    Parameters
    ----------
    x, n : array_like
        Events, between 0 and n, and their total; whole numbers or not.
    value : array_like
        Null value of the proportion, in [0, 1].

    Returns
    -------
    PValues
        `greater` for the null "proportion <= `value`", P(X >= x), and `less` for ">= `value`", P(X <= x).

    Raises
    ------
    ValueError
        The shapes of the arguments do not broadcast.

    Examples
    --------
    `binom.test(3, 17, p=.05, alternative="greater")$p.value` in R gives .050253:

    >>> round(float(proportion_pvalues(3, 17, 0.05).greater), 6)
    0.050253
    """
    x, n, value = floats(x, n, value)
    greater = np.where(x > 0, special.betainc(x, n - x + 1, value), 1.0)
    return PValues(greater, np.where(x < n, special.betaincc(x + 1, n - x, value), 1.0))


def proportion_bounds(x: ArrayLike, n: ArrayLike, level: ArrayLike) -> Bounds:
    """Bound one proportion exactly (Clopper and Pearson [3]_).

    Parameters
    ----------
    x, n : array_like
        Events, between 0 and n, and their total; whole numbers or not.
    level : array_like
        Error probability of each bound, in [0, 1].

    Returns
    -------
    Bounds
        `low` is 0 where there are no events, `high` is 1 where all are events.

    Raises
    ------
    ValueError
        The shapes of the arguments do not broadcast.

    Examples
    --------
    `binom.test(3, 17, conf.level=.9)$conf.int` in R gives .04989815 and .39564143:

    >>> bounds = proportion_bounds(3, 17, 0.05)
    >>> round(float(bounds.low), 8), round(float(bounds.high), 8)
    (0.04989815, 0.39564143)
    """
    x, n, level = floats(x, n, level)
    low, _ = beta_quantile(x, n - x + 1, level)
    _, high = beta_quantile(n - x, x + 1, level)
    return Bounds(np.where(x > 0, low, 0.0), np.where(x < n, high, 1.0))


def _risk_ratio_score(
    xc: FloatArray, nc: FloatArray, xb: FloatArray, nb: FloatArray, ratio: FloatArray
) -> FloatArray:
    """Return the score statistic z of Miettinen and Nurminen, 0 where its variance is 0 and nothing differs."""
    total = nc + nb
    # p_b is the smaller root of total r p^2 - linear p + (x_c + x_b) = 0, in the form that does not cancel
    linear = nc * ratio + xc + nb + xb * ratio
    root = np.sqrt(np.maximum(linear**2 - 4 * total * ratio * (xc + xb), 0.0))
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        pb = 2 * (xc + xb) / (linear + root)
        pc = np.minimum(ratio * pb, 1.0)
        variance = pc * (1 - pc) / nc + ratio * pc * np.maximum(1 - pb, 0.0) / nb
        variance *= np.where(total > 1, total / (total - 1), np.inf)
        excess = xc / nc - ratio * xb / nb
        return np.where((variance == 0) & (excess == 0), 0.0, excess / np.sqrt(variance))


def _difference_low(
    xc: FloatArray, nc: FloatArray, xb: FloatArray, nb: FloatArray, level: FloatArray
) -> FloatArray:
    """Return the lower bound of p_c - p_b; the upper one is minus that of the swapped arms."""
    known = (nc > 0) & (nb > 0)
    pc, pb = xc / np.where(known, nc, 1.0), xb / np.where(known, nb, 1.0)
    below, above = pc - proportion_bounds(xc, nc, level).low, proportion_bounds(xb, nb, level).high - pb
    return np.where(known, pc - pb - _signed_root(_signed_square(below) + _signed_square(above)), -1.0)


def _difference_pvalue(
    xc: FloatArray, nc: FloatArray, xb: FloatArray, nb: FloatArray, null: FloatArray
) -> FloatArray:
    """Return the level at which `_difference_low` equals `null`.

    Sought is the split of p_c - p_b - null into below = p_c - l_c and above = u_b - p_b (their signed squares add up to
    its own) at which the tails of both proportions agree: that is the level. Bisecting the level itself costs ten times as much.
    """
    known = (nc > 0) & (nb > 0)
    pc, pb = xc / np.where(known, nc, 1.0), xb / np.where(known, nb, 1.0)
    square = _signed_square(pc - pb - null)

    def tails(below: FloatArray) -> tuple[FloatArray, FloatArray]:
        above = _signed_root(square - _signed_square(below))
        canary = proportion_pvalues(xc, nc, np.clip(pc - below, 0.0, 1.0)).greater
        return canary, proportion_pvalues(xb, nb, np.clip(pb + above, 0.0, 1.0)).less

    least = np.maximum(pc - 1, _signed_root(square - (1 - pb) ** 2))
    most = np.minimum(pc, _signed_root(square + pb**2))
    last = bisect(lambda below: np.greater(*tails(below)), least, most)
    # next to 0 and 1 one tail may jump between neighboring floats; the other one is then the level
    pvalue = np.maximum(np.minimum(*tails(last)), np.minimum(*tails(np.nextafter(last, most))))
    return np.where(known, np.maximum(pvalue, _SMALLEST_PVALUE), 1.0)


def _signed_square(value: FloatArray) -> FloatArray:
    return value * np.abs(value)


def _signed_root(value: FloatArray) -> FloatArray:
    return np.asarray(np.sign(value) * np.sqrt(np.abs(value)))


_CORRECTION = 0.5


def wilson_pvalues(x: ArrayLike, n: ArrayLike, value: ArrayLike) -> PValues:
    """Test one share against `value` by its score, with continuity correction.

    z = (x - 1/2 - n p) / sqrt(n p (1 - p)) for "greater", and with + 1/2 for "less".

    Parameters
    ----------
    x, n : array_like
        Events, between 0 and n, and their total; whole numbers or not.
    value : array_like
        Null value p of the share, in [0, 1].

    Returns
    -------
    PValues
        `greater` for the null "share <= `value`" and `less` for ">= `value`".

    Raises
    ------
    ValueError
        The shapes of the arguments do not broadcast.

    Examples
    --------
    `prop.test(30, 1000, p=.02, alternative="greater")$p.value` in R gives .0159432:

    >>> round(float(wilson_pvalues(30, 1000, 0.02).greater), 7)
    0.0159432
    """
    x, n, value = floats(x, n, value)
    return PValues(_greater(x, n, value), _greater(n - x, n, 1 - value))


def wilson_bounds(x: ArrayLike, n: ArrayLike, level: ArrayLike) -> Bounds:
    """Bound one share by inverting `wilson_pvalues`.

    Parameters
    ----------
    x, n : array_like
        Events, between 0 and n, and their total; whole numbers or not.
    level : array_like
        Error probability of each bound, in [0, .5].

    Returns
    -------
    Bounds
        `low` is 0 where there are no events, `high` is 1 where all are events.

    Raises
    ------
    ValueError
        The shapes of the arguments do not broadcast.

    Examples
    --------
    `prop.test(30, 1000, conf.level=.9)$conf.int` in R gives .02188911 and .04078853:

    >>> bounds = wilson_bounds(30, 1000, 0.05)
    >>> round(float(bounds.low), 8), round(float(bounds.high), 8)
    (0.02188911, 0.04078853)
    """
    x, n, level = floats(x, n, level)
    return Bounds(_low(x, n, level), np.asarray(1 - _low(n - x, n, level)))


def score_pvalues(x: ArrayLike, n: ArrayLike, value: ArrayLike) -> PValues:
    """Test one share against `value` by its score, or exactly where the score would err too often.

    Parameters
    ----------
    x, n : array_like
        Events, between 0 and n, and their total; whole numbers or not.
    value : array_like
        Null value of the share, in [0, 1].

    Returns
    -------
    PValues
        The larger ones of `wilson_pvalues` and `proportion_pvalues`.

    Raises
    ------
    ValueError
        The shapes of the arguments do not broadcast.

    Examples
    --------
    >>> round(float(score_pvalues(3, 17, 0.05).greater), 6)
    0.050253
    """
    score, exact = wilson_pvalues(x, n, value), proportion_pvalues(x, n, value)
    return PValues(np.maximum(score.greater, exact.greater), np.maximum(score.less, exact.less))


def score_bounds(x: ArrayLike, n: ArrayLike, level: ArrayLike) -> Bounds:
    """Bound one share by inverting `score_pvalues`.

    Parameters
    ----------
    x, n : array_like
        Events, between 0 and n, and their total; whole numbers or not.
    level : array_like
        Error probability of each bound, in [0, .5].

    Returns
    -------
    Bounds
        The outer ones of `wilson_bounds` and `proportion_bounds`.

    Raises
    ------
    ValueError
        The shapes of the arguments do not broadcast.

    Examples
    --------
    >>> bounds = score_bounds(30, 1000, 0.05)
    >>> round(float(bounds.low), 8), round(float(bounds.high), 8)
    (0.02167478, 0.04078853)
    """
    score, exact = wilson_bounds(x, n, level), proportion_bounds(x, n, level)
    return Bounds(np.minimum(score.low, exact.low), np.maximum(score.high, exact.high))


def _greater(x: FloatArray, n: FloatArray, value: FloatArray) -> FloatArray:
    spread = np.sqrt(n * value * (1 - value))
    excess = x - _CORRECTION - n * value
    certain = np.where(excess > 0, 0.0, 1.0)
    tail = special.ndtr(-excess / np.where(spread > 0, spread, 1.0))
    return np.where(x > 0, np.where(spread > 0, tail, certain), 1.0)


def _low(x: FloatArray, n: FloatArray, level: FloatArray) -> FloatArray:
    """Return the smaller root p of (x - 1/2 - n p)**2 = z**2 n p (1 - p)."""
    events = np.maximum(x - _CORRECTION, 0.0)
    z = -special.ndtri(level)
    with np.errstate(divide="ignore", invalid="ignore"):
        root = z * np.sqrt(z**2 + 4 * events * (1 - events / n))
        low = np.where(np.isinf(z), 0.0, (2 * events + z**2 - root) / (2 * (n + z**2)))
    return np.where((x > 0) & (n > 0), np.maximum(low, 0.0), 0.0)
