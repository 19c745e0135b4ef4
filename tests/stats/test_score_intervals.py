"""Wilson's interval agrees with R, and errs no more often than it promises once the exact one guards it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from canaryjudge.stats.proportions import proportion_bounds, proportion_pvalues
from canaryjudge.stats.score_intervals import score_bounds, score_pvalues, wilson_bounds, wilson_pvalues

# prop.test(x, n, conf.level = 1 - 2 * level)$conf.int, R 4
R_BOUNDS = [
    (30, 1000, 0.05, 0.0218891113384881, 0.0407885336938625),
    (100, 100_000, 0.01, 0.000788506658939534, 0.001266654708392854),
    (990, 1000, 0.01, 0.978936198601853, 0.995450627644816),
    (3, 17, 0.05, 0.0556246239515235, 0.4014361620551506),
]
# prop.test(x, n, p, alternative)$p.value
R_PVALUES = [
    (30, 1000, 0.02, "greater", 0.0159432214528638),
    (100, 100_000, 0.0008, "greater", 0.014590270872582),
    (100, 100_000, 0.0012, "less", 0.0374425592690678),
]


@pytest.mark.parametrize(("x", "n", "level", "low", "high"), R_BOUNDS)
def test_bounds_are_those_of_r(x, n, level, low, high):
    bounds = wilson_bounds(x, n, level)
    assert float(bounds.low) == pytest.approx(low, rel=1e-12)
    assert float(bounds.high) == pytest.approx(high, rel=1e-12)


@pytest.mark.parametrize(("x", "n", "value", "side", "pvalue"), R_PVALUES)
def test_pvalues_are_those_of_r(x, n, value, side, pvalue):
    assert float(getattr(wilson_pvalues(x, n, value), side)) == pytest.approx(pvalue, rel=1e-11)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    st.integers(1, 10_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))),
    st.floats(1e-6, 1 - 1e-6),
    st.sampled_from([0.05, 0.01, 0.0005]),
)
def test_bounds_invert_the_pvalues_and_are_never_finer_than_the_exact_ones(events, value, level):
    x, n = events
    bounds, pvalues, exact = (
        score_bounds(x, n, level),
        score_pvalues(x, n, value),
        proportion_bounds(x, n, level),
    )
    if abs(value - bounds.low) > 1e-9:
        assert (pvalues.greater < level) == (bounds.low > value)
    if abs(value - bounds.high) > 1e-9:
        assert (pvalues.less < level) == (bounds.high < value)
    assert bounds.low <= exact.low <= exact.high <= bounds.high


def test_the_guarded_pvalues_are_the_more_careful_ones():
    x, n, value = np.array([2, 30, 990]), 1000, np.array([0.0005, 0.04, 0.98])
    score, wilson, exact = (test(x, n, value) for test in (score_pvalues, wilson_pvalues, proportion_pvalues))
    for side in ("greater", "less"):
        both = np.stack([getattr(wilson, side), getattr(exact, side)])
        assert np.array_equal(getattr(score, side), both.max(axis=0))
    assert wilson.greater[0] < exact.greater[0]


def errors(bounds, n, p, level):
    """How often each bound misses p, by adding up binomial probabilities."""
    x = np.arange(binom.ppf(1e-12, n, p), binom.ppf(1 - 1e-12, n, p) + 1)
    found = bounds(x, n, level)
    chances = binom.pmf(x, n, p)
    return chances[found.low > p].sum(), chances[found.high < p].sum()


@pytest.mark.parametrize("level", [0.05, 0.01, 0.0005])
@pytest.mark.parametrize("n", [1_000, 10_000, 100_000, 1_000_000])
def test_no_bound_misses_more_often_than_it_says(n, level):
    for expected in {0.1, 0.3, 1, 2.5, 7, 31, n * 0.001}:
        for p in (expected / n, 1 - expected / n):
            misses = errors(score_bounds, n, p, level)
            assert max(misses) <= level * (1 + 1e-9), (n, p, misses)


def test_wilson_alone_would_miss_too_often():
    """Where two events in 1,000 are expected, its lower bound errs twice as often as it says."""
    found = [errors(wilson_bounds, 1_000, p, 0.01)[0] for p in np.linspace(0.001, 0.003, 50)]
    assert max(found) > 0.02


def test_no_events_bound_nothing_from_below_and_all_events_nothing_from_above():
    for bounds in (wilson_bounds, score_bounds):
        found = bounds([0, 50], 50, 0.05)
        assert (found.low[0], found.high[1]) == (0, 1)
        assert 0 < found.high[0] < 0.2
