r"""Many claims under one error rate: a verdict over all and one a segment, such that any false claim has at most the chance alpha.

The closure principle [1]_: a claim is made if every intersection of hypotheses that its own is in is rejected at alpha. With Bonferroni's inequality for the intersections it is Holm's procedure [2]_, which
holds whatever the dependence; with Simes' it is Hommel's [3]_, which asks less and holds for independent p-values, and positively dependent ones. A release and its segments are a small graph [4]_:
the release has a part w of alpha and its segments the rest; what is claimed leaves its part to what is not claimed yet.

References
----------
.. [1] R. Marcus, E. Peritz and K. R. Gabriel, "On closed testing procedures with special reference to ordered analysis of variance", Biometrika 63 (1976), 655-660.
.. [2] S. Holm, "A simple sequentially rejective multiple test procedure", Scandinavian J. Statistics 6 (1979), 65-70.
.. [3] G. Hommel, "A stagewise rejective multiple test procedure based on a modified Bonferroni test", Biometrika 75 (1988), 383-386.
.. [4] F. Bretz, W. Maurer, W. Brannath and M. Posch, "A graphical approach to sequentially rejective multiple test procedures", Statistics in Medicine 28 (2009), 586-604.
.. [5] V. Vovk and R. Wang, "E-values: calibration, combination and applications", Annals of Statistics 49 (2021), 1736-1754.
.. [6] S. A. Stouffer et al., "The American soldier", volume 1 (1949), 45; with weights T. Lipták, "On the combination of independent tests", Magyar Tud. Akad. Mat. Kutató Int. Közl. 3 (1958), 171-197.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from canaryjudge.stats.bounds import FloatArray

__all__ = ["closed_evidence", "holm", "hommel", "release_first", "stouffer"]

_SMALLEST, _LARGEST = 1e-300, 1 - 1e-16
"""Beyond these p-values have no normal deviate that is a float."""


def holm(pvalues: ArrayLike, weights: ArrayLike | None = None) -> FloatArray:
    """Adjust p-values by Holm's procedure: whatever their dependence, claims of those up to alpha err with at most that chance.

    Parameters
    ----------
    pvalues : array_like, shape (..., S)
        P-values; NaN is no claim, and costs the others nothing.
    weights : array_like, shape (S,) or (..., S), optional
        Parts of alpha, positive; equal ones by default.

    Returns
    -------
    ndarray, shape (..., S)
        Adjusted p-values; NaN where there is no claim.

    Examples
    --------
    `p.adjust(c(.01, .04, .03), "holm")` in R:

    >>> holm([0.01, 0.04, 0.03]).tolist()
    [0.03, 0.06, 0.06]
    """
    p = np.asarray(pvalues, dtype=np.float64)
    asked = ~np.isnan(p)
    given = np.ones_like(p) if weights is None else np.asarray(weights, dtype=np.float64)
    parts = np.where(asked, np.broadcast_to(given, p.shape), 0.0)
    ratio = np.where(asked, p / np.where(asked, parts, 1.0), np.inf)
    order = np.argsort(ratio, axis=-1, kind="stable")
    inorder = np.take_along_axis(parts, order, axis=-1)
    left = np.cumsum(inorder[..., ::-1], axis=-1)[..., ::-1]
    steps = np.where(left > 0, np.take_along_axis(ratio, order, axis=-1), 0.0) * left
    adjusted = np.empty_like(p)
    np.put_along_axis(adjusted, order, np.minimum(np.maximum.accumulate(steps, axis=-1), 1.0), axis=-1)
    return np.where(asked, adjusted, np.nan)


def hommel(pvalues: ArrayLike) -> FloatArray:
    """Adjust p-values by Hommel's procedure, the closure of Simes' test, for independent or positively dependent ones.

    Parameters
    ----------
    pvalues : array_like, shape (..., S)
        P-values.

    Returns
    -------
    ndarray, shape (..., S)
        Adjusted p-values, none larger than Holm's.

    Examples
    --------
    `p.adjust(c(.01, .04, .03), "hommel")` in R:

    >>> hommel([0.01, 0.04, 0.03]).tolist()
    [0.03, 0.04, 0.04]
    """
    p = np.asarray(pvalues, dtype=np.float64)
    count = p.shape[-1]
    order = np.argsort(p, axis=-1, kind="stable")
    inorder = np.take_along_axis(p, order, axis=-1)
    place = np.arange(1, count + 1)
    least = (count * inorder / place).min(axis=-1, keepdims=True, initial=np.inf)
    found = np.broadcast_to(least, p.shape).copy()
    # Wright's (1992) algorithm, as that of R
    for size in range(count - 1, 1, -1):
        split = count - size + 1
        tail = (size * inorder[..., split:] / np.arange(2, size + 1)).min(axis=-1, keepdims=True)
        own = np.concatenate(
            [np.minimum(size * inorder[..., :split], tail), np.broadcast_to(tail, (*p.shape[:-1], size - 1))],
            axis=-1,
        )
        own[..., split:] = np.minimum(own[..., split:], own[..., split - 1 : split])
        found = np.maximum(found, own)
    adjusted = np.empty_like(p)
    np.put_along_axis(adjusted, order, np.maximum(found, inorder), axis=-1)
    return adjusted


def release_first(
    release: ArrayLike, segments: ArrayLike, *, share: float = 0.5, weights: ArrayLike | None = None
) -> tuple[FloatArray, FloatArray]:
    r"""Adjust the p-value of a release and those of its segments for each other.

    Parameters
    ----------
    release : array_like, shape (...)
        P-value for "the segments' mean effect is within the limit", whose claim is one about the release as a whole.
    segments : array_like, shape (..., S)
        P-values for "this segment's effect is within the limit"; NaN is no claim.
    share : float
        The release's part w of alpha, in (0, 1]. With 1 the segments are only asked once the release has failed.
    weights : array_like, shape (S,) or (..., S), optional
        Parts of what the segments have; equal ones by default.

    Returns
    -------
    tuple of ndarray, shapes (...) and (..., S)
        Adjusted p-values. Of all claims whose adjusted p-value is at most alpha, the chance that any is false is at most alpha, whatever the p-values' dependence.

    Notes
    -----
    With Holm's adjusted p-values h of the segments, the graph's are :math:`\min(h_s / (1 - w), \max(h_s, p / w))`, and :math:`\min(p / w, \max(p, \max_s h_s / (1 - w)))` of the release.

    Examples
    --------
    The segments' mean hides the second of them, and Holm's procedure at half the level finds it:

    >>> release, segments = release_first(0.2, [0.3, 0.001, 0.4])
    >>> float(release), segments.tolist()
    (0.4, [0.6, 0.006, 0.6])
    """
    whole, parts = np.asarray(release, dtype=np.float64), holm(segments, weights)
    none = np.isnan(parts)
    alone = parts / (1 - share) if share < 1 else np.where(none, np.nan, np.inf)
    led = whole / share
    last = np.where(none, 0.0, alone).max(axis=-1, initial=0.0)
    own = np.where(none.all(axis=-1), led, np.minimum(led, np.maximum(whole, last)))
    return np.minimum(own, 1.0), np.minimum(np.minimum(alone, np.maximum(parts, led[..., None])), 1.0)


def stouffer(pvalues: ArrayLike, weights: ArrayLike | None = None) -> FloatArray:
    r"""Combine independent p-values of segments into one of "no segment is beyond its limit".

    Parameters
    ----------
    pvalues : array_like, shape (..., S)
        One-sided p-values, each of whatever test fits its segment; NaN is none.
    weights : array_like, shape (S,) or (..., S), optional
        Weights that do not depend on them, such as the roots of the traffic; equal ones by default.

    Returns
    -------
    ndarray, shape (...)
        The normal tail of :math:`\sum a_s z_s / \sqrt{\sum a_s^2}` with the p-values' normal deviates z [6]_; 1 where there is none.

    Examples
    --------
    >>> stouffer([0.05, 0.05, 0.05]).round(5).item()
    0.00219
    """
    p = np.asarray(pvalues, dtype=np.float64)
    there = ~np.isnan(p)
    given = np.ones_like(p) if weights is None else np.asarray(weights, dtype=np.float64)
    parts = np.where(there, np.broadcast_to(given, p.shape), 0.0)
    deviates = special.ndtri(np.clip(np.where(there, p, 0.5), _SMALLEST, _LARGEST))
    length = np.sqrt(np.square(parts).sum(axis=-1))
    some = length > 0
    combined = (parts * deviates).sum(axis=-1) / np.where(some, length, 1.0)
    return np.where(some, special.ndtr(combined), 1.0)


def closed_evidence(log_evidence: ArrayLike) -> FloatArray:
    r"""Adjust e-values of segments for each other, by the closure of their mean.

    Parameters
    ----------
    log_evidence : array_like, shape (..., S)
        Logarithms of e-values, such as Bayes factors so far.

    Returns
    -------
    ndarray, shape (..., S)
        Logarithms of adjusted e-values :math:`\min_{I \ni s} |I|^{-1} \sum_{i \in I} e_i`: of claims where they reach :math:`1 / \alpha`, at any time, the chance that any is false is at most alpha, whatever the
        dependence [5]_.

    Examples
    --------
    >>> np.exp(closed_evidence(np.log([8.0, 100.0, 1.0]))).round(6).tolist()
    [4.5, 36.333333, 1.0]
    """
    logs = np.asarray(log_evidence, dtype=np.float64)
    order = np.argsort(logs, axis=-1, kind="stable")
    inorder = np.take_along_axis(logs, order, axis=-1)
    smaller = np.logaddexp.accumulate(inorder, axis=-1)
    found = inorder.copy()
    # of as many others the smallest have the smallest mean, and larger ones than its own only help it
    for others in range(1, logs.shape[-1]):
        mean = np.logaddexp(inorder[..., others:], smaller[..., others - 1 : others]) - np.log1p(others)
        found[..., others:] = np.minimum(found[..., others:], mean)
    adjusted = np.empty_like(logs)
    np.put_along_axis(adjusted, order, found, axis=-1)
    return adjusted
