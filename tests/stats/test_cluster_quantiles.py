"""Quantiles of clustered observations: against the asymptotic law of independent ones, against resampled clusters, and simulated where a user's requests are alike."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats
from simulation import assert_rate_at_most

from canaryjudge.stats.cluster_quantiles import cluster_parts
from canaryjudge.stats.ratio_of_means import UserMoments, compare_means


def requests(rng, users):
    """Latencies of users who have 1 to 200 requests each and a device of their own."""
    counts = np.floor(np.exp(rng.uniform(0, np.log(201), users))).clip(1, 200).astype(int)
    user = np.repeat(np.arange(users), counts)
    return np.exp(rng.normal(0, 0.5, users)[user] + rng.normal(0, 0.4, len(user))), user


@pytest.mark.parametrize("p", [0.5, 0.95])
def test_independent_observations_have_the_error_of_their_quantile(p):
    values = np.random.default_rng(1).normal(size=40_000)
    parts = cluster_parts(values, np.arange(40_000), p)
    expected = np.sqrt(p * (1 - p) / 40_000) / stats.norm.pdf(stats.norm.ppf(p))
    assert_allclose(parts.mean(), np.quantile(values, p), atol=1e-3)
    assert 0.9 < parts.std(ddof=1) / 200 / expected < 1.15  # of two slopes the steeper


@pytest.mark.parametrize("p", [0.5, 0.9])
def test_alike_requests_have_the_error_of_resampled_users(p):
    rng = np.random.default_rng(2)
    values, user = requests(rng, 400)
    own = np.split(values, np.flatnonzero(np.diff(user)) + 1)
    again = [np.quantile(np.concatenate([own[i] for i in rng.integers(0, 400, 400)]), p) for _ in range(300)]
    parts = cluster_parts(values, user, p)
    assert 0.9 < parts.std(ddof=1) / 20 / np.std(again) < 1.4


def test_parts_do_not_depend_on_the_order_and_average_to_the_quantile():
    values, user = requests(np.random.default_rng(3), 50)
    order = np.random.default_rng(4).permutation(len(values))
    parts = cluster_parts(values, user, 0.9)
    assert_allclose(cluster_parts(values[order], user[order], 0.9), parts)
    assert_allclose(parts.mean(), np.quantile(values, 0.9, method="inverted_cdf"))
    assert len(cluster_parts(values, 7 * user, 0.9)) == 50
    assert_allclose(cluster_parts(np.ones(9), np.arange(9) // 3, 0.5), 1.0)


def test_what_has_no_quantile_is_refused():
    with pytest.raises(ValueError, match="between 0 and 1"):
        cluster_parts([1.0], [0], 1.0)
    with pytest.raises(ValueError, match="no observations"):
        cluster_parts([], [], 0.5)


@pytest.mark.parametrize("p", [0.5, 0.95])
@pytest.mark.parametrize("sizes", [(200, 200), (600, 60)])
def test_intervals_of_percentiles_cover_where_requests_alone_do_not(p, sizes):
    rng, runs = np.random.default_rng(5), 250
    low = high = naive = 0
    for _ in range(runs):
        arms = [requests(rng, size) for size in sizes]
        found = compare_means(*(UserMoments.of(cluster_parts(*arm, p)) for arm in arms))
        alone = compare_means(*(UserMoments.of(cluster_parts(x, np.arange(len(x)), p)) for x, _ in arms))
        ends = found.bounds(0.025, absolute=False)
        low, high = low + (ends[0] > 0), high + (ends[1] < 0)
        wrong = alone.bounds(0.025, absolute=False)
        naive += wrong[0] > 0 or wrong[1] < 0
    assert_rate_at_most(low, runs, 0.025)
    assert_rate_at_most(high, runs, 0.025)
    assert naive > 0.5 * runs
