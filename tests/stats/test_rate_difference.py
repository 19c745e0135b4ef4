import numpy as np
import pytest
from simulation import assert_rate_at_most, sizes

from canaryjudge.stats.rate_difference import rate_difference_bounds, rate_difference_pvalues


def test_bounds_and_pvalues_agree():
    rng = np.random.default_rng(1)
    xc, xb = rng.poisson(8, 200), rng.poisson(12, 200)
    nc, nb = rng.uniform(5, 20, 200), rng.uniform(5, 20, 200)
    null = rng.normal(0, 0.5, 200)
    for level in (0.001, 0.01, 0.05, 0.3):
        bounds = rate_difference_bounds(xc, nc, xb, nb, level)
        pvalues = rate_difference_pvalues(xc, nc, xb, nb, null)
        np.testing.assert_array_equal(bounds.low > null, pvalues.greater < level)
        np.testing.assert_array_equal(bounds.high < null, pvalues.less < level)


def test_without_events_the_upper_bound_is_the_canarys_own():
    """Garwood: R's poisson.test(0, 1000, alternative="less")$conf.int[2] is 0.002995732."""
    assert rate_difference_bounds(0, 1000, 0, 50, 0.05).high == pytest.approx(0.002995732, abs=1e-9)


def test_large_counts_give_the_normal_interval():
    bounds = rate_difference_bounds(1_000_000, 10.0, 990_000, 10.0, 0.025)
    half = 1.959964 * np.sqrt(1_990_000) / 10
    assert bounds.low == pytest.approx(1000 - half, rel=2e-3)
    assert bounds.high == pytest.approx(1000 + half, rel=2e-3)


def test_a_batch_gives_what_single_calls_give_and_swapping_mirrors():
    batch = rate_difference_pvalues([3, 9], [10.0, 11.0], [4, 4], 10.0, [0.1, 0.2])
    single = rate_difference_pvalues(9, 11.0, 4, 10.0, 0.2)
    assert batch.greater[1] == single.greater
    assert rate_difference_pvalues(4, 10.0, 9, 11.0, -0.2).less == pytest.approx(float(single.greater))


@sizes(1.15 * 0.01, 20_000)
@pytest.mark.parametrize("mean", [0.5, 4.0, 60.0])
def test_errors_keep_their_level_at_the_edge(mean, runs):
    rng = np.random.default_rng(9)
    xb, xc = rng.poisson(mean, runs), rng.poisson(mean + 3.0, runs)
    pvalues = rate_difference_pvalues(xc, 1.0, xb, 1.0, 3.0)
    for level in (0.01, 0.05):
        assert_rate_at_most(int((pvalues.greater <= level).sum()), runs, 1.15 * level)
        assert_rate_at_most(int((pvalues.less <= level).sum()), runs, 1.15 * level)
