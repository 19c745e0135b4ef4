"""Noise that more points do not average out: what lasts between healthy windows, and between replicas.

A difference that replicas of one version show among themselves is no regression. Points of one replica share whatever sets it apart from its siblings: its node, its cache, its share of the keys. Between the arms that
does not average out with more points, only with more replicas. So each replica is one observation, and its siblings of the same arm say how
much replicas vary [1]_: by a two-sample t test of their levels, or by the dispersion of their events.

Healthy windows differ too, though nothing is wrong. Such noise adds to the variance of an estimate. Both variances are estimates themselves, so their sum is known with the degrees of freedom of
Satterthwaite [2]_, which t distributions then allow for.

References
----------
.. [1] S. H. Hurlbert, "Pseudoreplication and the design of ecological field experiments", Ecological Monographs 54 (1984), 187-211.
.. [2] F. E. Satterthwaite, "An approximate distribution of estimates of variance components", Biometrics Bulletin 2 (1946), 110-114.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from canaryjudge.stats.bounds import FloatArray, bisect, floats, t_pvalues
from canaryjudge.stats.dispersion import Dispersion, Family

__all__ = ["LastingNoise", "ReplicaTest", "excess", "joined", "replica_dispersion", "replica_test"]


@dataclass(frozen=True, slots=True)
class ReplicaTest:
    """What the replicas' levels say; k limits and l levels.

    Attributes
    ----------
    estimate : ndarray, shape (...)
        Change of the mean level.
    pvalue_greater, pvalue_less : ndarray, shape (..., k)
        For the null hypotheses "the change is at most the limit" and "at least".
    low, high : ndarray, shape (..., k, l)
        One-sided confidence bounds of the change.
    spread : ndarray, shape (...)
        Standard deviation between replicas of one arm, in the levels' unit.
    df : float
        Degrees of freedom with which it is known.
    """

    estimate: FloatArray
    pvalue_greater: FloatArray
    pvalue_less: FloatArray
    low: FloatArray
    high: FloatArray
    spread: FloatArray
    df: float


def replica_test(
    baseline: ArrayLike,
    canary: ArrayLike,
    limits: ArrayLike,
    *,
    levels: ArrayLike = (0.01, 0.05),
    scales: ArrayLike = 1.0,
    noise: ArrayLike = 0.0,
    noise_df: ArrayLike = np.inf,
) -> ReplicaTest:
    r"""Test the change of the mean level against limits, by how much replicas of one arm differ.

    With b and c the levels of R and S replicas and d = mean(c) - mean(b), t = (d - limit) / (s sqrt(w^2 / R + 1 / S)) has R + S - 2 degrees of
    freedom, where s^2 = (sum((c - mean(c))^2) + w^2 sum((b - mean(b))^2)) / (R + S - 2) and w is the scale at the limit. It is exact
    where levels are normal, and the canary at the limit is w times the baseline plus a constant.

    What all replicas of an arm feel together at one time does not show between them. With its standard error e (and f degrees of freedom), the
    same is asked again with the variance s^2 (w^2 / R + 1 / S) + e^2 and the degrees of freedom of Welch and Satterthwaite, and the larger
    p-value counts: the first holds where two or three replicas happen to be alike, the second where e is not small. (What each
    replica feels alone is in both parts, which errs on the safe side.)

    Parameters
    ----------
    baseline : array_like, shape (..., R)
        A level for each replica, such as its median.
    canary : array_like, shape (..., S)
        The same of the canary; R + S >= 3, and no arm without a replica.
    limits : array_like, shape (k,)
        Changes to test against, in the levels' unit.
    levels : array_like, shape (l,)
        One-sided error rates of the bounds.
    scales : array_like, shape (k,)
        What the baseline's spread is multiplied by at each limit: ``1 + tolerance`` where the limit is that share of its own level.
    noise : array_like, shape (..., k)
        Standard error of the change, at each limit, by how the arms vary in time.
    noise_df : array_like, shape (..., k)
        Its degrees of freedom.

    Returns
    -------
    ReplicaTest
        P-values, bounds and the spread. Replicas that are all the same leave no doubt: p-values of 0 or 1.

    Raises
    ------
    ValueError
        There are fewer than three replicas, or an arm has none.

    Examples
    --------
    As `t.test(c(14, 16), c(10, 11, 9, 10), var.equal = TRUE, alternative = "greater")` in R:

    >>> found = replica_test([10, 11, 9, 10], [14, 16], [0.0])
    >>> round(float(found.pvalue_greater[0]), 7), found.df
    (0.0022343, 4.0)
    """
    first, second = np.asarray(baseline, dtype=np.float64), np.asarray(canary, dtype=np.float64)
    sizes = first.shape[-1], second.shape[-1]
    if min(sizes) < 1 or sum(sizes) < 3:
        raise ValueError(f"three replicas are needed, found {sizes[0]} and {sizes[1]}")
    at = np.asarray(limits, dtype=np.float64)
    weight = np.broadcast_to(np.asarray(scales, dtype=np.float64), at.shape)
    df = float(sum(sizes) - 2)
    means = first.mean(axis=-1, keepdims=True), second.mean(axis=-1, keepdims=True)
    own = [
        np.square(arm - mean).sum(axis=-1, keepdims=True)
        for arm, mean in zip((first, second), means, strict=True)
    ]
    between = (own[1] + weight**2 * own[0]) / df * (weight**2 / sizes[0] + 1 / sizes[1])
    within = np.square(np.asarray(noise, dtype=np.float64))
    doubt = between**2 / df + within**2 / np.asarray(noise_df, dtype=np.float64)
    together = between + within
    known = np.where(doubt > 0, together**2 / np.where(doubt > 0, doubt, 1.0), df)
    # without noise first, with it second
    errors = np.sqrt(np.stack(np.broadcast_arrays(between, together)))
    dfs = np.stack(np.broadcast_arrays(np.full_like(known, df), known))
    change = means[1] - means[0]
    pvalues = t_pvalues(change - at, errors, dfs)
    critical = -special.stdtrit(dfs[..., np.newaxis], np.asarray(levels, dtype=np.float64))
    reach = (critical * errors[..., np.newaxis]).max(axis=0)
    estimate = change[..., np.newaxis]
    return ReplicaTest(
        change[..., 0],
        pvalues.greater.max(axis=0),
        pvalues.less.max(axis=0),
        estimate - reach,
        estimate + reach,
        np.sqrt((own[0] + own[1])[..., 0] / df),
        df,
    )


def replica_dispersion(
    baseline_events: ArrayLike,
    canary_events: ArrayLike,
    baseline_totals: ArrayLike,
    canary_totals: ArrayLike,
    *,
    family: Family,
) -> Dispersion:
    """Estimate how many times the events of replicas of one arm vary more than independent events do.

    Pearson's chi-squared around each arm's own proportion or rate, over its degrees of freedom R + S - 2, and at least 1.

    Parameters
    ----------
    baseline_events, canary_events : array_like, shapes (R,) and (S,)
        Events of each replica.
    baseline_totals, canary_totals : array_like, shapes (R,) and (S,)
        What they are of (binomial), or their exposures (poisson); positive.
    family : {"binomial", "poisson"}
        How independent events vary.

    Returns
    -------
    Dispersion
        The factor, its degrees of freedom, and the p-value of chi-squared. An arm without events says nothing; without any, the factor is 1 and
        known for certain.

    Examples
    --------
    As `chisq.test(cbind(c(12, 30, 9), 1000 - c(12, 30, 9)))` in R gives X-squared = 15.439 with 2 degrees of freedom:

    >>> found = replica_dispersion([12, 30, 9], [14], [1000] * 3, [1000], family="binomial")
    >>> round(float(found.factor), 4), float(found.df)
    (7.7195, 2.0)
    """
    squares, df = 0.0, 0.0
    for events, totals in (floats(baseline_events, baseline_totals), floats(canary_events, canary_totals)):
        pooled = float(events.sum() / totals.sum())
        variance = totals * pooled * (1 - pooled if family == "binomial" else 1.0)
        if (variance > 0).all():
            squares += float((np.square(events - totals * pooled) / variance).sum())
            df += len(events) - 1.0
    if df == 0:
        return Dispersion(np.ones(()), np.array(np.inf), np.ones(()))
    return Dispersion(np.array(max(squares / df, 1.0)), np.array(df), np.array(special.chdtrc(df, squares)))


_FINEST = 1e-6
"""A scatter that is less than this part of the lasting noise is taken as this part of it."""


@dataclass(frozen=True, slots=True)
class LastingNoise:
    """By how much healthy arms differ beyond what their points' scatter explains.

    Attributes
    ----------
    standard_error : ndarray, shape (..., k) or (k,)
        Standard deviation of the difference of the arms, at each limit, in the unit of the estimate; 0 where there is none.
    df : float, or ndarray, shape (...)
        Degrees of freedom with which it is known.
    """

    standard_error: FloatArray
    df: float | FloatArray

    def least_slope(self, slope: FloatArray) -> FloatArray:
        """Keep the change of a shift for a change of a rank from vanishing, where points that are all the same have no scatter."""
        return np.asarray(np.maximum(slope, _FINEST * self.standard_error.max(axis=-1, initial=0.0)))

    def for_rows(self, batch: tuple[int, ...], limits: int) -> LastingNoise:
        """Give it for each row of a batch, shapes (rows, k) and (rows, 1)."""
        rows = int(np.prod(batch))
        return LastingNoise(
            np.broadcast_to(self.standard_error, (*batch, limits)).reshape(rows, limits),
            np.broadcast_to(self.df, batch).reshape(rows, 1),
        )

    def part(self, rows: slice) -> LastingNoise:
        """Give some rows of a batch."""
        return LastingNoise(self.standard_error[rows], np.asarray(self.df)[rows])


def joined(
    standard_error: ArrayLike, df: ArrayLike, lasting: ArrayLike, lasting_df: ArrayLike
) -> tuple[FloatArray, FloatArray]:
    r"""Join two independent parts of an error.

    Parameters
    ----------
    standard_error, df : array_like
        One part, and its degrees of freedom; infinite where it is known.
    lasting, lasting_df : array_like
        The other.

    Returns
    -------
    tuple of ndarray
        :math:`\sqrt{a^2 + b^2}` and :math:`(a^2 + b^2)^2 / (a^4 / f_a + b^4 / f_b)`, broadcast. Where there is no other part, the first as it is.

    Examples
    --------
    >>> error, df = joined(3.0, 10.0, 4.0, 20.0)
    >>> float(error), round(float(df), 2)
    (5.0, 29.9)
    """
    first, second = np.asarray(standard_error, dtype=np.float64), np.asarray(lasting, dtype=np.float64)
    known = np.asarray(df, dtype=np.float64), np.asarray(lasting_df, dtype=np.float64)
    together = np.hypot(first, second)
    with np.errstate(divide="ignore", invalid="ignore"):
        freedom = 1 / ((first / together) ** 4 / known[0] + (second / together) ** 4 / known[1])
    return together, np.where(second > 0, freedom, known[0])


def excess(differences: ArrayLike, standard_errors: ArrayLike, independent: float) -> tuple[float, float]:
    r"""Measure the lasting noise of one arm from differences between healthy arms.

    Parameters
    ----------
    differences : array_like, shape (n,)
        Differences of pairs of healthy arms, whose expectation is 0.
    standard_errors : array_like, shape (n,)
        What the scatter of their points explains.
    independent : float
        How many independent differences they are worth; neighbors that share a window are worth less than their number.

    Returns
    -------
    tuple of (float, float)
        Standard deviation of one arm's lasting part, 0 where the points explain all, and its degrees of freedom, at least 1.

    Notes
    -----
    The variance of a difference is :math:`V_i = e_i^2 + 2 \tau^2`, and :math:`\tau` solves :math:`n^{-1} \sum d_i^2 / V_i = 1` as Mandel and Paule [3]_ have
    it: pairs whose points scatter widely say little of what lasts. The sum has as many degrees of freedom f as there are independent differences, or
    fewer where they have heavy tails: :math:`2 n / (\kappa - 1)` with the kurtosis of :math:`d_i / \sqrt{V_i}`. By the information of normal differences, :math:`\tau^2` is
    known with :math:`f n^{-1} \sum (2 \tau^2 / V_i)^2` degrees of freedom.

    References
    ----------
    .. [3] J. Mandel and R. C. Paule, "Interlaboratory evaluation of a material with unequal numbers of replicates", Analytical Chemistry 42
           (1970), 1194-1197.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> spread, df = excess(rng.normal(0, np.hypot(3, 1) * 2**0.5, 4000), np.full(4000, 2**0.5), 4000)
    >>> round(spread, 1), 3000 < df < 4000
    (3.0, True)
    """
    squares = np.square(np.asarray(differences, dtype=np.float64))
    errors = np.square(np.asarray(standard_errors, dtype=np.float64))
    df = max(1.0, independent)
    lasting = _solved(squares, errors)
    variance = errors + lasting
    standardized = np.divide(squares, variance, out=np.zeros_like(squares), where=variance > 0)
    mean = float(standardized.mean())
    kurtosis = float(np.square(standardized).mean()) / mean**2 if mean > 0 else 1.0
    if kurtosis > 1 and 2 * independent / (kurtosis - 1) < df:
        df = max(1.0, 2 * independent / (kurtosis - 1))
    if lasting == 0:
        return 0.0, df
    known = df * float(np.square(lasting / (errors + lasting)).mean())
    return float(np.sqrt(lasting / 2)), max(1.0, known)


def _solved(squares: FloatArray, errors: FloatArray) -> float:
    """Find the variance that lasts, by bisection; the mean of the standardized squares falls with it."""
    largest = float(squares.max(initial=0.0))

    def mean(lasting: float) -> float:
        variance = errors + lasting
        return float(np.divide(squares, variance, out=np.zeros_like(squares), where=variance > 0).mean())

    exact = (errors == 0) & (squares > 0)  # differences of arms without any scatter last for certain
    if largest == 0 or (mean(0.0) <= 1 and not exact.any()):
        return 0.0
    return float(
        bisect(lambda lasting: np.asarray(mean(float(lasting)) > 1), np.array(0.0), np.array(largest))
    )
