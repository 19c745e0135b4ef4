"""Scores an interval: counted one by one, and evidence about their mean by the formula."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy import stats

from canaryjudge.stats.interval_scores import _tick, exceedance_scores, mean_evidence
from canaryjudge.stats.long_run import long_run_variance

reproducible = settings(derandomize=True, deadline=None, max_examples=60)
SCALES, SHIFTS = np.array([1.0, 1.2, 0.5, 1.0, 1.0]), np.array([0.0, 0.0, 0.0, 1.0, -0.5])


def one_by_one(baseline, canary, scale, shift, *, tick=0.0):
    known = np.unique(baseline)
    wins = []
    for c in canary.tolist():
        for b in baseline.tolist():
            near = min(abs(known[known != b] - b).min(initial=tick), tick)
            ahead = (c - shift) / scale - b
            wins.append(np.clip(ahead / near + 0.5, 0, 1) if near else (np.sign(ahead) + 1) / 2)
    return sum(wins) / len(wins) - 0.5


few_values = st.lists(st.sampled_from([-1.0, 0.0, 0.5, 1.0, 1.5, 2.0, 4.0]), min_size=1, max_size=12)


@reproducible
@given(few_values, few_values)
def test_exceedances_are_counted_with_ties_as_half(baseline, canary):
    baseline, canary = np.array(baseline), np.array(canary)
    scales, shifts = np.array([1.0, 2.0, 0.5, 1.0, 1.0]), np.array([0.0, 0.0, 0.0, 0.5, -1.0])
    found = exceedance_scores(baseline, canary, scales, shifts)
    tick = _tick(np.sort(baseline), np.sort(canary))
    wanted = [one_by_one(baseline, canary, *change, tick=tick) for change in zip(scales, shifts, strict=True)]
    assert_allclose(found, wanted, atol=1e-12)


def test_values_of_a_clock_are_spread_over_its_ticks():
    ticks = np.repeat([1.0, 2.0, 3.0], 10)
    found = exceedance_scores(ticks, ticks, np.ones(3), np.array([0.0, 0.25, 1.0]))
    assert_allclose(found, [0, -1 / 12, -5 / 18], atol=1e-12)


def test_exceedances_do_not_depend_on_the_order_of_the_values():
    rng = np.random.default_rng(3)
    baseline, canary = rng.lognormal(size=50), rng.lognormal(size=70)
    found = exceedance_scores(baseline, canary, SCALES, SHIFTS)
    again = exceedance_scores(rng.permutation(baseline), rng.permutation(canary), SCALES, SHIFTS)
    assert (found == again).all()


@pytest.mark.parametrize("decimals", [8, 1])
def test_exceedances_of_many_values_are_right_to_half_a_cell(decimals):
    """Of more than 1,024 canary values, those between two of 1,024 edges count as equal."""
    rng = np.random.default_rng(4)
    baseline = rng.lognormal(size=1500).round(decimals)
    canary = rng.lognormal(0.1, 1.0, size=3000).round(decimals)
    found = exceedance_scores(baseline, canary, SCALES, SHIFTS)
    wanted = [
        (
            np.searchsorted(np.sort(scale * baseline + shift), canary, "left").sum()
            + np.searchsorted(np.sort(scale * baseline + shift), canary, "right").sum()
        )
        / (2 * len(baseline) * len(canary))
        - 0.5
        for scale, shift in zip(SCALES, SHIFTS, strict=True)
    ]
    assert_allclose(found, wanted, atol=1 / 1024)


def test_equal_arms_score_nothing_and_separate_ones_everything():
    values = np.arange(2000.0)
    one, none = np.ones(1), np.zeros(1)
    assert exceedance_scores(values, values, one, none) == pytest.approx(0.0, abs=1e-12)
    assert exceedance_scores(values, values + 5000, one, none) == pytest.approx(0.5)
    assert exceedance_scores(values, values - 5000, one, none) == pytest.approx(-0.5)
    assert exceedance_scores(np.ones(3), np.ones(2000), one, none) == pytest.approx(0.0)


def by_hand(scores, each, sign):
    """The formula of the docstring, scale by scale."""
    deviates = []
    for scale in {1: (1, 3), 2: (1, 2), 4: (1,)}[each]:
        n = len(scores) // scale
        means = scores[len(scores) - n * scale :].reshape(n, scale).mean(axis=1)
        found = long_run_variance(means)
        t = scores.mean() / math.sqrt(max(float(found.variance), 1e-12) / n)
        deviates.append(stats.norm.isf(min(max(stats.t.cdf(-sign * t, float(found.df)), 1e-300), 1 - 1e-16)))
    intervals, rho = len(scores) * each, 2.0
    s = min(deviates) * math.sqrt(intervals)
    return (
        0.5 * math.log(4 * rho / (intervals + rho))
        + s**2 / (2 * (intervals + rho))
        + stats.norm.logcdf(s / math.sqrt(intervals + rho))
    )


@pytest.mark.parametrize("each", [1, 2, 4])
@pytest.mark.parametrize("n", [20, 31, 60])
def test_evidence_about_the_mean_is_the_half_normal_mixture_at_the_more_cautious_scale(n, each):
    scores = np.random.default_rng(n).normal(0.4, 1.0, n)
    found = mean_evidence(scores, each=each)
    assert_allclose(found.above, by_hand(scores, each, 1), rtol=1e-9)
    assert_allclose(found.below, by_hand(scores, each, -1), rtol=1e-9)
    assert_allclose(found.mean, scores.mean())


def test_evidence_mirrors_and_rows_do_not_mix():
    scores = np.random.default_rng(2).normal(0.3, 1.0, (5, 40))
    found, mirrored = mean_evidence(scores), mean_evidence(-scores)
    assert_allclose(found.above, mirrored.below)
    assert_allclose(found.below, mirrored.above)
    alone = [mean_evidence(row) for row in scores]
    assert_allclose(found.above, [row.above for row in alone])
    assert_allclose(found.rho, [row.rho for row in alone])


def test_scores_without_any_spread_are_evidence_only_of_what_they_are():
    found = mean_evidence(np.array([np.zeros(30), np.full(30, 0.5), np.full(30, -0.5)]))
    assert np.isfinite(found.above).all()
    assert found.above[0] < 0 > found.below[0]
    assert found.above[1] > math.log(1000) > 0 > found.below[1]
    assert found.below[2] > math.log(1000) > 0 > found.above[2]


def test_equal_weights_are_no_weights():
    scores = np.random.default_rng(5).normal(0.2, 1.0, 40)
    plain, weighted = mean_evidence(scores), mean_evidence(scores, np.full(40, 7.0))
    assert_allclose(plain.above, weighted.above)
    doubled = mean_evidence(scores, np.tile([2.0, 0.0], 20))
    assert_allclose(doubled.mean, scores[::2].mean())
