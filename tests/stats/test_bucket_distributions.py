"""Curves through the counts of buckets, their quantiles, and what two histograms leave open."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from canaryjudge.stats.bucket_distributions import (
    BucketBands,
    BucketCurve,
    bucket_quantile,
    bucket_quantile_bucket,
    counts_at_most,
)

ZERO = np.zeros(1)


def counts_of(values, edges):
    return np.bincount(np.searchsorted(edges, values), minlength=len(edges)).astype(float)


def superiority(baseline, canary, shift=0.0):
    """P(canary - shift > baseline) + P(equal) / 2, pair by pair."""
    difference = canary[:, None] - shift - baseline
    return (difference > 0).mean() + (difference == 0).mean() / 2


@st.composite
def two_histograms(draw, positive=None):
    size = draw(st.integers(2, 9))
    edges = np.cumsum(draw(st.lists(st.floats(0.05, 3.0), min_size=size, max_size=size)))
    if not (draw(st.booleans()) if positive is None else positive):
        edges -= edges[size // 2] + 0.01
    counts = st.lists(st.integers(0, 60), min_size=size + 1, max_size=size + 1).filter(any)
    return np.append(edges, np.inf), *(np.array(draw(counts), dtype=float) for _ in range(2))


@given(two_histograms())
def test_the_least_never_exceeds_the_most_and_both_fall_with_the_shift(data):
    bands = BucketBands(*data)
    shifts = np.linspace(-30, 30, 61)
    least, most = (bands.probability_greater(shifts, side) for side in ("least", "most"))
    assert (least <= most + 1e-9).all()
    assert (np.diff(least) <= 1e-9).all()
    assert (np.diff(most) <= 1e-9).all()
    assert least.min() >= -1e-9
    assert most.max() <= 1 + 1e-9


@given(two_histograms(), st.floats(-2, 2))
def test_exchanging_the_arms_exchanges_the_least_and_the_most(data, shift):
    edges, baseline, canary = data
    one, other = BucketBands(edges, baseline, canary), BucketBands(edges, canary, baseline)
    at = np.array([shift])
    # sums over pieces of one arm, then of the other: alike up to half a piece, of which a bucket has eight
    assert one.probability_greater(at, "most") == pytest.approx(
        1 - other.probability_greater(-at, "least"), abs=1 / 16
    )


def test_with_fine_buckets_it_is_the_statistic_of_the_values():
    rng = np.random.default_rng(1)
    baseline, canary = rng.gamma(3, size=400), rng.gamma(3.3, size=500)
    ordered = np.unique(np.concatenate([baseline, canary]))
    edges = np.append((ordered[1:] + ordered[:-1]) / 2, np.inf)
    bands = BucketBands(edges, counts_of(baseline, edges), counts_of(canary, edges))
    for side in ("least", "most"):
        assert bands.probability_greater(ZERO, side)[0] == pytest.approx(
            superiority(baseline, canary), abs=1e-3
        )


def test_without_a_shift_the_ties_of_alike_arms_count_half():
    edges = np.append(np.geomspace(0.5, 4, 12), np.inf)
    counts = counts_of(np.random.default_rng(0).lognormal(0.3, 0.5, 5000), edges)
    bands = BucketBands(edges, counts, counts)
    baseline, canary = bands.middle
    assert canary.probability_greater(baseline, ZERO)[0] == pytest.approx(0.5, abs=1e-12)
    least, most = (bands.probability_greater(ZERO, side)[0] for side in ("least", "most"))
    assert 0.49 < least < 0.5 < most < 0.51
    assert least + most == pytest.approx(1, abs=1e-3)


def test_a_bucket_that_holds_more_than_half_says_nothing_of_where_in_it():
    edges = np.array([1.0, 2.0, 4.0, 8.0, np.inf])
    bands = BucketBands(edges, np.array([0.0, 5, 90, 5, 0]), np.array([0.0, 5, 90, 5, 0]))
    least, most = (bands.probability_greater(ZERO, side)[0] for side in ("least", "most"))
    # .9 squared is undecided but for what lies beside
    assert least < 0.15
    assert most > 0.85


def test_the_more_of_both_arms_one_bucket_holds_the_less_is_known():
    edges = np.array([1.0, 2.0, 4.0, 8.0, np.inf])

    def open_for(share):
        counts = np.array([0.0, 98 - share, share, 2, 0])  # beside one that is at least half as full
        bands = BucketBands(edges, counts, counts)
        return np.ptp([bands.probability_greater(ZERO, side)[0] for side in ("least", "most")])

    half, more, most = (open_for(share) for share in (50, 58, 65))
    assert half < 0.08
    assert more > 2 * half
    assert most > 1.5 * more


def test_a_peak_that_stands_out_from_both_its_neighbors_hides_as_much():
    edges = np.append(2.0 ** np.arange(7), np.inf)
    calm, peaked = np.array([0.0, 10, 30, 30, 20, 10, 0, 0]), np.array([0.0, 5, 45, 5, 0, 5, 40, 0])

    def open_for(counts):
        bands = BucketBands(edges, counts, counts)
        return np.ptp([bands.probability_greater(ZERO, side)[0] for side in ("least", "most")])

    assert open_for(calm) < 0.06
    assert open_for(peaked) > 0.25


@pytest.mark.parametrize("bucket", [0, -1])
def test_an_open_bucket_says_nothing_of_where_in_it(bucket):
    edges = np.append(np.geomspace(0.5, 4, 12), np.inf)
    counts = counts_of(np.random.default_rng(0).lognormal(0.3, 0.5, 5000), edges)
    counts[bucket] = counts.sum() / 4  # so that a fifth is there
    bands = BucketBands(edges, counts, counts)
    least, most = (bands.probability_greater(ZERO, side)[0] for side in ("least", "most"))
    assert most - least == pytest.approx(0.2**2, abs=0.02)


def test_edges_of_one_or_two_buckets_are_enough():
    bands = BucketBands(np.array([1.0, np.inf]), np.array([3.0, 1.0]), np.array([1.0, 3.0]))
    least, most = (bands.probability_greater(ZERO, side)[0] for side in ("least", "most"))
    assert least == pytest.approx(0.75**2)  # the canary above the edge, the baseline below
    assert most == pytest.approx(1 - 0.25**2)


@given(st.integers(0, 10_000), st.sampled_from([0.1, 0.5, 0.9]))
def test_a_quantile_of_the_baseline_lies_between_its_bounds(seed, probability):
    rng = np.random.default_rng(seed)
    shape = stats.lognorm(rng.uniform(0.3, 1.0))
    edges = np.append(np.geomspace(0.05, 20, rng.integers(10, 20)) * rng.uniform(0.8, 1.2), np.inf)
    counts = 1e6 * np.diff(shape.cdf(edges), prepend=0)
    low, high = BucketBands(edges, counts, counts).baseline_quantile(probability)
    assert low <= shape.ppf(probability) <= high
    assert high <= low * edges[1] / edges[0] * 1.01


def test_a_quantile_in_the_last_bucket_has_no_upper_bound():
    counts = np.array([1.0, 2.0, 7.0])
    low, high = BucketBands(np.array([1.0, 2.0, np.inf]), counts, counts).baseline_quantile(0.5)
    assert (low, high) == (pytest.approx(2.0), np.inf)


def test_below_edges_that_are_not_positive_there_is_no_floor():
    counts = np.array([6.0, 2.0, 2.0])
    bands = BucketBands(np.array([0.0, 1.0, np.inf]), counts, counts)
    assert bands.baseline_quantile(0.5)[0] < -1e6
    assert BucketBands(np.array([0.5, 1.0, np.inf]), counts, counts).baseline_quantile(0.5)[
        0
    ] == pytest.approx(0, abs=1e-6)


PROMETHEUS_EDGES = np.array([0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, np.inf])


def expected_counts(distribution, edges, size=1_000_000):
    return size * np.diff(distribution.cdf(np.concatenate([[0.0], edges])))


def test_it_is_exact_for_log_logistic_values():
    values = stats.fisk(c=3.0, scale=0.2)
    curve = BucketCurve(PROMETHEUS_EDGES, expected_counts(values, PROMETHEUS_EDGES))
    at = np.array([0.03, 0.07, 0.2, 0.4, 0.9])
    assert curve.log_odds(at) == pytest.approx(np.log(values.sf(at) / values.cdf(at)), abs=1e-9)
    assert curve.quantile(0.5) == pytest.approx(0.2, rel=1e-9)
    assert curve.quantile(0.99) == pytest.approx(values.ppf(0.99), rel=1e-9)


def test_tails_of_lognormal_values_are_read_to_a_tenth_where_a_straight_line_is_off_by_a_factor():
    values = stats.lognorm(s=0.6, scale=np.exp(-2))
    counts = expected_counts(values, PROMETHEUS_EDGES)
    true = values.sf(0.5 / 1.1)
    log_odds = BucketCurve(PROMETHEUS_EDGES, counts).log_odds([0.5 / 1.1])[0]
    assert 1 / (1 + np.exp(-log_odds)) == pytest.approx(true, rel=0.1)
    straight = np.interp(0.5 / 1.1, PROMETHEUS_EDGES[:-1], values.sf(PROMETHEUS_EDGES[:-1]))
    assert straight > 1.5 * true


def test_what_lies_outside_is_unknown():
    curve = BucketCurve([1.0, 2.0, 4.0, np.inf], [0, 3, 5, 0])
    assert np.isnan(curve.log_odds([0.5, 1.0, 1.5, 4.0, 9.0, -1.0])).all()
    assert curve.log_odds([2.0])[0] == pytest.approx(np.log(5 / 3))
    assert curve.quantile(0.9) == curve.quantile(0.1) == pytest.approx(2.0)


def test_all_in_one_bucket_gives_its_edge():
    assert BucketCurve([1.0, 2.0, 4.0, np.inf], [0, 7, 0, 0]).quantile(0.5) == pytest.approx(2.0)
    assert BucketCurve([1.0, 2.0, 4.0, np.inf], [0, 0, 0, 7]).quantile(0.5) == pytest.approx(4.0)
    assert BucketCurve([1.0, 2.0, 4.0, np.inf], [7, 0, 0, 0]).quantile(0.5) == pytest.approx(1.0)


def test_edges_of_both_signs_are_read_as_they_are():
    curve = BucketCurve([-1.0, 0.0, 1.0, np.inf], [10, 20, 20, 10])
    assert curve.quantile(0.5) == pytest.approx(0.0, abs=1e-12)
    assert curve.log_odds([-0.5])[0] == pytest.approx(np.log(5) / 2)


@given(st.lists(st.integers(0, 1000), min_size=3, max_size=12).filter(any), st.floats(0.01, 0.99))
def test_odds_fall_with_the_value_and_quantiles_rise_with_the_probability(counts, probability):
    edges = np.concatenate([np.geomspace(0.1, 10, len(counts) - 1), [np.inf]])
    curve = BucketCurve(edges, counts)
    odds = curve.log_odds(np.geomspace(0.1, 10, 50))
    assert (np.diff(odds[np.isfinite(odds)]) <= 1e-9).all()
    low, high = curve.quantile(probability * 0.9), curve.quantile(probability)
    assert edges[0] - 1e-9 <= low <= high * (1 + 1e-12) <= edges[-2] * (1 + 1e-9)


FEW_EDGES = np.array([0.1, 0.2, 0.4, 0.8, np.inf])


@st.composite
def filled(draw):
    """Values and their histogram."""
    values = draw(st.lists(st.floats(0.01, 2.0), min_size=1, max_size=40))
    return np.array(values), np.bincount(np.searchsorted(FEW_EDGES, values), minlength=len(FEW_EDGES))


@given(filled(), st.floats(0.0, 1.0))
def test_a_quantile_lies_in_its_bucket_and_so_does_the_estimate(data, q):
    values, counts = data
    low, high = bucket_quantile_bucket(FEW_EDGES, counts, q)
    assert low < np.quantile(values, q, method="inverted_cdf") <= high
    if 0 < q < 1:
        assert max(low, 0.1) <= bucket_quantile(FEW_EDGES, counts, q) <= min(high, 0.8)


@given(filled(), st.one_of(st.sampled_from(FEW_EDGES.tolist()), st.floats(0.001, 3.0)))
def test_the_true_count_lies_between_the_fewest_and_the_most(data, value):
    values, counts = data
    fewest, most = counts_at_most(FEW_EDGES, counts, value)
    assert fewest <= (values <= value).sum() <= most
    assert fewest == most or value not in FEW_EDGES


def test_an_edge_that_is_reached_exactly_closes_its_bucket():
    assert bucket_quantile_bucket(FEW_EDGES, [1, 1, 1, 7, 0], 0.3) == (0.2, 0.4)
    assert bucket_quantile_bucket(FEW_EDGES, [1, 1, 1, 7, 0], 0.1) == (-np.inf, 0.1)
    assert bucket_quantile_bucket(FEW_EDGES, [7, 93, 0, 0, 0], 0.07) == (
        -np.inf,
        0.1,
    )  # .07 of 100 is a little more than 7
    assert bucket_quantile_bucket(FEW_EDGES, [0, 0, 1, 7, 2], 0.0) == (0.2, 0.4)
    assert bucket_quantile_bucket(FEW_EDGES, [0, 0, 1, 7, 2], 0.9) == (0.8, np.inf)


def test_each_interval_is_counted_by_itself():
    fewest, most = counts_at_most(FEW_EDGES, [[1, 2, 3, 4, 5], [0, 0, 1, 0, 0]], 0.3)
    assert fewest.tolist() == [3, 0]
    assert most.tolist() == [6, 1]


def test_a_quantile_of_nothing_is_refused():
    with pytest.raises(ValueError, match="no observations"):
        bucket_quantile(FEW_EDGES, [0, 0, 0, 0, 0], 0.5)
