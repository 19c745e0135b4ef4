r"""Sample-ratio mismatch by segment: whether each segment of the traffic is split as it should be.

A split may be right in sum and wrong in each segment: a router that sends too much of one region to the canary and too little of another. Each segment's counts are held against the share expected, and the segments' evidence is joined:
chi-squared statistics add up, and of Bayes factors, which may be read at any time, the product and the mean are ones as well. A segment is named by a closed test.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from canaryjudge.stats.bounds import FloatArray, floats
from canaryjudge.stats.closed_testing import closed_evidence, holm
from canaryjudge.stats.count_processes import CONCENTRATION, log_bayes_factor

__all__ = ["SegmentSplit", "segment_split", "sequential_segment_split"]

_FEWEST_EXPECTED = 5.0
"""Expected counts from which on a segment's chi-squared is added to the others'."""


@dataclass(frozen=True, slots=True)
class SegmentSplit:
    """How the segments' traffic is split.

    Attributes
    ----------
    share : ndarray, shape (..., S)
        The canary's share of each; NaN of one without traffic.
    pvalue : ndarray, shape (...)
        For "every segment is split as expected".
    segments : ndarray, shape (..., S)
        For "this segment is split as expected", adjusted: of all that are named at a level, any is split as expected with at most that chance. NaN of one without traffic.
    pooled : ndarray, shape (...)
        For the sum of all segments alone, which what is wrong in opposite ways does not show in.
    """

    share: FloatArray
    pvalue: FloatArray
    segments: FloatArray
    pooled: FloatArray


def segment_split(baseline: ArrayLike, canary: ArrayLike, expected: ArrayLike) -> SegmentSplit:
    """Test the split of a finished window, segment by segment.

    Parameters
    ----------
    baseline, canary : array_like, shape (..., S)
        Requests or users of each segment, independent ones, in whole numbers.
    expected : array_like, shape (..., S) or fewer axes
        The canary's share that is expected, in (0, 1). Where it is not known, `canaryjudge.stats.standardization.mix_test` asks whether it is the same in all.

    Returns
    -------
    SegmentSplit
        P-values: of a segment the exact binomial one of both sides (twice the smaller tail), adjusted by Holm's procedure; of all together half that level for the least of them and half for the sum of chi-squared.

    Examples
    --------
    Right in sum, wrong in each:

    >>> found = segment_split([9400, 8600], [600, 1400], 0.1)
    >>> found.pooled.item(), bool(found.pvalue < 1e-6), (found.segments < 1e-6).tolist()
    (1.0, True, [True, True])
    """
    nb, nc, share = floats(baseline, canary, expected)
    own = holm(_binomial(nb, nc, share))
    total = nb + nc
    enough = total * np.minimum(share, 1 - share) >= _FEWEST_EXPECTED
    variance = np.where(enough, total * share * (1 - share), 1.0)
    squares = np.where(enough, np.square(nc - total * share) / variance, 0.0).sum(axis=-1)
    count = enough.sum(axis=-1)
    together = np.where(count > 0, special.chdtrc(np.maximum(count, 1), squares), 1.0)
    least = np.where(np.isnan(own), 1.0, own).min(axis=-1, initial=1.0)
    return SegmentSplit(
        _observed(nb, nc),
        np.minimum(1.0, 2 * np.minimum(together, least)),
        own,
        _binomial(*_sums(nb, nc, share)),
    )


def sequential_segment_split(
    baseline: ArrayLike, canary: ArrayLike, expected: ArrayLike, concentration: float = CONCENTRATION
) -> SegmentSplit:
    """Test the split so far, segment by segment, at any time and as often as one likes.

    Parameters
    ----------
    baseline, canary : array_like, shape (..., S)
        Requests or users of each segment so far.
    expected : array_like
        As `segment_split` takes it.
    concentration : float
        Weight of the prior, as `canaryjudge.stats.count_processes.log_bayes_factor` takes it.

    Returns
    -------
    SegmentSplit
        P-values of all times: of all segments together the reciprocal of the mean of two e-values, the product of the segments' Bayes factors, which finds what is a little wrong in many, and their mean, which finds what
        is wrong in one; of a segment that of the adjusted e-value. The smallest so far of each is one as well.

    Examples
    --------
    >>> found = sequential_segment_split([9400, 8600], [600, 1400], 0.1)
    >>> bool(found.pooled > 0.05), bool(found.pvalue < 1e-6), (found.segments < 1e-6).tolist()
    (True, True, [True, True])
    """
    nb, nc, share = floats(baseline, canary, expected)
    logs = log_bayes_factor(np.stack([nb, nc], axis=-1), np.stack([1 - share, share], axis=-1), concentration)
    mean = np.logaddexp.reduce(logs, axis=-1) - np.log(max(logs.shape[-1], 1))
    both = np.logaddexp(logs.sum(axis=-1), mean) - np.log(2.0)
    whole, of_canary, part = _sums(nb, nc, share)
    sums, parts = np.stack([whole, of_canary], axis=-1), np.stack([1 - part, part], axis=-1)
    pooled = log_bayes_factor(sums, parts, concentration)
    together, own, of_sums = (
        np.exp(np.minimum(-each, 0.0)) for each in (both, closed_evidence(logs), pooled)
    )
    return SegmentSplit(_observed(nb, nc), together, np.where(nb + nc > 0, own, np.nan), of_sums)


def _observed(nb: FloatArray, nc: FloatArray) -> FloatArray:
    total = nb + nc
    return np.where(total > 0, nc / np.where(total > 0, total, 1.0), np.nan)


def _sums(nb: FloatArray, nc: FloatArray, share: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Give both arms' sums, and the share that the segments' shares make of them."""
    total = nb + nc
    whole = total.sum(axis=-1)
    part = (total * share).sum(axis=-1) / np.where(whole > 0, whole, 1.0)
    return nb.sum(axis=-1), nc.sum(axis=-1), np.where(whole > 0, part, share.mean(axis=-1))


def _binomial(nb: FloatArray, nc: FloatArray, share: FloatArray) -> FloatArray:
    """Give twice the smaller tail of the binomial law, at most 1; NaN without traffic."""
    some_b, some_c = np.maximum(nb, 0.5), np.maximum(nc, 0.5)
    at_most = np.where(nb > 0, special.betainc(some_b, nc + 1, 1 - share), 1.0)
    at_least = np.where(nc > 0, special.betainc(some_c, nb + 1, share), 1.0)
    return np.where(nb + nc > 0, np.minimum(1.0, 2 * np.minimum(at_most, at_least)), np.nan)
