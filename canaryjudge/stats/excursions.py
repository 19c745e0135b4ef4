r"""Points of one sample that lie beyond everything that the other shows: how many, how far, and how surprising that is.

Were both samples draws of one distribution, each of the k largest points would be as likely from either; that none of them is from the baseline
is surprising where k is large (a precedence test [1]_). How *far* they lie counts too: with the baseline's largest point M and its median as the
origin, a point beyond c M is rarer than one beyond M by :math:`c^{-a}` where the tail is no heavier than a power law with the index a [2]_.
The index is 2: heavier tails have no variance. Points that depend on each other count for fewer, by the dependence that the *baseline* shows:
the excursion itself must not excuse itself.

References
----------
.. [1] Nelson (1963), Technometrics 5:491 (precedence life tests); Balakrishnan and Ng (2006), Precedence-Type Tests and Applications.
.. [2] Hill (1975), Annals of Statistics 3:1163 (tails as power laws).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betainc

from canaryjudge.stats.bounds import FloatArray
from canaryjudge.stats.long_run import dependence
from canaryjudge.stats.quantiles import medians
from canaryjudge.stats.ties import about

__all__ = ["ExcursionTest", "excursion_orders", "excursion_pvalue", "excursion_test"]

IntArray = NDArray[np.intp]

_TAIL_INDEX = 2.0
_POINTS_PER_INDEX = 4.0
"""With so few effective points as 8, the distance of the median from the largest point is known so roughly that the ratio of two such distances
has a heavier tail itself, as a t distribution has with few degrees of freedom."""
_UNSEEN_DEPENDENCE = 4.0
"""The autocorrelation of n points is known to about 1 / sqrt(n), and errors below it are the costly ones: 4 / n is added to it."""
_MOST_DEPENDENCE = 0.97
_LEAST_DEPENDENCE = 0.01
_FORGOTTEN_AFTER = 2.3
"""Points that are so far apart that their correlation is below a tenth (-log .1) count as independent of each other."""
_FIRST_ORDER = 3
_STRETCH = 8
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(32)
_LOG_SURVIVAL = _STRETCH * np.log((1 - _NODES) / 2)
"""Logarithms of what is left of the beta distribution at the nodes of a Gauss-Legendre rule, which are dense where little is left."""
_MASS = _STRETCH * ((1 - _NODES) / 2) ** (_STRETCH - 1) * _WEIGHTS / 2


@dataclass(frozen=True, slots=True)
class ExcursionTest:
    """What the excursions of a batch of pairs say, at each of k margins.

    Attributes
    ----------
    pvalue : ndarray, shape (..., k)
        For the null hypothesis that the canary's points, less the margin, are like the baseline's.
    order : ndarray of int, shape (..., k)
        How many of the largest points of the canary say so, of the numbers that were asked; 0 where the p-value is 1.
    beyond : ndarray of int, shape (..., k)
        How many points of the canary lie beyond the baseline's largest one and the margin.
    rho : ndarray, shape (...)
        The autocorrelation that was allowed for.
    """

    pvalue: FloatArray
    order: IntArray
    beyond: IntArray
    rho: FloatArray


def excursion_orders(points: int) -> list[int]:
    """Give how many of the largest points are asked about: 3, 6, 12, ... as far as there are so many.

    Examples
    --------
    >>> excursion_orders(60)
    [3, 6, 12, 24, 48]
    """
    orders = []
    order = _FIRST_ORDER
    while order <= points:
        orders.append(order)
        order *= 2
    return orders


def excursion_pvalue(n: ArrayLike, m: ArrayLike, k: ArrayLike, rarity: ArrayLike = 1.0) -> FloatArray:
    r"""Give the chance that k of m points lie beyond c times the largest of n others, c at least 1.

    Parameters
    ----------
    n, m, k : array_like
        Sizes of the baseline and the canary, and how many points of the canary lie out there; they may be effective numbers, not whole.
    rarity : array_like
        How much rarer points beyond c M are than points beyond M, at most: :math:`c^{-a}`.

    Returns
    -------
    ndarray
        :math:`\int_0^1 P(\mathrm{Bin}(m, u q) \ge k) \, n (1 - u)^{n - 1} du` with q the rarity: u is the share of the distribution beyond the
        largest of n points, which follows a beta distribution (1, n).

    Examples
    --------
    Three of six, and no rarity: of twelve points in any order, the three largest are all of one half in 6 5 4 of 12 11 10 cases.

    >>> round(float(excursion_pvalue(6, 6, 3)), 6), round(6 * 5 * 4 / (12 * 11 * 10), 6)
    (0.090909, 0.090909)
    """
    size, points, count, share = (np.asarray(part, dtype=np.float64)[..., None] for part in (n, m, k, rarity))
    beyond = -np.expm1(_LOG_SURVIVAL / size) * share
    chance = betainc(count, np.maximum(points - count, 0.0) + 1, np.clip(beyond, 0.0, 1.0))
    return np.asarray((chance * _MASS).sum(axis=-1))


def _clusters(places: IntArray, apart: FloatArray) -> FloatArray:
    """Count clusters of points: groups that are farther apart than points remember; places (..., q), apart (..., k), the result (..., k)."""
    inorder = np.sort(places, axis=-1)
    gaps = (inorder[..., 1:] - inorder[..., :-1])[..., None, :]
    return np.asarray(1.0 + (gaps > apart[..., None]).sum(axis=-1))


def excursion_test(
    baseline: ArrayLike,
    canary: ArrayLike,
    margins: ArrayLike,
    *,
    most_independent: ArrayLike = 1.0,
) -> ExcursionTest:
    """Test whether points of the canary lie farther above all of the baseline's than a margin explains.

    Parameters
    ----------
    baseline : array_like, shape (..., n)
        Points in order of time.
    canary : array_like, shape (..., m)
        Points in order of time.
    margins : array_like, shape (..., k) or (k,)
        How far points may lie beyond the baseline's largest one, in the samples' unit, not negative.
    most_independent : array_like, shape (...)
        No more than this share of the points are taken as independent, whatever the autocorrelation: where the points are of several replicas,
        replicas over points.

    Returns
    -------
    ExcursionTest
        The p-values; those of the 3, 6, 12, ... largest points, the smallest of which counts as many times as there are (Bonferroni).

    Notes
    -----
    With r the baseline's lag-1 autocorrelation (Kendall's correction and 4 / n added), all numbers of points are divided by (1 + r) / (1 - r). Points
    that are so far apart that r has faded to a tenth are of different clusters, and k is at least the number of clusters. Under eight effective points the tail index is a quarter of their number. Of a baseline that does not vary, distances say
    nothing, so that only the number of points counts, and the dependence is that of the canary's points being beyond or not.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> baseline, canary = rng.normal(100, 5, (2, 60))
    >>> canary[20:26] += 100
    >>> test = excursion_test(baseline, canary, [50.0])
    >>> int(test.beyond[0]), bool(test.pvalue[0] < 1e-4)
    (6, True)
    """
    first, second = np.asarray(baseline, dtype=np.float64), np.asarray(canary, dtype=np.float64)
    margin = np.asarray(margins, dtype=np.float64)
    n, m = first.shape[-1], second.shape[-1]
    middle, largest = medians(first)[..., None], first.max(axis=-1)[..., None]
    reach = largest - middle
    flat = reach <= 0
    beyond = about(largest, margin)[1]
    far = second[..., None, :] > beyond[..., None]
    shown = np.where(flat, dependence(far), dependence(first)[..., None])
    rho = np.minimum(shown + _UNSEEN_DEPENDENCE / n, _MOST_DEPENDENCE)
    most = np.asarray(most_independent, dtype=np.float64)[..., None]
    independent = np.minimum((1 - rho) / (1 + rho), most)[..., None]
    orders = np.array(excursion_orders(m), dtype=np.intp)
    places = np.argsort(-second, axis=-1, kind="stable")
    ordered = np.take_along_axis(second, places, axis=-1)[..., None, :]
    height = ordered[..., orders - 1] - (middle + margin)[..., None]
    out = ordered[..., orders - 1] > beyond[..., None]
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        times = np.where(out & ~flat[..., None], np.maximum(height / reach[..., None], 1.0), 1.0)
    size = np.maximum(n * independent, 1.0)
    index = np.minimum(_TAIL_INDEX, size / _POINTS_PER_INDEX)
    apart = _FORGOTTEN_AFTER / -np.log(np.clip(rho, _LEAST_DEPENDENCE, None))
    together = (
        np.stack([_clusters(places[..., :order], apart) for order in orders], axis=-1) if len(orders) else 0
    )
    count = np.maximum(orders * independent, np.minimum(together, np.maximum(m * most, 1.0)[..., None]))
    asked = (size, np.maximum(m * independent, count), count, times**-index)
    pvalues = np.ones(out.shape)
    chance = excursion_pvalue(*(np.broadcast_to(part, out.shape)[out] for part in asked))
    pvalues[out] = np.minimum(len(orders) * chance, 1.0)
    if not len(orders):
        pvalues, orders = np.ones((*pvalues.shape[:-1], 1)), np.zeros(1, dtype=np.intp)
    best = pvalues.argmin(axis=-1)
    pvalue = pvalues.min(axis=-1)
    return ExcursionTest(
        pvalue,
        np.where(pvalue < 1, orders[best], 0),
        far.sum(axis=-1),
        rho.min(axis=-1),
    )
